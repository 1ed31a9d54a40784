"""A request under way: what wakes it, and where its time and energy have gone."""

from collections.abc import Callable, Generator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from offload.entities import Facts, Outcome, Plan, Request
from offload.scenario.setup import Device
from offload.simulation.air import HANDOVER, Hop
from offload.simulation.batching import Member
from offload.simulation.clock import Clock
from offload.simulation.frames import Frame
from offload.simulation.meters import Meter
from offload.simulation.queueing import Job, Queueing
from offload.simulation.stations import LATE, SHED, InOrder
from offload.simulation.trips import Away, Stop, Trip

# The legs, in the order of an Outcome's columns. Joules are spent in three places.
DECIDE, ON_DEVICE, UPLINK, AT_EDGE, WAN, IN_CLOUD, DOWNLINK = range(7)

Steps = Generator[float | None, None, None]
Fail = Callable[["Journey", str, float, float], None]


class Journey(Struct):
    """Carries a request's life from event to event, and keeps its accounts.

    The life is a generator: it yields the time at which it goes on, or None if a station will wake
    it. One event a leg, and no process. `fail(journey, cause, share, air_s)` is told if it ends early.
    `spent_s` has seven entries of nothing yet, one a leg, `joules` three, one a place.
    """

    clock: Clock
    request: Request
    device: Device
    compute: InOrder | Queueing
    facts: Facts
    fate: Sequence[float]
    fail: Fail
    mark_s: float
    spent_s: list[float]
    joules: list[float]
    hop: Hop | None  # of its device, where it has but one, of its own, and no meter
    meter: Meter | None  # of its device, where something draws energy beside its requests
    frame: Frame | None = None  # of which it is a part
    leg: int = DECIDE
    up_bytes: float = 0.0
    down_bytes: float = 0.0
    batch: int = 0
    load_s: float = 0.0
    money: float = 0.0
    price_per_byte: float = 0.0  # of what is being sent
    message_bytes: float = -1.0  # what is being sent (-1: what the trip says), its share, its air time
    share: float = 1.0
    air_s: float = 0.0
    plan: Plan = None  # type: ignore[assignment]  # comes with the answer, before it lives
    trip: Trip = None  # type: ignore[assignment]  # as above
    steps: Steps = None  # type: ignore[assignment]  # so does its life
    first_plan: Plan | None = None  # where another has taken its place
    attempts: int = 1
    refused: bool = False  # by a node, but it may go on at home

    def go_on(self, now: float) -> float | None:
        """Book the time of the leg that ends now, and live on; tell when the next ends, if one knows."""
        self.spent_s[self.leg] += now - self.mark_s
        self.mark_s = now
        return next(self.steps, None)

    def resume(self) -> None:
        """Go on, at a time that was not known before."""
        until_s = self.go_on(self.clock.now)
        if until_s is not None:
            self.clock.at(until_s, self.go_on)

    def wake(self, cause: str, share: float = 0.0, air_s: float = 0.0) -> None:
        """Go on, or end for a cause: what stations call.

        Of a message they tell what share of it was sent, and in what air time.
        """
        if not cause or cause == HANDOVER:
            self.share, self.air_s = share, air_s
            self.resume()
        elif cause == SHED and self.trip.falls_back and self.attempts > self.facts.retries:
            self.refused = True
            self.resume()
        else:
            if self.steps is not None:
                self.steps.close()
            self.fail(self, cause, share, air_s)

    def arrives(self, at_s: float, air_s: float) -> None:
        """Go on when a message will be there: what cells call as its last bit is sent."""
        self.share, self.air_s = 1.0, air_s
        self.clock.at(at_s, self.go_on)

    def too_late(self, _now: float) -> None:
        """End since a server would begin only now: what a clock calls."""
        self.wake(LATE)

    def again(self) -> "Journey":
        """Return the same request with its accounts, about which another decision is due."""
        now = self.clock.now
        self.spent_s[self.leg] += now - self.mark_s
        return replace(
            self,
            mark_s=now,
            leg=DECIDE,
            steps=None,
            first_plan=self.first_plan or self.plan,
            refused=False,
        )

    def went_up(self, away: Away) -> None:
        """Book a request that was sent whole at the nominal rate."""
        self.up_bytes += away.sent_bytes
        self.joules[0] += away.up_j
        self.money += away.up_money

    def came_down(self, away: Away) -> None:
        """Book a result that was sent whole at the nominal rate."""
        self.down_bytes += away.received_bytes
        self.joules[0] += away.down_j
        self.money += away.down_money

    def sent(self) -> None:
        """Book what has been sent of a message, and what that took."""
        if self.message_bytes < 0.0:
            away: Away = self.trip.away  # type: ignore[assignment]  # it is away
            up = self.leg == UPLINK
            self.message_bytes = away.sent_bytes if up else away.received_bytes
            self.price_per_byte = away.cell.price_per_byte
        size_bytes = self.share * self.message_bytes
        if self.leg == UPLINK:
            self.up_bytes += size_bytes
        else:
            self.down_bytes += size_bytes
        if not self.trip.away.pays:  # type: ignore[union-attr]  # it is away
            return
        self.money += self.price_per_byte * size_bytes
        radio, joules = self.facts.radio, 0.0
        if radio is not None:
            joules = (radio.up_j if self.leg == UPLINK else radio.down_j)(size_bytes, self.air_s)
            self.joules[0] += joules
        if self.meter is not None:
            self.meter.ended(self.request.id, self.clock.now)
            self.meter.spent(joules)

    def member(self, stop: Stop, times: float, due_s: float, place: int) -> Member:
        """Return what may join a batch: equal work is one range of layers of one variant."""
        profile, first, last = stop.profile, stop.first, stop.last

        def done(share_s: float, members: int) -> None:
            self.joules[place] += stop.marginal_w * share_s
            self.money += stop.price_per_s * share_s
            self.batch = members

        def seconds(members: int) -> float:
            return profile.seconds(first, last, members)

        return Member((profile, first, last), seconds, times, due_s, done, self.wake, stop.coding_s)

    def job(self, stop: Stop, times: float, due_s: float, place: int) -> Job:
        """Return what may wait by rank; loading weights costs time, and is not counted as computing."""
        seconds, request = stop.seconds * times, self.request
        deadline_s = request.born_s + request.deadline_s

        def begun(load_s: float, worked_s: float) -> None:
            self.joules[place] += stop.marginal_w * worked_s
            self.money += stop.price_per_s * worked_s
            self.load_s += load_s

        label = stop.profile.variant.label
        return Job(seconds, due_s, deadline_s, request.priority, label, begun, self.wake)

    def outcome(self, ended_s: float, cause: str, correct: bool | None) -> Outcome:
        """Close the accounts."""
        self.spent_s[self.leg] += ended_s - self.mark_s
        decide_s, device_s, uplink_s, edge_s, wan_s, cloud_s, downlink_s = self.spent_s
        energy_j, edge_j, cloud_j = self.joules
        return Outcome(  # by position: it is made once a request
            self.request,
            self.plan if self.first_plan is None else self.first_plan,
            self.plan,
            self.attempts,
            ended_s,
            cause,
            correct,
            decide_s,
            device_s,
            uplink_s,
            edge_s,
            wan_s,
            cloud_s,
            downlink_s,
            self.up_bytes,
            self.down_bytes,
            energy_j,
            edge_j,
            cloud_j,
            self.batch,
            None if cause else self.trip.exit,
            self.load_s,
            self.money,
        )
