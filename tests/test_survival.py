"""What becomes of a ranking under another opinion: by hand."""

import pytest

from offload.analysis.statistics import Pair
from offload.analysis.survival import headline, survival


def pair(low: float, high: float, a: str = "one", b: str = "other", measure: str = "useful") -> Pair:
    """Return a difference with these bounds."""
    return Pair(a, b, measure, low, (low + high) / 2, high, low > 0 or high < 0)


@pytest.mark.parametrize(
    ("second", "survives"),
    [((0.2, 0.3), True), ((0.001, 0.1), True), ((-0.1, 0.3), False), ((-0.3, -0.1), False)],
)
def test_a_difference_survives_with_its_sign_and_significance(
    second: tuple[float, float], survives: bool
) -> None:
    found = survival([pair(0.1, 0.2)], [pair(*second)])
    assert (found.differing, found.surviving, found.appeared) == (1, int(survives), 0)
    assert [each.survives for each in found.pairs] == [survives]
    assert [each.first.mean for each in found.lost] == ([] if survives else [pytest.approx(0.15)])


def test_what_did_not_differ_cannot_survive_but_appear() -> None:
    found = survival([pair(-0.1, 0.2)], [pair(0.1, 0.2)])
    assert (found.differing, found.surviving, found.appeared, found.pairs) == (0, 0, 1, ())


def test_only_the_headline_counts() -> None:
    useful, on_time = pair(0.1, 0.2), pair(-0.2, -0.1, measure="on_time")
    assert headline([on_time]) == "on_time"
    found = survival([useful, on_time], [useful, pair(0.1, 0.2, measure="on_time")])
    assert (found.measure, found.differing, found.surviving) == ("useful", 1, 1)
    assert survival([on_time], [on_time]).measure == "on_time"
