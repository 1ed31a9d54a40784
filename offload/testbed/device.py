"""The process of a device: requests are born in it, and it does its part of each, or all of it."""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from torch import Tensor

from offload.dnn.codec import Codec, decode, named
from offload.dnn.wire import CodecError
from offload.entities import Facts, Observation, OffloadError, Plan, Question, Report, Request, Uplink
from offload.policies.protocol import Learns, Policy
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.simulation.answering import answering
from offload.simulation.refusing import check
from offload.simulation.run import fresh
from offload.streams import Streams
from offload.testbed import legs, process
from offload.testbed.certificates import Identity
from offload.testbed.channel import Address
from offload.testbed.link import until
from offload.testbed.log import LOG
from offload.testbed.message import MOST_BODY_BYTES, Answer, Ask, MessageError, Said, Stamp, State
from offload.testbed.node import Way
from offload.testbed.parts import RAW, Key, Parts, pixels_of
from offload.testbed.peer import Peer
from offload.testbed.shots import Shots
from offload.testbed.timing import Span

TELL_EVERY_S = 1.0
WATCH_EVERY_S = 0.05
MEET_S = 10.0
MOST_CLASSES = 100_000  # whose logits are kept


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


@dataclass(slots=True)
class Trip:
    """A request under way, and what is known of it so far."""

    request: Request
    facts: Facts
    plan: Plan
    decided_s: float
    number: int
    attempt: int = 1
    first_plan: Plan | None = None
    left_s: float = 0.0  # when it was given to the link
    up_bytes: float = 0.0
    down_bytes: float = 0.0
    device: Span | None = None
    device_work_s: float = 0.0
    spans: list[tuple[str, Span]] = field(default_factory=list)
    logits: list[float] = field(default_factory=list)


def main(spec: DeviceSpec, control: Connection) -> None:
    """Be a device until the other end of the control pipe says or goes: what a process runs."""
    process.begin(spec.core, spec.log)
    process.tell_failure(control, lambda: Device(spec, control).run())


