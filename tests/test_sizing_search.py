"""The search for the cheapest: right answers from few made-up replications, and few false claims."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
import pytest

from offload.analysis.sizing.search import ERROR, Candidate, Sample, Search

LOOKS = (10, 20, 40)
Make = Callable[[np.random.Generator, int], np.ndarray]


def found(
    candidates: Sequence[Candidate], values: np.ndarray, error: float = ERROR,
    zero: float | None = None, requests: int = 0, use: Sequence[float] | None = None,
) -> Search:  # fmt: skip
    """Search where candidate i has the margin values[i, n] (or several) in replication n."""
    several = values[:, :, None] if values.ndim == 2 else values
    used = [0.0] * len(values) if use is None else use

    def draw(wanted: Mapping[int, range]) -> dict[int, list[Sample]]:
        return {
            i: [Sample(tuple(several[i, n]), used[i], (requests,) * several.shape[2]) for n in numbers]
            for i, numbers in wanted.items()
        }

    search = Search(candidates, draw, LOOKS, [zero] * several.shape[2], error)
    search.run()
    return search


def noisy(means: np.ndarray, sd: float, chance: np.random.Generator, own: float = 0.5) -> np.ndarray:
    """Margins with common luck: a part of the spread is a replication's, a part each one's own."""
    common = np.sqrt(1 - own) * chance.normal(0, sd, LOOKS[-1])
    return means[:, None] + common + np.sqrt(own) * chance.normal(0, sd, (len(means), LOOKS[-1]))


def chain(count: int) -> list[Candidate]:
    return [Candidate("all", (n,), 1.0 + n) for n in range(count)]


def false_claims(search: Search, means: np.ndarray) -> int:
    wrong = {"meets": means < 0, "fails": means >= 0}
    return sum(
        bool(wrong[t.verdict][i]) for i, t in enumerate(search.trials) if t.verdict in wrong
    )  # fmt: skip


def test_a_chain_is_halved() -> None:
    means = np.linspace(-0.31, 0.31, 32)
    search = found(chain(32), noisy(means, 0.005, np.random.default_rng(1)))
    assert search.best == int(np.argmax(means >= 0))
    assert search.just_cheaper() == search.best - 1
    assert search.trials[search.best - 1].verdict == "fails"
    # Two ends, five halvings, and a few replications of what was ruled out.
    assert search.drawn <= 8 * LOOKS[0] + 3 * 16
    assert search.drawn < 32 * LOOKS[-1] / 8


def test_of_two_keys_the_cheapest_on_the_edge_of_what_meets_is_found() -> None:
    """As by trying all, for surfaces that rise with both keys, and rents of many kinds."""
    spent = []
    for seed in range(40):
        chance = np.random.default_rng(seed)
        a, b, limit = (*chance.uniform(0.5, 2.0, 2), chance.uniform(3, 9))
        price = chance.uniform(0.3, 3.0, 2)
        grid = list(product(range(6), range(6)))
        means = np.array([np.tanh((a * x + b * y - limit) / 4) for x, y in grid])
        means += np.where(means >= 0, 0.02, -0.02)  # as near as forty replications can tell
        candidates = [Candidate("all", at, 1.0 + float(price @ at)) for at in grid]
        search = found(candidates, noisy(means, 0.002, chance))
        meeting = [i for i in range(36) if means[i] >= 0]
        assert search.best == min(meeting, key=lambda i: candidates[i].standing, default=None)
        spent.append(search.drawn / (36 * LOOKS[-1]))
    assert float(np.mean(spent)) < 0.15


def test_more_that_hurts_is_found_out() -> None:
    """Where a smaller one will do and larger ones do not, halving alone finds a dear one."""
    means = np.array([-0.3, 0.2, -0.2, -0.2, -0.2, -0.2, 0.2, 0.2])
    search = found(chain(8), noisy(means, 0.01, np.random.default_rng(2)))
    assert search.best == 1
    assert search.broken == {"all"}
    assert search.just_cheaper() == 0
    assert search.trials[0].verdict == "fails"


def test_a_hump_between_two_that_fail_is_found() -> None:
    means = np.array([-0.3, -0.2, 0.2, 0.2, -0.2, -0.2, -0.2, -0.3])
    search = found(chain(8), noisy(means, 0.01, np.random.default_rng(3)))
    assert search.best == 2


def test_kinds_that_cannot_be_compared_are_all_tested() -> None:
    means = np.array([-0.1, 0.1, -0.1, 0.1])
    candidates = [Candidate(n, (), cost) for n, cost in enumerate((1.0, 3.0, 1.5, 2.0))]
    search = found(candidates, noisy(means, 0.01, np.random.default_rng(4)))
    assert search.best == 3
    assert [trial.verdict for trial in search.trials] == ["fails", "meets", "fails", "meets"]


def test_use_counts_for_the_cost() -> None:
    """The one that costs least before it is used is not the cheapest."""
    means = np.full(3, 0.1)
    candidates = [Candidate(n, (), cost) for n, cost in enumerate((1.0, 1.5, 1.8))]
    search = found(candidates, noisy(means, 0.01, np.random.default_rng(5)), use=[2.0, 0.1, 0.3])
    assert search.best == 1
    assert search.cost(1) == pytest.approx(1.6)


def test_of_those_that_cost_the_same_before_they_are_used_that_which_uses_least() -> None:
    """A smaller one may serve less, and so use less: what was skipped may be cheaper."""
    candidates = [Candidate("all", (n,), 1.0) for n in range(6)]
    means = np.array([-0.3, 0.1, 0.1, 0.1, 0.1, 0.1])
    search = found(
        candidates, noisy(means, 0.01, np.random.default_rng(5)), use=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    )
    assert search.best == 1
    assert search.just_cheaper() == 0


def test_what_is_used_is_compared_in_the_same_replications() -> None:
    """Both use the same, by chance more in the first replications: neither is cheaper."""
    margins = np.array([[-0.1, 0.1], [0.09, 0.11]])[:, np.arange(LOOKS[-1]) % 2]
    use = np.linspace(2.0, 1.0, LOOKS[-1])

    def draw(wanted: Mapping[int, range]) -> dict[int, list[Sample]]:
        return {i: [Sample((margins[i, n],), use[n], (0,)) for n in ns] for i, ns in wanted.items()}

    search = Search([Candidate(n, (), 1.0) for n in range(2)], draw, LOOKS, [None])
    search.sample({0: LOOKS[-1]})
    search.run()
    assert search.best == 1
    assert len(search.trials[1].samples) == LOOKS[0]
    assert search.saving(0) == pytest.approx(0.0)
    assert search.just_cheaper() is None


def test_every_target_must_be_met() -> None:
    chance = np.random.default_rng(6)
    one, other = noisy(np.linspace(-1, 1, 8), 0.01, chance), noisy(np.linspace(-2, 0.4, 8), 0.01, chance)
    search = found(chain(8), np.stack([one, other], axis=2))
    assert search.best == int(np.argmax(np.minimum(np.linspace(-1, 1, 8), np.linspace(-2, 0.4, 8)) >= 0))


def test_what_nobody_meets() -> None:
    search = found(chain(8), noisy(np.linspace(-0.9, -0.1, 8), 0.01, np.random.default_rng(7)))
    assert search.best is None
    assert search.trials[7].verdict == "fails"
    assert search.drawn < 8 * LOOKS[-1] / 4


def test_on_the_line_nothing_is_claimed() -> None:
    search = found(chain(2), noisy(np.zeros(2), 0.1, np.random.default_rng(8)))
    assert [trial.verdict for trial in search.trials] == ["undecided", "undecided"]
    assert search.drawn == 2 * LOOKS[-1]


def test_never_answered_fails() -> None:
    values = np.full((2, LOOKS[-1]), 0.1)
    values[0, 3] = -np.inf
    assert [trial.verdict for trial in found(chain(2), values).trials] == ["fails", "meets"]


@pytest.mark.parametrize("shape", ["just below, apart", "just below, one chain", "above and below"])
def test_all_claims_hold_at_once_with_95_percent(shape: str) -> None:
    """The familywise error over whole searches; without the correction it is far larger."""
    apart = [Candidate(n, (), 1.0 + n) for n in range(12)]
    means = {
        "just below, apart": np.full(12, -1e-9),
        "just below, one chain": np.linspace(-1e-3, -1e-9, 12),
        "above and below": np.tile([-1e-9, 0.0], 6),
    }[shape]
    candidates = chain(12) if "chain" in shape else apart
    runs = 300
    shares = []
    for error in (ERROR, 0.05 * len(candidates) * len(LOOKS)):
        wrong = 0
        for seed in range(runs):
            values = noisy(means, 0.1, np.random.default_rng(seed))
            wrong += false_claims(found(candidates, values, error), means) > 0
        shares.append(wrong / runs)
    noise = 3 * np.sqrt(0.05 * (1 - 0.05) / runs)
    assert shares[0] <= 0.05 + noise
    assert shares[1] > 0.05 + noise


@pytest.mark.parametrize("spread", [100, 200])
def test_shares_near_one_are_claimed_no_more_often_than_said(spread: int) -> None:
    """Counts are not normal: just below 99 % of 400 requests a replication, spread beyond chance."""
    wrong, runs = 0, 300
    candidates = [Candidate(n, (), 1.0 + n) for n in range(12)]
    for seed in range(runs):
        chance = np.random.default_rng(seed)
        late = chance.beta(0.01 * spread, 0.99 * spread, (12, LOOKS[-1]))
        values = chance.binomial(400, 1 - late) / 400 - 0.99
        wrong += false_claims(found(candidates, values, zero=0.99, requests=400), np.full(12, -1e-9)) > 0
    assert wrong / runs <= 0.05 + 3 * np.sqrt(0.05 * (1 - 0.05) / runs)
