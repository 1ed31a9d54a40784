"""How much plans rest on the shares of layers: by hand."""

from dataclasses import replace
from typing import Any

import pytest

from offload.entities import Facts, Plan
from offload.planning.shares import share_gap_s
from tests import hand_made

NET = hand_made.variant([800, 400, 200, 100])
SECONDS = {"device": [0.01, 0.02, 0.03], "edge": [0.001, 0.002, 0.003], "cloud": [0.1, 0.1, 0.1]}


def facts(**second_s: tuple[float, ...]) -> Facts:
    """Return facts about a network of three layers; `second_s` are second opinions by place."""
    known = hand_made.facts({NET: SECONDS}, nodes=[hand_made.node(n, n) for n in ("edge", "cloud")])
    return replace(known, profiles={
        place: {NET: replace(profiles[NET], second_s=second_s.get(place, ()))}
        for place, profiles in known.profiles.items()
    })  # fmt: skip


def plan(first: int, second: int, **more: Any) -> Plan:
    """Return a plan with these cuts."""
    edge = "edge" if first < second else None
    cloud = "cloud" if second < 3 else None
    return Plan(NET, first, second, edge, cloud, ("cell",) if first < 3 else None, **more)


DEVICE = (0.02, 0.02, 0.02)


@pytest.mark.parametrize(
    ("cuts", "gap_s"),
    [((1, 3), 0.01), ((2, 3), 0.01), ((2, 2), 0.01), ((1, 2), 0.01), ((0, 3), None), ((3, 3), None)],
)
def test_the_part_on_the_device(cuts: tuple[int, int], gap_s: float | None) -> None:
    assert share_gap_s(facts(device=DEVICE), plan(*cuts)) == (gap_s and pytest.approx(gap_s))


def test_a_part_elsewhere_and_the_largest_of_all() -> None:
    known = facts(device=DEVICE, edge=(0.004, 0.001, 0.001))
    # On the device 10 ms apart after one layer, at the edge 3 ms; the cloud's shares are measured.
    assert share_gap_s(known, plan(1, 3)) == pytest.approx(0.01)
    assert share_gap_s(facts(edge=(0.004, 0.001, 0.001)), plan(1, 3)) == pytest.approx(0.003)
    assert share_gap_s(facts(edge=(0.004, 0.001, 0.001)), plan(0, 1)) == pytest.approx(0.003)
    assert share_gap_s(facts(edge=(0.004, 0.001, 0.001)), plan(2, 2)) is None


def test_nothing_to_say_without_a_second_opinion() -> None:
    for cuts in ((1, 3), (1, 2), (2, 2)):
        assert share_gap_s(facts(), plan(*cuts)) is None


def test_leaving_early_is_a_part_too() -> None:
    early = replace(NET, exits=(2, 3))
    seconds = hand_made.profile(early, SECONDS["device"], second_s=DEVICE)
    known = replace(facts(), profiles={"device": {early: seconds}})
    assert share_gap_s(known, Plan(early, 2, 2, exit=0)) == pytest.approx(0.01)
    assert share_gap_s(known, Plan(early, 3, 3, exit=1)) is None
