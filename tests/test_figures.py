"""Figures for papers."""

from io import StringIO

from rich.console import Console

from offload.analysis.compare import compare
from offload.scenario.load import load
from offload.views.figures import useful_energy
from offload.views.table import headed
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"


def test_a_policy_that_is_never_useful_is_seen_whole() -> None:
    scenario = load(SMALL, ["devices.car.tasks.objects.deadline=1 us"])
    found = compare(scenario, scenario.compared[:1], 2)
    (axes,) = useful_energy(found).axes
    assert found.policies[0].measures["on_time"].mean == 0.0
    assert axes.get_ylim()[0] < 0.0


def test_a_title_is_not_folded_into_a_narrow_table() -> None:
    table = headed("latency in ms, unfinished requests counted as infinite", ("mean",))
    table.add_row("local", "1.0")
    printed = StringIO()
    Console(file=printed, width=80).print(table)
    assert printed.getvalue().startswith(f"{table.title}\n")
