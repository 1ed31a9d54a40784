"""The life of a request: born, asked about, served leg by leg, and written down as one row."""

from collections.abc import Callable, Generator, Sequence
from itertools import count
from operator import itemgetter

from offload.entities import Facts, Outcome, Plan, Question, Request
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
    Steps,
)
from offload.simulation.observing import Air, Book, Knowledge, Observer
from offload.simulation.stations import LATE, Batching, Dedicated, InOrder, Shared
from offload.simulation.trips import Servers, Stop, Trip, Ways, batch_member, trip
from offload.streams import Streams, uniforms
from offload.world import births

# What a Fate holds: quantiles of the execution time on DEVICE, EDGE and CLOUD (0, 1, 2), of the wires'
# jitter there and back, and the number that decides whether the answer is correct.
WIRE_OUT, WIRE_BACK, CORRECT = 3, 4, 5
FATE_NUMBERS = 6
NEVER = float("inf")

_question = itemgetter(0)

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
        self.end_s = setting.duration_s + setting.drain_s
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
        while True:
            self.clock.run_while_empty(self.asked, self.end_s)
            if not self.asked:
                break
            asked, self.asked = self.asked, []
            plans = yield tuple(map(_question, asked))
            for (question, device, fate), plan in zip(asked, plans, strict=True):
                way = self.trips.get((question.observation.facts, plan)) or self._trip(question, plan)
                journey = Journey(
                    self.clock, question.request, plan, fate, self._fail, question.request.born_s
                )
                self.under_way[question.request.id] = journey
                journey.steps = self._live(journey, way, device)
                journey.go_on()
        for journey in tuple(self.under_way.values()):
            self._end(journey, "unfinished", self.end_s)

    def _bear(self, number: int, source: Source) -> None:
        """Let a source of requests ask about each one when it is born."""
        device, facts, clock = source.device, source.facts, self.clock
        name = (device.name, facts.task, str(source.stream))
        coming = births.times(source.births, self.streams.generator("births", *name))
        fates = uniforms(self.streams.generator("fate", *name), FATE_NUMBERS)
        ids = count(number, len(self.setting.sources))
        compute, observe = self.compute[device.name], self.observer.observe
        last_s = self.setting.duration_s

        def born(_event: object) -> None:
            now, fate = clock.now, next(fates)
            request = Request(
                next(ids), device.name, device.group, facts.task, now, facts.deadline_s,
                facts.input_bytes,
            )  # fmt: skip
            seen = observe(now, device, compute, facts, fate)
            self.asked.append((Question(device.name, request, seen), device, fate))
            next_s = next(coming)
            if next_s < last_s:
                clock.at(next_s, born)

        first_s = next(coming)
        if first_s < last_s:
            clock.at(first_s, born)

    def _live(self, journey: Journey, way: Trip, device: Device) -> Steps:
        """A request's life from its plan on: each leg tells when it ends, or None if it will wake us."""
        enter, fate, joules = journey.enter, journey.fate, journey.joules
        due_s = journey.request.born_s + journey.request.deadline_s if way.drops_late else NEVER
        done_s: float | None = self.clock.now + way.overhead_s
        if way.overhead_s:
            yield done_s

        if way.device is not None:
            enter(ON_DEVICE)
            done_s = self._compute(journey, way.device, DEVICE, device, due_s)

        if way.air is not None:
            uplink, downlink = way.air
            if way.device is not None:
                yield done_s

            enter(UPLINK)
            coverage = device.place.presences[way.cell.name] if way.cell.shared else None
            yield uplink.send(device.name, way.up_air_s, journey.wake, due_s, coverage)
            if way.cell.shared:
                self.observer.sent(device.name, way.cell, way.up_bytes, journey.mark_s, self.clock.now)
            journey.up_bytes = way.up_bytes
            joules[DEVICE] += way.up_j

            if way.to_edge:
                enter(WAN)
                yield from self._forward(way.to_edge, way.up_bytes, fate[WIRE_OUT])
            if way.edge is not None:
                enter(AT_EDGE)
                yield self._compute(journey, way.edge, EDGE, device, due_s)

            if way.to_cloud:
                enter(WAN)
                yield from self._forward(way.to_cloud, way.mid_bytes, fate[WIRE_OUT])
            if way.cloud is not None:
                enter(IN_CLOUD)
                yield self._compute(journey, way.cloud, CLOUD, device, due_s)

            if way.back:
                enter(WAN)
                yield from self._forward(way.back, way.result_bytes, fate[WIRE_BACK])

            enter(DOWNLINK)
            done_s = downlink.send(device.name, way.down_air_s, journey.wake, NEVER, coverage)
            if done_s is None:
                yield None
                done_s = self.clock.now
            journey.down_bytes = way.result_bytes
            joules[DEVICE] += way.down_j

        # Nobody waits for the answer but a policy that learns from it: else it needs no event.
        if done_s is None or self.learn is not None:
            yield done_s
        if done_s is None:
            done_s = self.clock.now
        if done_s <= self.end_s:
            self._end(journey, "", done_s)

    def _compute(
        self, journey: Journey, stop: Stop, place: int, device: Device, due_s: float
    ) -> float | None:
        """Wait for a server and compute; tell when that ends, or None if a batch will wake us."""
        now = self.clock.now
        servers = stop.servers or self.compute[device.name]
        times = factor(stop.profile, journey.fate[place]) if stop.varies else 1.0
        if isinstance(servers, Batching):
            servers.join(batch_member(stop, times, due_s, journey, place))
            return None
        begins_s = servers.free[0]
        if begins_s > due_s:
            self.clock.at(begins_s, lambda _: journey.wake(LATE))
            return None
        seconds = stop.seconds * times
        journey.joules[place] += stop.marginal_w * seconds
        return servers.serve(now, seconds)

    def _forward(self, ways: Ways, payload_bytes: float, quantile: float) -> Steps:
        """Cross wires one after the other; a relay forwards whole messages."""
        for wire, queue in ways:
            sent_s = queue.serve(self.clock.now, payload_bytes * 8 / wire.rate_bps)
            yield sent_s + wire.delay_s + exponential(quantile) * wire.jitter_s

    def _end(self, journey: Journey, cause: str, ended_s: float) -> None:
        """Write the request's row."""
        accuracy = journey.plan.variant.accuracy
        correct = None if cause or accuracy is None else journey.fate[CORRECT] < accuracy.value
        outcome = journey.outcome(ended_s, cause, correct)
        del self.under_way[journey.request.id]
        self.outcomes.append(outcome)
        if self.learn is not None:
            self.learn(outcome)

    def _fail(self, journey: Journey, cause: str) -> None:
        self._end(journey, cause, self.clock.now)

    def _trip(self, question: Question, plan: Plan) -> Trip:
        """Look a plan up; it is checked the first time that it is met."""
        facts = question.observation.facts
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
        if cell.shared:
            return Shared(self.clock, cell.delay_s, cell.give_up_s)
        return Dedicated(self.clock, cell.delay_s)

    def _servers(self, name: str) -> Servers:
        node = self.setting.nodes[name]
        if node.batch_max == 1:
            return InOrder(node.servers)
        return Batching(self.clock, node.servers, node.batch_max, node.batch_wait_s)

    def _books(self) -> dict[str, Book]:
        books = {}
        for name, node in self.setting.nodes.items():
            mine = {c: air for c, air in self.airs.items() if self.setting.cells[c].node == name}
            delays = [s for (_, to), s in self.setting.delays.items() if to == name]
            book = books[name] = Book(node.report_every_s, max(delays, default=0.0), self.servers[name], mine)
            for station in (self.servers[name], *(air for pair in mine.values() for air in pair)):
                station.note = book.note
        return books
