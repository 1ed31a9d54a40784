"""A minimum cut, or a balanced pipeline where frames come too quickly for that."""

from dataclasses import dataclass, field

from offload.algorithms.mincut import light
from offload.entities import Observation, Plan, Request
from offload.planning.division import seen_division, solved
from offload.units import Seconds, Weight


@dataclass
class Dads:
    """Divides a network between the device and one server: least time, or most frames a second.

    DADS (Hu, Bao, Wang, Liu, INFOCOM 2019). Under light load, the layers S for the device that are least
    in Te(S) + Tt(S) + Tc(S), seconds on the device, of sending and at the server: a minimum cut. If the
    slowest of the three takes longer than the `period` from frame to frame, the S of the least
    max(Te, Tt, Tc): requests follow each other through three stages. `period` is by default the mean
    between the requests of a device's task so far. If that is too slow as well, the paper asks the user
    for fewer frames; a policy cannot. Choices of variant and server, `step`, and what else differs are
    those of `qdmp`.

    By construction this chooses under light load as `qdmp` and `jointdnn` do: the quickest listed cut of
    the division. They differ in how they find it and in what they would do with cuts that are not
    listed, this one also where frames come too quickly.

    The world takes listed cuts only (`qdmp` says what that costs under light load). Among these the
    least slowest stage is found by looking at all. On the shipped profiles (x86-core as server, devices
    2, 10 and 30 times slower, 12 078 points of tests/benchmarks/cuts.py) the paper's search over
    weights, `mincut.heavy`, found a slower one in 55 % of the points, by up to 1.7 times, and a quicker
    set of layers in 29 points, of `fashion-cnn:exits` and InceptionV4, by up to 17 %.
    """

    variant: str | None = None
    period: Seconds | None = None
    step: Weight = 0.1
    born: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict, init=False, repr=False)

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan for the cell's rate; what has begun goes on as it was sent."""
        if seen.begun is not None:
            return seen.begun
        division = seen_division(seen, self.variant, self.step)
        plan = solved(division, light)
        return plan if division.slowest_s(plan) <= self._period_s(request) else division.steadiest

    def _period_s(self, request: Request) -> float:
        """The mean seconds between requests of this task; endless before the second."""
        if self.period is not None:
            return self.period
        key = request.device, request.asked
        first_s, before = self.born.setdefault(key, (request.born_s, 0))
        self.born[key] = first_s, before + 1
        return (request.born_s - first_s) / before if before else float("inf")
