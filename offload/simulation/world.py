"""The life of a request: born, asked about, served leg by leg, and written down as one row."""

from collections.abc import Callable, Generator, Sequence

from simpy import Event

from offload.entities import Facts, Outcome, Plan, Profile, Question, Request
from offload.planning.columns import why_invalid
from offload.planning.price import exponential, factor
from offload.scenario.setup import Device, Setting, Source
from offload.simulation.clock import Clock
from offload.simulation.journey import (
    AT_EDGE,
    CLOUD,
    DEVICE,
    DOWNLINK,
    EDGE,
    IN_CLOUD,
    ON_DEVICE,
    UPLINK,
    WAN,
    Journey,
    Lost,
    Steps,
)
from offload.simulation.observing import Air, Book, Knowledge, Observer
from offload.simulation.stations import LATE, Batching, Dedicated, InOrder, Member, Shared
from offload.simulation.trips import Servers, Stop, Trip, Ways, trip
from offload.streams import Streams, uniforms
from offload.world import births

# What a Fate holds: quantiles of the execution time on device, edge and cloud, of the wires' jitter
# there and back, and the number that decides whether the answer is correct.
FATE = ("device", "edge", "cloud", "wire_out", "wire_back", "correct")
NEVER = float("inf")

Game = Generator[tuple[Question, ...], Sequence[Plan], None]


class InvalidPlanError(ValueError):
    """A policy's plan that the world cannot carry out: which request, and why."""


