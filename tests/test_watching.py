"""A comparison over time: rows in pieces come to the same as rows at once."""

from dataclasses import asdict

import numpy as np
import pytest

from offload.analysis import watching
from offload.analysis.compare import compare
from offload.analysis.story import read
from offload.policies.table import choose
from offload.scenario.load import load
from tests.hand_made import ROOT


def test_pieces_of_rows_come_to_the_same_as_all_at_once(tmp_path, monkeypatch) -> None:
    """A frame's stages are read in other pieces than the frame, which is none of the requests."""
    scenario = load(ROOT / "scenarios" / "ar-headset.toml", ['duration="3 s"', 'warm_up="0 s"'])
    compare(scenario, [choose({"name": "on-time"})], 1, out=tmp_path)
    story = read(tmp_path)
    whole = asdict(watching.watch(story).policies["on-time"])
    assert whole["nodes"]
    monkeypatch.setattr(watching, "PIECE", 7)
    pieces = asdict(watching.watch(story).policies["on-time"])
    assert pieces.keys() == whole.keys()
    for name, found in whole.items():
        assert pieces[name].keys() == found.keys()
        for place, expected in found.items():
            got = pieces[name][place]
            if isinstance(expected, dict):
                assert all(got[key] == pytest.approx(expected[key]) for key in expected)
            else:
                np.testing.assert_allclose(got, expected)


def test_a_cell_is_used_for_as_long_as_somebody_sends(tmp_path) -> None:
    """One car that asks now and then sends alone; what it has sent is on its way for 40 ms more."""
    settings = [
        "devices.car.count=1", 'devices.car.tasks.objects.deadline="1 s"', 'links.cell.delay="40 ms"',
        'duration="4 s"', 'warm_up="0 s"',
    ]  # fmt: skip
    scenario = load(ROOT / "tests" / "small.toml", settings)
    compare(scenario, [choose({"name": "edge"})], 1, out=tmp_path)
    story = read(tmp_path)
    seen, rows = watching.watch(story), story.rows("edge")
    assert rows.height > 15
    sent_s = rows["uplink_s"].sum() - 0.04 * rows.height
    assert seen.used("edge", "cell").sum() * seen.edges_s[1] == pytest.approx(
        sent_s, rel=0.06
    )  # the last ends later
    assert seen.sending("edge", "cell").sum() * seen.edges_s[1] == pytest.approx(
        rows["uplink_s"].sum(), rel=0.06
    )
    assert not seen.used("edge", "none").any()
