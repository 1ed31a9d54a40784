"""The process of a device: requests are born in it, and it does its part of each, or all of it."""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from offload.dnn.codec import Codec, decode, named
from offload.dnn.wire import CodecError
from offload.entities import Facts, Observation, OffloadError, Plan, Report, Request, Uplink
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.streams import Streams
from offload.testbed import legs, process
from offload.testbed.certificates import Identity
from offload.testbed.channel import Address
from offload.testbed.classes import logits
from offload.testbed.decisions import Decisions
from offload.testbed.legs import Trip
from offload.testbed.link import until
from offload.testbed.log import LOG
from offload.testbed.message import MOST_BODY_BYTES, Answer, Ask, MessageError, Said, State
from offload.testbed.node import Way
from offload.testbed.parts import RAW, Key, Parts, pixels_of
from offload.testbed.peer import Peer
from offload.testbed.pending import Pending
from offload.testbed.shots import Shots
from offload.testbed.timing import Span

TELL_EVERY_S = 1.0
SHOW_EVERY_S = 0.1  # where somebody looks on
WATCH_EVERY_S = 0.05
MEET_S = 10.0
HELD = 500  # requests that wait for the device with their frames; of others these are taken again


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """What a device's process must know. It has no `site` where it can do nothing but compute itself."""

    name: str
    scenario: Scenario
    choice: Choice
    folder: Path
    seed: int
    core: int | None
    site: str | None
    cell: str | None
    way: Way
    parts: tuple[Key, ...]
    frames: str = ""
    shows: bool = False
    log: Path | None = None
    space: Path | None = None


def main(spec: DeviceSpec, control: Connection) -> None:
    """Be a device until the other end of the control pipe says or goes: what a process runs."""

    def live() -> None:
        process.begin(spec.core, spec.log, spec.space)
        Device(spec, control).run()

    process.tell_failure(control, live)