class World:
    """Devices, cells, wires and servers that move in time; the policy stays outside.

    `play()` runs until someone must decide, yields the questions and takes one plan for each. What is
    realised is a function of (the request's Fate, the plan, the time) alone, so that all policies
    meet the same world. Rows gather in `outcomes`.
    """

    def __init__(
        self,
        setting: Setting,
        streams: Streams,
        knowledge: Knowledge = "reported",
        learn: Callable[[Outcome], None] | None = None,
    ) -> None:
        self.setting = setting
        self.streams = streams
        self.learn = learn
        self.clock = Clock()
        self.compute = {device.name: InOrder() for device in setting.devices}
        self.airs = {name: (self._air(name), self._air(name)) for name in setting.cells}
        self.wires = {(w.name, end): InOrder() for w in setting.wires.values() for end in w.ends}
        self.servers = {name: self._servers(name) for name in setting.nodes}
        self.observer = Observer(
            knowledge, self._books(), self.airs, setting.cells, self.wires, setting.delays
        )
        self.trips: dict[tuple[Facts, Plan], Trip] = {}
        self.asked: list[tuple[Question, Device, list[float]]] = []
        self.under_way: dict[int, Journey] = {}
        self.outcomes: list[Outcome] = []
        for number, source in enumerate(setting.sources):
            self._bear(number, source)

    def play(self) -> Game:
        """Run the world: yield questions, be sent plans, until every request has its row.

        Raises InvalidPlanError.
        """
        end_s = self.setting.duration_s + self.setting.drain_s
        while True:
            self.clock.run_while_empty(self.asked, end_s)
            if not self.asked:
                break
            asked, self.asked = self.asked, []
            plans = yield tuple([question for question, _, _ in asked])
            for (question, device, fate), plan in zip(asked, plans, strict=True):
                way = self._trip(question, plan)
                journey = Journey(self.clock, question.request, plan, fate)
                self.under_way[question.request.id] = journey
                journey.steps = self._live(journey, way, device)
                journey.go_on()
        for journey in tuple(self.under_way.values()):
            self._end(journey, "unfinished")

    def _bear(self, number: int, source: Source) -> None:
        """Let a source of requests ask about each one when it is born."""
        device, facts, clock = source.device, source.facts, self.clock
        name = (device.name, facts.task, str(source.stream))
        coming = births.times(source.births, self.streams.generator("births", *name))
        fates = uniforms(self.streams.generator("fate", *name), len(FATE))
        compute, observe = self.compute[device.name], self.observer.observe
        last_s = self.setting.duration_s

        def born(event: Event) -> None:
            fate = next(fates)
            request = Request(
                event.value, device.name, device.group, facts.task, clock.now, facts.deadline_s,
                facts.input_bytes,
            )  # fmt: skip
            seen = observe(clock.now, device, compute, facts, fate)
            self.asked.append((Question(device.name, request, seen), device, fate))
            expect(event.value + len(self.setting.sources))

        def expect(next_id: int) -> None:
            next_s = next(coming)
            if next_s < last_s:
                clock.at(next_s, born, next_id)

        expect(number)

    def _live(self, journey: Journey, way: Trip, device: Device) -> Steps:
        """A request's life from its plan on, leg by leg."""
        enter, fate = journey.enter, journey.fate
        due_s = journey.request.born_s + journey.request.deadline_s if way.drops_late else NEVER
        try:
            if way.overhead_s:
                yield self.clock.now + way.overhead_s

            if way.device is not None:
                enter(ON_DEVICE)
                yield from self._compute(journey, way.device, DEVICE, device, due_s)

            if way.air is not None:
                uplink, downlink = way.air
                enter(UPLINK)
                yield from self._transmit(journey, way, uplink, way.up_air_s, device, due_s)
                journey.up_bytes = way.up_bytes

                if way.to_edge:
                    enter(WAN)
                    yield from self._forward(way.to_edge, way.up_bytes, fate[3])
                if way.edge is not None:
                    enter(AT_EDGE)
                    yield from self._compute(journey, way.edge, EDGE, device, due_s)

                if way.to_cloud:
                    enter(WAN)
                    yield from self._forward(way.to_cloud, way.mid_bytes, fate[3])
                if way.cloud is not None:
                    enter(IN_CLOUD)
                    yield from self._compute(journey, way.cloud, CLOUD, device, due_s)

                if way.back:
                    enter(WAN)
                    yield from self._forward(way.back, way.result_bytes, fate[4])
                enter(DOWNLINK)
                yield from self._transmit(journey, way, downlink, way.down_air_s, device, NEVER)
                journey.down_bytes = way.result_bytes
        except Lost as lost:
            self._end(journey, str(lost))
        else:
            self._end(journey, "")

    def _compute(
        self, journey: Journey, stop: Stop, place: int, device: Device, due_s: float
    ) -> Steps:
        """Wait for a server and compute. Of a batch, each member bears an equal share of the joules."""
        now = self.clock.now
        quantile = journey.fate[place]
        servers = stop.servers or self.compute[device.name]
        if isinstance(servers, Batching):
            member = Member(stop.seconds, factor(stop.profile, quantile), due_s, journey.wake)
            servers.join((stop.profile, stop.first, stop.last), member)
            yield None
            journey.joules[place] += stop.marginal_w * member.share_s
            journey.batch = member.batch
            return
        begins_s = servers.begins(now)
        if begins_s > due_s:
            yield begins_s
            raise Lost(LATE)
        seconds = stop.seconds * factor(stop.profile, quantile)
        journey.joules[place] += stop.marginal_w * seconds
        yield servers.serve(now, seconds)

    def _transmit(
        self, journey: Journey, way: Trip, air: Air, air_s: float, device: Device, due_s: float
    ) -> Steps:
        """Send over the cell, uplink or downlink, and let the message arrive."""
        begun_s, cell = self.clock.now, way.cell
        ends_s = air.send(device.name, air_s, journey.wake, due_s, device.place.presence(cell.name))
        if ends_s is None:
            yield None
            ends_s = self.clock.now
        journey.joules[DEVICE] += way.radio_w * air_s
        if journey.leg == UPLINK:
            self.observer.sent(device.name, cell.name, way.up_bytes, begun_s, ends_s)
        yield ends_s + cell.delay_s

    def _forward(self, ways: Ways, payload_bytes: float, quantile: float) -> Steps:
        """Cross wires one after the other; a relay forwards whole messages."""
        for wire, queue in ways:
            sent_s = queue.serve(self.clock.now, payload_bytes * 8 / wire.rate_bps)
            yield sent_s + wire.delay_s + exponential(quantile) * wire.jitter_s

    def _end(self, journey: Journey, cause: str) -> None:
        """Write the request's row."""
        accuracy = journey.plan.variant.accuracy
        correct = None if cause or accuracy is None else journey.fate[5] < accuracy.value
        outcome = journey.outcome(cause, correct)
        del self.under_way[journey.request.id]
        self.outcomes.append(outcome)
        if self.learn is not None:
            self.learn(outcome)

    def _trip(self, question: Question, plan: Plan) -> Trip:
        """Look a plan up; it is checked the first time that it is met."""
        facts = question.observation.facts
        try:
            return self.trips[facts, plan]
        except (KeyError, TypeError):
            reason = why_invalid(facts, plan)
        if reason is not None:
            request = question.request
            choices = ", ".join([v.label for v in facts.variants])
            msg = (
                f"the plan for request {request.id} (task {request.task} of {request.device}, at"
                f" {request.born_s:.6g} s) cannot be carried out: {reason}. Plan: {plan!r:.200}."
                f" Variants: {choices}; nodes: {', '.join(facts.nodes)}; cells:"
                f" {', '.join(facts.cells) or 'none'}"
            )
            raise InvalidPlanError(msg)
        found = self.trips[facts, plan] = trip(facts, plan, self.airs, self.servers, self.wires)
        return found

    def _air(self, name: str) -> Air:
        cell = self.setting.cells[name]
        return Shared(self.clock, cell.give_up_s) if cell.shared else Dedicated(self.clock)

    def _servers(self, name: str) -> Servers:
        node = self.setting.nodes[name]
        if node.batch_max == 1:
            return InOrder(node.servers)
        return Batching(self.clock, node.servers, node.batch_max, node.batch_wait_s, _batch_s)

    def _books(self) -> dict[str, Book]:
        books = {}
        for name, node in self.setting.nodes.items():
            mine = {c: air for c, air in self.airs.items() if self.setting.cells[c].node == name}
            book = books[name] = Book(node.report_every_s, self.servers[name], mine)
            for station in (self.servers[name], *(air for pair in mine.values() for air in pair)):
                station.note = book.note
        return books


def _batch_s(key: tuple[Profile, int, int], members: Sequence[Member]) -> float:
    """Seconds of a batch: its mean by size, times the largest factor among its members."""
    profile, first, last = key
    return profile.seconds(first, last, len(members)) * max(member.factor for member in members)
