"""Whether a ranking survives another opinion on how a network's seconds fall on its layers."""

from collections.abc import Sequence
from dataclasses import dataclass

from offload.analysis.statistics import Pair


@dataclass(frozen=True, slots=True)
class PairAgain:
    """A pair of policies under both opinions; it survives if they still differ, the same way round."""

    first: Pair
    second: Pair
    survives: bool


@dataclass(frozen=True, slots=True)
class Survival:
    """What became of the pairs that differed in a measure under the first opinion.

    `appeared` are those that differ under the second only.
    """

    measure: str
    differing: int
    surviving: int
    pairs: tuple[PairAgain, ...]
    appeared: int

    @property
    def lost(self) -> list[PairAgain]:
        """The pairs whose difference does not survive."""
        return [pair for pair in self.pairs if not pair.survives]


def headline(pairs: Sequence[Pair]) -> str:
    """Return the measure to rank by: useful, or on_time where that is not defined."""
    return "useful" if any(pair.measure == "useful" for pair in pairs) else "on_time"


def survival(first: Sequence[Pair], second: Sequence[Pair]) -> Survival:
    """Compare the differences of the same policies under two opinions."""
    measure = headline(first)
    again = {(pair.a, pair.b): pair for pair in second if pair.measure == measure}
    both = [(p, q) for p in first if p.measure == measure and (q := again.get((p.a, p.b)))]
    pairs = tuple(
        PairAgain(p, q, survives=q.differs and (p.mean > 0) == (q.mean > 0))
        for p, q in both
        if p.differs
    )
    surviving = sum(pair.survives for pair in pairs)
    appeared = sum(q.differs and not p.differs for p, q in both)
    return Survival(measure, len(pairs), surviving, pairs, appeared)