class Device:
    """Lets requests be born, decides about each, and sees it through.

    Decisions are made as requests are born, in a thread of their own; this one computes, one request
    after the other; what is sent leaves in the order in which it came to the link.
    """

    def __init__(self, spec: DeviceSpec, control: Connection) -> None:
        self.spec, self.control = spec, control
        setting = spec.scenario.setting(spec.choice.overhead_s)
        group = next(each.group for each in setting.devices if each.name == spec.name)
        self.facts = {each.task: each for each in setting.facts if each.group == group}
        self.streams = Streams(spec.seed, 0)
        self.policy: Policy = fresh(spec.choice, self.streams)
        self.answer = answering(self.policy, spec.choice)
        self.checked: set[tuple[Facts, Plan]] = set()
        self.deciding = threading.Lock()
        self.parts: Parts = process.parts(spec.folder)
        self.shots = Shots(spec.frames, spec.seed)
        self.jobs: SimpleQueue[Trip | None] = SimpleQueue()
        self.lock = threading.Lock()
        self.waiting: dict[tuple[int, int], Trip] = {}  # for an answer
        self.under_way: set[int] = set()
        self.done: deque[legs.Done] = deque()
        self.nodes = {name for each in self.facts.values() for name in each.nodes}
        self.reports: dict[str, Report | None] = {}
        self.busy_until_s = 0.0
        self.begun_ns = 0
        self.plays = 0
        self.peer: Peer | None = None

    def run(self) -> None:
        """Prepare, and compute until told to stop."""
        spec = self.spec
        self.parts.prepare(spec.parts)
        for facts in self.facts.values():
            for variant in facts.variants:
                self.shots.prepare(variant)
        self.control.send(("ready", None))
        process.thread(self._obey, "control")
        while (trip := self.jobs.get()) is not None:
            self._compute(trip)
        if self.peer is not None:
            self.peer.close()

    def _obey(self) -> None:
        process.obey(self.control, {"spin": process.spin, "meet": self._meet, "play": self._play})
        self.jobs.put(None)

    def _meet(self, those: Mapping[str, Address]) -> None:
        """Connect to the site."""
        for name, address in those.items():
            tls = Identity(self.spec.folder, self.spec.name).client()
            self.peer = Peer(name, address, tls, self.spec.way.shape, None, self._heard, self._lost)
            self.peer.met.wait(MEET_S)

    @property
    def now_s(self) -> float:
        """Seconds since the present play began."""
        return self._in_play(time.monotonic_ns())

    def _play(self, given: tuple[int, Sequence[Request], float]) -> list[legs.Packed]:
        """Let requests be born and wait for their ends, no longer than the scenario's drain."""
        self.begun_ns, requests, drain_s = given
        self.plays += 1
        self.under_way = {request.id for request in requests}
        self.busy_until_s = 0.0
        told_s = 0.0
        watch = process.thread(self._watch, "watch")
        for number, request in enumerate(requests):
            self._prepare(request, number)
            until(self.begun_ns * 1e-9 + request.born_s)
            self._born(request, number)
            if self.now_s - told_s > TELL_EVERY_S and self.done:
                told_s = self.now_s
                self.control.send(("some", self._take_done()))
        end_s = (requests[-1].born_s if requests else 0.0) + drain_s
        while self.under_way and self.now_s < end_s:
            time.sleep(0.002)
        with self.lock:
            left, self.waiting = list(self.waiting.values()), {}
            self.under_way.clear()
        del left  # their rows say "unfinished", and are written by who began this
        watch.join()
        return self._take_done()

    def _take_done(self) -> list[legs.Packed]:
        return [legs.packed(self.done.popleft()) for _ in range(len(self.done))]

    def _born(self, request: Request, number: int) -> None:
        """Decide about a request, and begin with it."""
        facts = self.facts[request.task]
        seen = self._look(facts)
        plan = self._decide(request, seen)
        self._begin(Trip(request, facts, plan, self.now_s, number))

    def _decide(self, request: Request, seen: Observation) -> Plan:
        """Ask the policy. Raises PolicyError, InvalidPlanError."""
        question = Question(self.spec.name, request, seen)
        with self.deciding:
            (plan,) = self.answer([question])
        if (seen.facts, plan) not in self.checked:
            check(question, plan)
            self.checked.add((seen.facts, plan))
        return plan

    def _look(self, facts: Facts) -> Observation:
        """Return what the device knows now."""
        now_s, cell, uplinks, serving = self.now_s, self.spec.cell, {}, None
        if cell is not None and self.peer is not None:
            it = facts.cells[cell]
            up, queued_bytes = self.peer.up, float(self.peer.queued_bytes)
            uplinks[cell] = Uplink(cell, up, it.up_bps, it.down_bps, queued_bytes)
            serving = cell if up else None
        reports = {name: self.reports.get(name) for name in facts.nodes} if uplinks else {}
        backlog_s = max(0.0, self.busy_until_s - now_s)
        return Observation(now_s, backlog_s, serving, uplinks, reports, facts)

    def _begin(self, trip: Trip) -> None:
        plan = trip.plan
        if plan.on_device:
            expected_s = trip.facts.profiles["device"][plan.variant].seconds(0, plan.device_cut)
            self.busy_until_s = max(self.busy_until_s, self.now_s) + expected_s
            trip.left_s = self.now_s  # when it came to wait
            self.jobs.put(trip)
        else:
            self._send(trip, self.shots.take(plan.variant, trip.number)[1])

    def _prepare(self, request: Request, number: int) -> None:
        """Have the next frame ready, as a camera has it when a request is born."""
        for variant in self.facts[request.task].variants:
            self.shots.take(variant, number)

    def _codec(self, plan: Plan) -> Codec:
        return RAW if plan.codec is None else named(plan.codec, pixels_of(plan.variant.input_shape))

    def _keep_logits(self, trip: Trip, tensors: tuple[Tensor, ...]) -> None:
        """Keep what a classifier said, where somebody wants to see it."""
        if not (self.spec.shows and tensors):
            return
        said = tensors[0]
        if said.dim() == 2 and 0 < said.numel() <= MOST_CLASSES:
            trip.logits = said.dequantize()[0].float().tolist()

    def _compute(self, trip: Trip) -> None:
        """Do the device's part of a request: what a worker thread does."""
        request, plan = trip.request, trip.plan
        begun_s = self.now_s
        if trip.facts.late == "drop" and begun_s > request.born_s + request.deadline_s:
            self._end(trip, "late")
            return
        stays = plan.device_cut >= plan.end
        try:
            tensors = self.shots.take(plan.variant, trip.number)[0]
            if plan.device_cut:
                key = Key(plan.variant.label, 0, plan.device_cut)
                (tensors,) = self.parts.run(key, [tensors])
            body = b"" if stays else self._codec(plan).encode(tensors)
        except (OffloadError, RuntimeError) as error:  # RuntimeError: torch's
            LOG.warning("request %d: %s", request.id, error)
            self._end(trip, "failed")
            return
        done_s = self.now_s
        trip.device = Span(trip.left_s, begun_s, done_s)
        trip.device_work_s += done_s - begun_s
        if self.jobs.empty():
            self.busy_until_s = done_s
        if stays:
            self._keep_logits(trip, tensors)
            self._end(trip, "")
        else:
            self._send(trip, body)

    def _send(self, trip: Trip, body: bytes) -> None:
        """Send what crosses the device's cut, and wait for the answer."""
        request, plan, name = trip.request, trip.plan, self.spec.name
        pad = 0
        if (
            plan.device_cut == 0 and plan.codec is None
        ):  # the camera's file, as large as the scenario says
            pad = max(0, round(request.input_bytes) - len(body))
        stops = legs.stops(plan)
        # What comes late from an earlier play answers none of these, whatever its number was.
        key = self.plays << 40 | request.id, trip.attempt
        late_s = request.born_s + request.deadline_s
        deadline_ns = self.begun_ns + round(late_s * 1e9)
        due_ns = deadline_ns if trip.facts.late == "drop" else 0
        ask = Ask(
            *key, name, plan.variant.label, stops, due_ns, deadline_ns,
            request.priority, pad,
        )  # fmt: skip
        if due_ns and self.now_s > late_s:
            self._end(trip, "late")
            return
        trip.left_s = self.now_s
        with self.lock:
            self.waiting[key] = trip
        if self.peer is not None and self.peer.send(ask, body + bytes(pad) if pad else body):
            trip.up_bytes += len(body) + pad
        else:
            with self.lock:
                mine = self.waiting.pop(key, None)
            if mine is not None:
                self._fail(trip, "node-down")

    def _heard(self, said: Said, body: memoryview) -> None:
        """Take an answer, or a node's report: in the peer's thread."""
        if isinstance(said, State):
            if said.node in self.nodes:
                sent_s = min(self._in_play(said.sent_ns), self.now_s)  # no report is of the future
                self.reports[said.node] = Report(sent_s, said.backlog_s, {}, {})
            return
        if not isinstance(said, Answer):
            return
        with self.lock:
            trip = self.waiting.pop((said.id, said.attempt), None)
        if trip is None:  # it was given up
            return
        try:
            trip.spans = self._spans(trip, said.stamps)
            if not said.cause and self.spec.shows:
                self._keep_logits(trip, decode(body, MOST_BODY_BYTES))
        except (CodecError, MessageError) as error:
            LOG.warning("request %d: %s", trip.request.id, error)
            self._fail(trip, "malformed")
            return
        if said.cause:
            self._fail(trip, said.cause)
            return
        trip.down_bytes += len(body)
        self._end(trip, "")

    def _spans(self, trip: Trip, stamps: Sequence[Stamp]) -> list[tuple[str, Span]]:
        """Return nodes' stamps in seconds of this play. Raises MessageError for what cannot be."""
        found, times_s = [], [trip.left_s]
        for stamp in stamps:
            mine_s = [self._in_play(at) for at in (stamp.received_ns, stamp.begun_ns, stamp.done_ns)]
            found.append((stamp.node, Span(mine_s[0], mine_s[1], mine_s[2], stamp.batch)))
            times_s += mine_s
        times_s.append(self.now_s)
        if times_s != sorted(times_s):
            msg = "an answer with times that cannot be"
            raise MessageError(msg)
        return found

    def _in_play(self, clock_ns: int) -> float:
        """Return seconds of this play: on one machine all have one clock."""
        return (clock_ns - self.begun_ns) * 1e-9

    def _lost(self) -> None:
        """Whoever waits for an answer waits in vain: the connection is gone."""
        with self.lock:
            lost, self.waiting = list(self.waiting.values()), {}
        self.reports.clear()
        for trip in lost:
            self._fail(trip, "node-down")

    def _watch(self) -> None:
        """Give up what nobody answers, while a play lasts."""
        while self.under_way:
            time.sleep(WATCH_EVERY_S)
            now_s = self.now_s
            with self.lock:
                late = [
                    key for key, trip in self.waiting.items()
                    if now_s > trip.left_s + legs.patience_s(trip.facts, trip.plan, trip.up_bytes)
                ]  # fmt: skip
                gone = [self.waiting.pop(key) for key in late]
            for trip in gone:
                self._fail(trip, "no-answer")

    def _fail(self, trip: Trip, cause: str) -> None:
        """Try again, or do it all here, if the scenario lets the device; else that was that."""
        facts, variant = trip.facts, trip.plan.variant
        asks = cause in {"node-down", "no-answer", "shed"} and trip.attempt <= facts.retries
        home = facts.fallback == "device" and variant in facts.profiles["device"]
        if cause == "late" or not (asks or home) or trip.request.id not in self.under_way:
            self._end(trip, cause)
            return
        trip.first_plan = trip.first_plan or trip.plan
        trip.attempt += 1
        trip.spans = []
        if asks:
            try:
                trip.plan = self._decide(trip.request, self._look(facts))
            except OffloadError as error:
                LOG.warning("%s", error)
                self._end(trip, "failed")
                return
        else:
            trip.plan = Plan(variant, variant.last, variant.last)
        self._begin(trip)

    def _end(self, trip: Trip, cause: str) -> None:
        """Write the request's row."""
        if trip.request.id not in self.under_way:
            return
        self.under_way.discard(trip.request.id)
        outcome, timing = legs.outcome(trip, cause, self.now_s)
        name = self.shots.name(trip.plan.variant, trip.number) if self.spec.shows else ""
        self.done.append((outcome, timing, (name, trip.logits)))
        if isinstance(self.policy, Learns):
            with self.deciding:
                self.policy.learn(outcome)