class Device:
    """Lets requests be born, decides about each, and sees it through.

    Decisions are made as requests are born, in a thread of their own; this one computes, one request
    after the other; what is sent leaves in the order in which it came to the link. Others hear the site,
    give up what is not answered, and tell of rows.
    """

    def __init__(self, spec: DeviceSpec, control: Connection) -> None:
        self.spec, self.control = spec, control
        setting = spec.scenario.setting(spec.choice.overhead_s)
        group = next(each.group for each in setting.devices if each.name == spec.name)
        self.facts = {each.task: each for each in setting.facts if each.group == group}
        # One device draws what the simulator's policy does; several must not all draw the same.
        owner = (spec.name,) if len(setting.devices) > 1 else ()
        self.decisions = Decisions(spec.name, spec.choice, Streams(spec.seed, 0), *owner)
        self.parts: Parts = process.parts(spec.folder)
        self.shots = Shots(spec.frames, spec.seed)
        self.jobs: SimpleQueue[Trip | None] = SimpleQueue()
        self.ended = False
        self.lock = threading.Lock()  # never held while another is asked for
        self.under_way: dict[int, Trip | None] = {}  # what has no row yet; None: it is not born
        self.pending = Pending()
        self.over = threading.Event()  # the play is
        self.over.set()
        self.done: deque[legs.Done] = deque()
        self.nodes = {name for each in self.facts.values() for name in each.nodes}
        self.states: dict[str, State] = {}
        self.queued_s = 0.0  # of work that waits for the device
        self.free_s = 0.0  # when it should have done what it is at
        self.begun_ns = 0
        self.plays = 0
        self.peer: Peer | None = None

    def run(self) -> None:
        """Prepare, and compute until told to stop."""
        spec = self.spec
        self.parts.prepare(spec.parts)
        for facts in self.facts.values():
            most = max((self.shots.prepare(variant) for variant in facts.variants), default=0)
            if most > facts.input_bytes:
                told = "%s: frames are files of up to %d bytes, more than the %g of %s, and are sent so"
                LOG.warning(told, spec.name, most, facts.input_bytes, facts.task)
        self.control.send(("ready", None))
        process.thread(self._obey, "control")
        while (trip := self.jobs.get()) is not None and not self.ended:
            self._compute(trip)
        if self.peer is not None:
            self.peer.close()

    def _obey(self) -> None:
        process.obey(self.control, {"spin": process.spin, "meet": self._meet, "play": self._play})
        self.ended = True
        self.jobs.put(None)

    def _meet(self, those: Mapping[str, Address]) -> None:
        """Connect to the site."""
        for name, address in those.items():
            tls = Identity(self.spec.folder, self.spec.name).client()
            self.peer = Peer(name, address, tls, self.spec.way.shape, None, self._heard, self._lost)
            if not self.peer.met.wait(MEET_S):
                LOG.warning("%s has not reached %s yet: %s", self.spec.name, name, self.peer.why)

    @property
    def now_s(self) -> float:
        """Seconds since the present play began."""
        return self._in_play(time.monotonic_ns())

    def _play(self, given: tuple[int, Sequence[Request], float]) -> None:
        """Let requests be born and wait for their ends, but no longer than until the play is over.

        What has no row then is unfinished; of what was not even born the row is left to who began this.
        Raises PictureError, and what a policy's failure raises.
        """
        self.begun_ns, requests, end_s = given
        self.plays += 1
        self.under_way = dict.fromkeys(request.id for request in requests)
        self.free_s = 0.0
        self.over.clear()
        others = [process.thread(self._watch, "watch"), process.thread(self._tell, "tell")]
        try:
            for number, request in enumerate(requests):
                self._prepare(request, number)
                until(self.begun_ns * 1e-9 + request.born_s)
                if self.decisions.broken is not None or self.now_s > end_s:
                    break
                self._born(request, number)
            while self.under_way and self.decisions.broken is None and self.now_s < end_s:
                time.sleep(0.002)
        finally:
            for trip in list(self.under_way.values()):
                if trip is not None:
                    self._end(trip, "unfinished")
            self.under_way = {}
            self.over.set()
            self.pending.clear()
            for each in others:
                each.join()
        if self.decisions.broken is not None:
            raise self.decisions.broken

    def _tell(self) -> None:
        """Tell of rows now and then while a play lasts, and of the last."""
        every_s, over = SHOW_EVERY_S if self.spec.shows else TELL_EVERY_S, False
        while not over:
            over = self.over.wait(every_s)
            if rows := [legs.packed(self.done.popleft()) for _ in range(len(self.done))]:
                with suppress(OSError):  # then nobody wants to know
                    self.control.send(("some", rows))

    def _born(self, request: Request, number: int) -> None:
        """Decide about a request, and begin with it."""
        facts = self.facts[request.task]
        plan = self.decisions.decide(request, self._look(facts))
        trip = Trip(request, facts, plan, self.now_s, number, self.plays)
        self.under_way[request.id] = trip
        self._begin(trip)

    def _look(self, facts: Facts) -> Observation:
        """Return what the device knows now."""
        now_s, cell, uplinks, serving = self.now_s, self.spec.cell, {}, None
        if cell is not None and self.peer is not None:
            it = facts.cells[cell]
            up, queued_bytes = self.peer.up, float(self.peer.queued_bytes)
            uplinks[cell] = Uplink(cell, up, it.up_bps, it.down_bps, queued_bytes)
            serving = cell if up else None
        reports = {name: self._report(name) for name in facts.nodes} if uplinks else {}
        backlog_s = max(0.0, self.queued_s) + max(0.0, self.free_s - now_s)
        return Observation(now_s, backlog_s, serving, uplinks, reports, facts)

    def _report(self, name: str) -> Report | None:
        """Return what a node said last, by the clock of this play."""
        said = self.states.get(name)
        if said is None:
            return None
        sent_s = min(self._in_play(said.sent_ns), self.now_s)  # no report is of the future
        return Report(sent_s, said.backlog_s, {}, {})

    def _begin(self, trip: Trip) -> None:
        plan = trip.plan
        trip.came_s, trip.left_s = self.now_s, 0.0
        if plan.on_device:
            if self.jobs.qsize() < HELD:
                trip.shot = self.shots.take(plan.variant, trip.number)
            trip.expected_s = legs.expected_s(trip.facts, plan)[0]
            with self.lock:
                self.queued_s += trip.expected_s
            self.jobs.put(trip)
        else:
            self._send(trip, self.shots.take(plan.variant, trip.number)[1])

    def _prepare(self, request: Request, number: int) -> None:
        """Have the next frame ready, as a camera has it when a request is born."""
        for variant in self.facts[request.task].variants:
            self.shots.take(variant, number)

    def _codec(self, plan: Plan) -> Codec:
        return RAW if plan.codec is None else named(plan.codec, pixels_of(plan.variant.input_shape))

    def _compute(self, trip: Trip) -> None:
        """Do the device's part of a request: what the main thread does."""
        begun_s = self.now_s
        with self.lock:
            self.queued_s -= trip.expected_s
        request, plan = trip.request, trip.plan
        if self.under_way.get(request.id) is not trip:  # its play is over
            return
        if trip.facts.late == "drop" and begun_s > request.born_s + request.deadline_s:
            self._end(trip, "late")
            return
        stays = plan.device_cut >= plan.end
        self.free_s = begun_s + trip.expected_s
        try:
            shot = trip.shot or self.shots.take(plan.variant, trip.number)
            tensors, trip.shot = shot[0], None
            if plan.device_cut:
                key = Key(plan.variant.label, 0, plan.device_cut)
                (tensors,) = self.parts.run(key, [tensors])
            body = b"" if stays else self._codec(plan).encode(tensors)
        except (OffloadError, RuntimeError) as error:  # RuntimeError: torch's
            LOG.warning("request %d: %s", request.id, error)
            self._end(trip, "failed")
            return
        finally:
            self.free_s = 0.0
        done_s = self.now_s
        trip.device = Span(trip.came_s, begun_s, done_s)
        trip.device_work_s += done_s - begun_s
        if stays:
            if self.spec.shows:
                trip.logits = logits(tensors)
            self._end(trip, "")
        else:
            self._send(trip, body)

    def _send(self, trip: Trip, body: bytes) -> None:
        """Send what crosses the device's cut, and wait for the answer."""
        request, plan, peer = trip.request, trip.plan, self.peer
        if self.under_way.get(request.id) is not trip:  # its play is over
            return
        late_s = request.born_s + request.deadline_s
        drops = trip.facts.late == "drop"
        if drops and self.now_s > late_s:
            self._end(trip, "late")
            return
        pad = 0
        if plan.device_cut == 0 and plan.codec is None:  # a camera's file, as large as the scenario says
            pad = max(0, round(request.input_bytes) - len(body))
        # What comes late from an earlier play answers none of these, whatever its number was.
        key = trip.play << 40 | request.id, trip.attempt
        deadline_ns = self.begun_ns + round(late_s * 1e9)
        ask = Ask(
            *key, self.spec.name, plan.variant.label, legs.stops(plan), deadline_ns if drops else 0,
            deadline_ns, request.priority, pad,
        )  # fmt: skip
        size = len(body) + pad
        if size > MOST_BODY_BYTES:
            LOG.warning("request %d: %d bytes are more than a message may have", request.id, size)
            self._end(trip, "failed")
            return
        trip.left_s = self.now_s
        trip.until_s = trip.left_s + self._patience_s(trip, size)
        trip.up_bytes += size
        self.pending.put(key, trip)
        late = (deadline_ns * 1e-9, partial(self._unsent, key, size, "late")) if drops else None
        if peer is None or not peer.send(ask, body + bytes(pad) if pad else body, late):
            self._unsent(key, size, "node-down")

    def _patience_s(self, trip: Trip, size: int) -> float:
        plan = trip.plan
        queued = size + (0 if self.peer is None else self.peer.queued_bytes)
        those = (self.states.get(name) for name in (plan.edge, plan.cloud) if name is not None)
        backlog_s = sum(each.backlog_s for each in those if each is not None)
        return legs.patience_s(trip.facts, plan, queued, backlog_s)

    def _unsent(self, key: tuple[int, int], size: int, cause: str) -> None:
        """Take back what was not sent after all."""
        trip = self.pending.take(key)
        if trip is not None:  # else it was given up meanwhile
            trip.up_bytes -= size
            self._fail(trip, cause)

    def _heard(self, said: Said, body: memoryview) -> None:
        """Take an answer, or a node's report: in the peer's thread."""
        if isinstance(said, State):
            if said.node in self.nodes:
                self.states[said.node] = said
            return
        if not isinstance(said, Answer):
            return
        trip = self.pending.take((said.id, said.attempt))
        if trip is None:  # it was given up
            return
        try:
            trip.spans = legs.spans(said.stamps, self.begun_ns, trip.left_s, self.now_s)
            if not said.cause and self.spec.shows:
                trip.logits = logits(decode(body, MOST_BODY_BYTES))
        except (CodecError, MessageError) as error:
            LOG.warning("request %d: %s", trip.request.id, error)
            self._fail(trip, "malformed")
            return
        if said.cause:
            self._fail(trip, said.cause)
            return
        trip.down_bytes += len(body)
        self._end(trip, "")

    def _in_play(self, clock_ns: int) -> float:
        """Return seconds of this play: on one machine all have one clock."""
        return (clock_ns - self.begun_ns) * 1e-9

    def _lost(self) -> None:
        """Whoever waits for an answer waits in vain: the connection is gone."""
        self.states.clear()
        for trip in self.pending.take_all():
            self._fail(trip, "node-down")

    def _watch(self) -> None:
        """Give up what nobody answers, and try again what may be, while a play lasts."""
        while not self.over.is_set():
            gone, again, next_s = self.pending.due(self.now_s)
            for trip in gone:
                self._fail(trip, "no-answer")
            for trip, asks in again:
                self._again(trip, asks=asks)
            self.pending.wait(min(WATCH_EVERY_S, next_s - self.now_s))

    def _fail(self, trip: Trip, cause: str) -> None:
        """Let it be tried again, or done here, if the scenario lets the device; else that was that."""
        facts = trip.facts
        asks = cause in {"node-down", "no-answer", "shed"} and trip.attempt <= facts.retries
        home = facts.fallback == "device" and trip.plan.variant in facts.profiles["device"]
        if cause == "late" or not (asks or home):
            self._end(trip, cause)
            return
        # As in the simulator: who was turned away and does not ask again goes on at once.
        at_s = self.now_s + (0.0 if cause == "shed" and not asks else facts.retry_after_s)
        self.pending.try_at(at_s, trip, asks=asks)

    def _again(self, trip: Trip, *, asks: bool) -> None:
        """Ask the policy again about a request that failed, or do all of it here."""
        if self.under_way.get(trip.request.id) is not trip:  # its play is over
            return
        variant = trip.plan.variant
        trip.first_plan = trip.first_plan or trip.plan
        trip.device, trip.spans = None, []
        try:
            if asks:
                plan = self.decisions.decide(trip.request, self._look(trip.facts))
            else:
                plan = Plan(variant, variant.last, variant.last)
            trip.attempt, trip.plan = trip.attempt + 1, plan
            self._begin(trip)
        except OffloadError as error:
            LOG.warning("request %d: %s", trip.request.id, error)
            self._end(trip, "failed")

    def _end(self, trip: Trip, cause: str) -> None:
        """Write the request's row, if it has none and its play lasts."""
        outcome, timing = legs.outcome(trip, cause, self.now_s)
        name = self.shots.name(trip.plan.variant, trip.number) if self.spec.shows else ""
        with self.lock:
            if self.under_way.get(trip.request.id) is not trip:
                return
            del self.under_way[trip.request.id]
            self.done.append((outcome, timing, (name, trip.logits)))
        self.decisions.learn(outcome)
