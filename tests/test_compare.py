"""A comparison from Python: automatic warm-up, pairs, and the same result however it is made."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import offload
from offload.analysis import compare as comparing
from offload.analysis import files, repeat
from offload.analysis.statistics import Pair
from offload.analysis.survival import PairAgain, survival
from offload.analysis.work import replication
from offload.policies.table import choose
from offload.scenario.load import check
from offload.views.table import second_opinion_text

SMALL = Path(__file__).parent / "small.toml"


@pytest.fixture(scope="module")
def choices():
    return [choose({"name": "local"}), choose({"name": "edge"})]


def test_automatic_warm_up_is_one_for_all(choices, tmp_path):
    scenario = offload.load(SMALL, ['warm_up="auto"', 'duration="20 s"'])
    kept = comparing.compare(scenario, choices, 3, out=tmp_path)
    assert 0 <= kept.warm_up_s <= 10
    given = offload.load(SMALL, [f'warm_up="{kept.warm_up_s} s"', 'duration="20 s"'])
    # Measured again with the same warm-up given, and without a folder, it is the same.
    assert comparing.compare(given, choices, 3).policies == kept.policies
    assert comparing.compare(scenario, choices, 3) == kept


def test_pairs_are_differences_of_paired_runs(choices):
    scenario = offload.load(SMALL)
    found = comparing.compare(scenario, choices, 4)
    (pair,) = [pair for pair in found.pairs if pair.measure == "energy_j"]
    means = {policy.label: policy.measures["energy_j"].mean for policy in found.policies}
    assert pair.mean == pytest.approx(means[pair.a] - means[pair.b])
    assert pair.low < pair.mean < pair.high
    assert pair.differs == (pair.low > 0 or pair.high < 0)


# The second opinion

CAMERA = {
    "format": 1, "name": "camera", "duration": "4 s", "seed": 3,
    "devices": {"camera": {"count": 8, "hardware": "cortex-a53", "tasks": {"objects": {
        "models": ["mobilenetv2"], "variants": ["int8"], "every": "200 ms", "jitter": "20 ms",
        "deadline": "110 ms", "input": "60 kB",
    }}}},
    "nodes": {"unit": {"kind": "edge", "hardware": "x86-core", "servers": 2}},
    "links": {
        "cell": {"from": "*", "to": "unit", "up": "16 Mbit/s", "down": "80 Mbit/s", "delay": "4 ms"},
    },
}  # fmt: skip


def scenario(**changes):
    """A scenario in which some cameras cut their network, as two opinions on its layers see it."""
    path = Path("camera.toml")
    return check(path, {**CAMERA, **changes}, lambda _: str(path), Path())


@pytest.fixture(scope="module")
def rivals():
    return [choose({"name": "edge"}), choose({"name": "quickest"})]


@pytest.fixture(scope="module")
def kept(rivals, tmp_path_factory):
    out = tmp_path_factory.mktemp("kept")
    return comparing.compare(scenario(), rivals, 3, out=out), out


def test_rows_tell_what_rests_on_shares(kept):
    found, out = kept
    frame = pl.read_parquet(replication.rows_path(out, "quickest", 0))
    cut = frame.filter(pl.col("split"))
    assert 0 < cut.height < frame.height
    assert cut["share_gap_s"].null_count() == 0
    assert frame.filter(~pl.col("split"))["share_gap_s"].null_count() == frame.height - cut.height
    profile = scenario().setting(0.0).facts[0].profiles["device"]
    ((variant, told),) = profile.items()
    for first, gap_s in cut.select("device_cut", "share_gap_s").unique().iter_rows():
        after = variant.cuts[first].after
        apart = sum(told.layers_s[1][:after]) - sum(told.second_s[:after])
        assert gap_s == pytest.approx(abs(apart))
    told = json.loads(pl.read_parquet_metadata(replication.rows_path(out, "quickest", 0))["profiles"])
    assert told["device/mobilenetv2:int8"].startswith("rescaled: coral.ai")
    assert told["device/mobilenetv2:int8"].endswith("(total published (int8 assumed); shares ±8%)")
    edge, quickest = found.policies
    assert (edge.doubtful, edge.share_gap_s) == (0.0, None)
    assert 0 < quickest.doubtful < 1
    assert quickest.share_gap_s > 0


def test_a_comparison_that_cuts_rescaled_networks_is_simulated_again(kept, rivals):
    found, out = kept
    again = comparing.compare(scenario(shares="second-opinion"), rivals, 3, second_opinion=False)
    told = found.second_opinion
    (pair,) = [pair for pair in found.pairs if pair.measure == "useful"]
    (other,) = [pair for pair in again.pairs if pair.measure == "useful"]
    assert pair.differs
    assert told.pairs == (PairAgain(pair, other, survives=other.differs),)
    assert pair.mean != other.mean
    for label in ("edge", "quickest"):
        assert replication.rows_path(out / "second-opinion", label, 2).is_file()


def test_what_neither_opinion_touches_is_the_same(kept):
    _, out = kept
    one, other = (
        pl.read_parquet(replication.rows_path(o, "edge", 1)) for o in (out, out / "second-opinion")
    )
    assert one.equals(other)


def test_it_goes_on_from_what_is_there(kept, rivals, monkeypatch):
    found, out = kept
    monkeypatch.setattr(replication, "simulate_in_chunks", lambda *_: pytest.fail("simulated again"))
    assert comparing.compare(scenario(), rivals, 3, out=out) == found


def test_rows_of_the_second_opinion_repeat_themselves(kept, monkeypatch):
    _, out = kept
    file = replication.rows_path(out / "second-opinion", "quickest", 0)
    assert repeat.read(file).repeat()[1]


def test_it_can_be_told_not_to(kept, rivals):
    found, _ = kept
    without = comparing.compare(scenario(), rivals, 3, second_opinion=False)
    assert without == replace(found, second_opinion=None)


def test_nothing_is_simulated_again_for_nothing(choices, rivals):
    small = offload.load(SMALL)
    assert comparing.compare(small, choices, 2).second_opinion is None  # nothing there is rescaled
    assert comparing.compare(scenario(), rivals[1:], 2).second_opinion is None  # no pairs
    unsplit = [choose({"name": "local"}), choose({"name": "edge"})]
    assert comparing.compare(scenario(), unsplit, 2).second_opinion is None


def test_automatic_warm_up_holds_for_both_opinions(rivals, tmp_path):
    auto = scenario(warm_up="auto")
    found = comparing.compare(auto, rivals, 2, out=tmp_path)
    again = scenario(shares="second-opinion", warm_up=f"{found.warm_up_s!r} s")
    second = comparing.compare(again, rivals, 2, second_opinion=False)
    useful = [pair for pair in second.pairs if pair.measure == found.second_opinion.measure]
    assert [pair.second for pair in found.second_opinion.pairs] == [
        p
        for p in useful
        if any((p.a, p.b) == (q.first.a, q.first.b) for q in found.second_opinion.pairs)
    ]


# What is printed


def made(lost: bool):
    """A comparison whose one difference survives or not."""
    first = Pair("quickest", "edge", "useful", 0.1, 0.2, 0.3, differs=True)
    second = replace(first, low=-0.1, mean=0.05, differs=False) if lost else first
    policies = tuple(
        comparing.PolicyResult(name, name, "reported", 10, 0, False, share, gap, {})
        for name, share, gap in (("quickest", 0.25, 0.0021), ("edge", 0.0, None))
    )
    return comparing.Comparison(
        "camera", 3, 2, 0.95, 0.0, policies, (first,), "latency rescaled", ("box: error unknown",),
        survival([first], [second]),
    )  # fmt: skip


def test_the_verdict_is_printed():
    told = second_opinion_text(made(lost=False)).splitlines()
    cut = "cut on rescaled hardware: quickest 25% of requests, ±2.1 ms a part"
    kept = "1 of 1 differing pairs of useful keep sign and significance"
    assert told == [
        f"{cut} (two opinions on the layers' shares)",
        f"second opinion: the ranking survives: {kept}",
    ]
    told = second_opinion_text(made(lost=True)).splitlines()
    assert told[1].startswith("second opinion: not all of the ranking survives: 0 of 1 differing pairs")
    assert told[2] == "  quickest minus edge: +0.200 becomes +0.050 [-0.100, +0.300]"
    told = second_opinion_text(replace(made(lost=True), second_opinion=None)).splitlines()
    assert told[1].startswith("second opinion: not simulated")


def test_json_tells_how_figures_are_known_and_the_second_opinion(kept):
    told = json.loads(json.dumps(files.to_json(kept[0].as_json()), allow_nan=False))
    assert "latency rescaled for cortex-a53" in told["known"]
    assert told["rescaled"] == [
        "cortex-a53: mobilenetv2:int8: total published (int8 assumed); shares ±8%"
    ]
    second = told["second_opinion"]
    assert (second["measure"], second["differing"]) == ("useful", 1)
    assert second["pairs"][0].keys() == {"first", "second", "survives"}
    assert told["policies"][1]["doubtful"] > 0
