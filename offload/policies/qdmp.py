"""A minimum cut that is quick to find."""

from dataclasses import dataclass

from offload.algorithms.blocks import reduced
from offload.entities import Observation, Plan, Request
from offload.planning.division import seen_division, solved
from offload.units import Weight


@dataclass
class Qdmp:
    """Divides a network between the device and one server where that takes least time.

    QDMP (Zhang et al., IMWUT 2020): the minimum cut of DADS, found quickly since most of the network is
    ruled out before anything is cut (`algorithms/blocks.py`, whose reduction is ours). The papers have
    one network, one server that is always free, and one rate. So: `variant` is the form to run, by
    default the most accurate one that meets the deadline in an idle world, else the quickest; the
    server is the quickest for it; reported waits are not looked at; inputs count as of the mean size.
    A plan holds as long as the rate stays within a range of `step`.

    By construction `qdmp`, `jointdnn` and, under light load, `dads` choose alike: the quickest listed
    cut of that division. They differ in how they find it and in what they would do with cuts that are
    not listed, `dads` also where frames come too quickly.

    A minimum cut may be no set of layers behind which the world can divide a network; then this takes
    the quickest listed cut. On the shipped profiles, over 34 866 choices of hardware (shipped, and
    x86-core made 1 to 30 times slower), input and rate (tests/benchmarks/cuts.py), that was slower in
    27: by 10 % at most for InceptionV4 with inputs of 6 MB, by 0.7 % for `fashion-cnn` with exits, and
    for no other network.
    """

    variant: str | None = None
    step: Weight = 0.1

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan for the cell's rate; what has begun goes on as it was sent."""
        del request
        if seen.begun is not None:
            return seen.begun
        return solved(seen_division(seen, self.variant, self.step), reduced)
