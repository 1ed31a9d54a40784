"""The place with the least work before one."""

from dataclasses import dataclass

from offload.entities import Observation, Plan, Request
from offload.planning.whole import backlog_s, places


@dataclass
class LeastLoaded:
    """The whole network where the reported wait is shortest; with `device = false` at nodes only.

    Of equals the first: device, then nodes in order of declaration. The form is the one that `local`,
    `edge` and `cloud` would run there. A node that has not reported yet counts as idle. What the way
    there takes, and how quick a place computes, does not count. Reports are old: all who decide between
    two of them go to the same node (`power-of-d` does not).
    """

    device: bool = True

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan at the least loaded place."""
        del request
        open_ = places(seen, device=self.device)
        return open_[min(open_, key=lambda place: backlog_s(seen, place))].plan
