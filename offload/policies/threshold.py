"""Stay or leave, by one number."""

from dataclasses import dataclass

from offload.entities import Observation, Plan, Request
from offload.planning.whole import Whole, places
from offload.units import BitsPerSecond, Joules, Seconds


@dataclass
class _Threshold:
    """Whole networks, on the device or at the node that would answer first without load.

    Each in the form that `local`, `edge` and `cloud` would run there. Where only one of the two is
    open, and at an edge node that is asked, no threshold matters.
    """

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan on the device or the one at the node."""
        open_ = places(seen)
        here = open_.get("device")
        nodes = [whole for place, whole in open_.items() if place != "device"]
        if not nodes and here is not None:
            return here.plan
        away = nodes[0] if len(nodes) == 1 else min(nodes, key=lambda whole: whole.latency_s)
        return away.plan if here is None or self.leaves(request, seen, here, away) else here.plan

    def leaves(self, request: Request, seen: Observation, here: Whole, away: Whole) -> bool:
        """Tell whether a request leaves the device."""
        raise NotImplementedError


@dataclass
class DeadlineThreshold(_Threshold):
    """Leave the device where its answer would come later than `deadline`.

    By default the request's own. What waits on the device counts; what waits elsewhere is not looked
    at: the node is the one that would answer first without load. Whole networks only, in the form that
    `local`, `edge` and `cloud` would run there. A baseline of no one author.
    """

    deadline: Seconds | None = None

    def leaves(self, request: Request, seen: Observation, here: Whole, away: Whole) -> bool:
        """Compare the latency of staying."""
        del away
        limit_s = request.deadline_s if self.deadline is None else self.deadline
        overhead_s = seen.facts.overhead_s
        return max(overhead_s, seen.backlog_s) + here.latency_s - overhead_s > limit_s


@dataclass
class EnergyThreshold(_Threshold):
    """Leave the device where computing there takes more than `energy`, or its battery is low.

    Kumar and Lu (IEEE Computer, 2010): offloading saves energy if computing takes more joules than
    sending; that is the default. Marginal joules of mean inputs at the cell's full rate. While less than
    `battery` is left in the device's own battery it leaves whatever that costs: sensible where waiting
    is cheap and computing is not. It goes to the node that would answer first without load; whole
    networks only, in the form that `local`, `edge` and `cloud` would run there.
    """

    energy: Joules | None = None
    battery: Joules = 0.0

    def leaves(self, request: Request, seen: Observation, here: Whole, away: Whole) -> bool:
        """Compare the joules of staying, and those that are left."""
        del request
        if seen.battery_j is not None and seen.battery_j < self.battery:
            return True
        return here.energy_j > (away.energy_j if self.energy is None else self.energy)


@dataclass
class BandwidthThreshold(_Threshold):
    """Leave the device where the uplink is expected to carry at least `bandwidth`.

    By default what sends the input in half of the deadline (our assumption; the rate at which leaving
    breaks even, as in Kumar and Lu, IEEE Computer, 2010, is what `quickest` finds). The expected rate is
    the cell's over one more than the devices active in its last report. It goes to the node that would
    answer first without load; whole networks only, in the form that `local`, `edge` and `cloud` would
    run there.
    """

    bandwidth: BitsPerSecond | None = None

    def leaves(self, request: Request, seen: Observation, here: Whole, away: Whole) -> bool:
        """Compare the rate up."""
        del here
        (cell,) = away.plan.uplinks or ("",)
        rate_bps = seen.uplinks[cell].rate_bps
        if self.bandwidth is None:
            return rate_bps * request.deadline_s / 2 >= 8 * request.input_bytes
        return rate_bps >= self.bandwidth
