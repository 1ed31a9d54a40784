"""A few places by chance, and the least loaded of them."""

from dataclasses import dataclass, field

import numpy as np

from offload.entities import Observation, Plan, Request
from offload.planning.whole import backlog_s, places
from offload.units import Count


@dataclass
class PowerOfD:
    """Of `d` different places drawn by chance the one where the reported wait is shortest.

    Vvedenskaya, Dobrushin, Karpelevich (Problems of Information Transmission, 1996) and Mitzenmacher
    (IEEE TPDS, 2001) compare the number of jobs: in the limit of many servers of mean service 1, load
    rho, exponential service, E[T] = sum over i >= 1 of rho^((d^i - d) / (d - 1)). Nodes here report
    seconds of work, not jobs, which is the least loaded of d by Hellemans and Van Houdt (POMACS, 2018),
    better informed and so quicker: for d = 2, E[T] = -ln(1 - rho^2) / rho^2.

    Whole networks only, in the form that `local`, `edge` and `cloud` would run there; with
    `device = false` at nodes only. Of equals the first drawn.
    """

    d: Count = 2
    device: bool = True
    rng: np.random.Generator = field(init=False, repr=False)

    def start(self, rng: np.random.Generator) -> None:
        """Keep the generator."""
        self.rng = rng

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan at the least loaded of the places drawn."""
        del request
        open_ = places(seen, device=self.device)
        drawn = list(open_)
        some = min(self.d, len(drawn))
        for place in range(some):  # the first steps of a Fisher-Yates shuffle
            other = place + int(self.rng.random() * (len(drawn) - place))
            drawn[place], drawn[other] = drawn[other], drawn[place]
        return open_[min(drawn[:some], key=lambda place: self.load(seen, place))].plan

    def load(self, seen: Observation, place: str) -> float:
        """Return what is compared: the seconds of work before one, by the last report."""
        return backlog_s(seen, place)
