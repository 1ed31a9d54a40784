"""Rows that leave a world while it runs: the same, in the same order, and few of them held."""

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from offload.analysis.result import simulate, simulate_in_chunks
from offload.policies.table import Choice, choose
from offload.scenario.load import Scenario, load
from offload.simulation import flow
from offload.simulation.flow import Flow
from offload.simulation.run import drive, fresh, run
from offload.simulation.world import World
from offload.streams import Streams
from tests.hand_made import ROOT

CHUNK = 151  # odd: what comes in pairs is parted
CASES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "stages": ("scenarios/ar-headset.toml", {"name": "quickest"}, ['duration="6 s"']),
    "split stages": ("scenarios/ar-headset.toml", {"name": "edge", "after": 5}, ['duration="6 s"']),
    "retries": ("scenarios/blackout.toml", {"name": "quickest"}, ['duration="20 s"']),
    "batteries": ("scenarios/clinic-wearables.toml", {"name": "quickest"}, ['duration="20 s"']),
    "dropped": ("scenarios/urban-intersection.toml", {"name": "edge"}, ['duration="5 s"']),
    "unfinished": (
        "tests/small.toml",
        {"name": "edge"},
        ['drain="0.05 s"', "devices.car.count=10", 'devices.car.tasks.objects.late="finish"'],
    ),
}


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "CHUNK", CHUNK)


def case(name: str) -> tuple[Scenario, Choice]:
    path, policy, settings = CASES[name]
    return load(ROOT / path, [*settings, 'warm_up="0 s"']), choose(policy)


@pytest.mark.parametrize("name", CASES)
def test_rows_in_chunks_are_those_in_memory(name: str) -> None:
    frames: list[pl.DataFrame] = []
    done = simulate_in_chunks(*case(name), 5, 1, frames.append)
    whole = simulate(*case(name), 5, 1)
    assert len(frames) > 3
    assert {each.height for each in frames[:-1]} == {CHUNK}
    assert done.outcomes == []
    assert_frame_equal(pl.concat(frames), whole.rows(), check_exact=True)
    assert tuple(done.devices) == whole.devices  # to the bit: summed in the same order
    _is_as_hard_as_it_says(name, whole.rows())


def _is_as_hard_as_it_says(name: str, frame: pl.DataFrame) -> None:
    """Whether the case has what it is there for."""
    if name.endswith("stages"):  # some frames went before their stages in another chunk
        row = dict(zip(frame["request"], range(frame.height), strict=True))
        pairs = [(row[parent], at) for at, parent in enumerate(frame["parent"]) if parent is not None]
        assert any(parent // CHUNK != stage // CHUNK for parent, stage in pairs)
    if name == "split stages":
        roots = frame.filter(pl.col("parent").is_null())
        assert roots["share_gap_s"].null_count() == 0
        assert roots["plan"].null_count() == roots.height
    if name == "retries":
        assert frame["attempts"].max() > 1
    if name == "dropped":
        assert len(set(frame["cause"])) > 1
    if name == "unfinished":
        assert 1 < frame.filter(pl.col("cause") == "unfinished").height < frame.height / 2


@pytest.mark.parametrize("seconds", [10, 40])
def test_no_more_is_held_than_is_under_way_and_two_chunks(seconds: int) -> None:
    """However long it runs: counted whenever a row has joined the others."""
    settings = ["devices.car.count=20", f'duration="{seconds} s"', 'warm_up="0 s"']
    scenario, choice = load(ROOT / "tests" / "small.toml", settings), choose({"name": "local"})
    streams, passed, held = Streams(5, 0), 0, 0

    class Counted(list):  # type: ignore[type-arg]
        def append(self, outcome: Any) -> None:
            nonlocal held
            super().append(outcome)
            oldest_s = min([world.clock.now, *(j.request.born_s for j in world.under_way.values())])
            behind = sum(each.request.born_s >= oldest_s for each in self)
            held = max(held, len(self) - behind)

    def take(due: list[Any], _later: list[Any]) -> None:
        nonlocal passed
        passed += len(due)

    world = World(scenario.setting(0.0), streams)
    world.outcomes = Counted()
    rows = Flow(world, take)
    drive(world, fresh(choice, streams), choice, None, rows)
    rows.end()
    assert passed == len(run(scenario, choice, 5, 0).outcomes) > 90 * seconds
    assert not world.frames
    assert CHUNK / 2 < held <= 2 * CHUNK


def test_a_row_waits_for_what_was_born_before_it() -> None:
    """A request that takes long holds back what was born after it, and nothing else."""
    order: list[float] = []
    scenario, choice = case("dropped")
    whole = run(scenario, choice, 5, 0)

    def take(due: list[Any], later: list[Any]) -> None:
        order.extend(each.request.born_s for each in due)
        assert all(each.request.born_s >= order[-1] for each in later)

    run(scenario, choice, 5, 0, take)
    assert order == sorted(order) == sorted(each.request.born_s for each in whole.outcomes)
    assert [each.request.born_s for each in whole.outcomes] != order


@pytest.mark.parametrize(
    ("each_s", "fewest", "most", "looks"),
    [(1e-5, 0, 0, 20), (0.01, 25, 52, 250), (1.0, 900, 1100, 1100)],
)
def test_how_far_it_is_is_told_now_and_then(
    each_s: float, fewest: int, most: int, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which each of some thousand outcomes takes so long; few looks are taken at it."""
    settings = ["devices.car.count=20"]
    scenario, choice = load(ROOT / "tests" / "small.toml", settings), choose({"name": "local"})
    looked, told_s = 0, []

    def monotonic() -> float:
        nonlocal looked
        looked += 1
        return len(world.outcomes) * each_s

    monkeypatch.setattr(flow.time, "monotonic", monotonic)
    streams = Streams(5, 0)
    world = World(scenario.setting(0.0), streams)
    drive(world, fresh(choice, streams), choice, None, Flow(world, None, told_s.append))
    assert 950 < len(world.outcomes) < 1050
    assert fewest <= len(told_s) <= most
    assert looked <= looks
    assert told_s == sorted(told_s)


def test_rows_go_on_in_the_same_chunks_whoever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "TELL_EVERY_S", 0.0)
    monkeypatch.setattr(flow, "CHUNK", CHUNK)
    scenario, choice = case("stages")
    sizes: dict[bool, list[int]] = {True: [], False: []}
    for told, passed in sizes.items():
        tell = [].append if told else None
        run(scenario, choice, 5, 0, lambda due, _, mine=passed: mine.append(len(due)), None, tell)
    assert sizes[True] == sizes[False]
    assert len(sizes[True]) > 5
