"""A comparison from Python: automatic warm-up, pairs, and the same result however it is made."""

from pathlib import Path

import pytest

import offload
from offload.analysis import compare as comparing
from offload.policies.table import choose

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
