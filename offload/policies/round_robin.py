"""Each place in turn."""

from dataclasses import dataclass, field

from offload.entities import Observation, Plan, Request
from offload.planning.whole import places


@dataclass
class RoundRobin:
    """The places that can run a whole network take turns; with `device = false` the nodes only.

    First the device, then the nodes that the serving cell leads to in order of declaration. The form is
    the one that `local`, `edge` and `cloud` would run there. There is one count of turns for all
    devices, as in a dispatcher that all of them ask.
    """

    device: bool = True
    turn: int = field(default=-1, init=False, repr=False)

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan at the next place."""
        del request
        open_ = tuple(places(seen, device=self.device).values())
        self.turn += 1
        return open_[self.turn % len(open_)].plan
