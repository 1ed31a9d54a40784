"""Figures for papers."""

from offload.analysis.compare import compare
from offload.scenario.load import load
from offload.views.figures import useful_energy
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"


def test_a_policy_that_is_never_useful_is_seen_whole() -> None:
    scenario = load(SMALL, ["devices.car.tasks.objects.deadline=1 us"])
    found = compare(scenario, scenario.compared[:1], 2)
    (axes,) = useful_energy(found).axes
    assert found.policies[0].measures["on_time"].mean == 0.0
    assert axes.get_ylim()[0] < 0.0
