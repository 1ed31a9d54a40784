"""Tables on a terminal."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from offload.analysis.compare import compare
from offload.scenario.load import load
from offload.views.table import headed, second_opinion_text
from tests.hand_made import ROOT


def test_a_title_is_not_folded_into_a_narrow_table() -> None:
    table = headed("latency in ms, unfinished requests counted as infinite", ("mean",))
    table.add_row("local", "1.0")
    printed = StringIO()
    Console(file=printed, width=80).print(table)
    assert printed.getvalue().startswith(f"{table.title}\n")


@pytest.mark.parametrize(("share", "told"), [(0.0002, "under 1%"), (0.0051, "1%"), (0.234, "23%")])
def test_a_small_share_of_doubtful_requests_does_not_look_like_none(share: float, told: str) -> None:
    scenario = load(ROOT / "tests" / "small.toml")
    found = compare(scenario, scenario.compared[:1], 1)
    doubtful = replace(found.policies[0], label="mine", doubtful=share, share_gap_s=0.001)
    said = second_opinion_text(replace(found, policies=(doubtful,)))
    assert f"mine {told} of requests, ±1 ms a part" in said
