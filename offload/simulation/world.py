"""The life of a request: born, asked about, served leg by leg, and written down as one row."""

from collections.abc import Callable, Generator, Sequence

from msgspec.structs import replace as with_changes

from offload.entities import Facts, Knowledge, Outcome, Plan, Question
from offload.planning.luck import exponential, factor
from offload.scenario.setup import Device, Setting, Source
from offload.simulation import plain, refusing, setbacks, stage
from offload.simulation.air import NO_ROUTE, OUT_OF_RANGE
from offload.simulation.arrivals import CLOUD, CORRECT, DEVICE, EDGE, WIRE_BACK, WIRE_OUT, Arrivals
from offload.simulation.asking import Desk
from offload.simulation.batching import Batching
from offload.simulation.clock import Clock
from offload.simulation.frames import Frame
from offload.simulation.journey import (
    AT_EDGE,
    DOWNLINK,
    IN_CLOUD,
    ON_DEVICE,
    UPLINK,
    WAN,
    Journey,
    Steps,
)
from offload.simulation.meters import NO_POWER
from offload.simulation.observing import Observer
from offload.simulation.roaming import Roaming, send
from offload.simulation.sessions import Sessions
from offload.simulation.stations import InOrder
from offload.simulation.trips import Away, Fork, Stop, Trip, Ways, look_up, ways
from offload.streams import Streams, uniforms
from offload.world import births
from offload.world.wires import of_message

UNFINISHED = "unfinished"
NEVER = float("inf")

Game = Generator[tuple[Question, ...], Sequence[Plan], None]


class World:
    """Devices, cells, wires and servers that move in time; the policy stays outside.

    `play()` runs until someone must decide, yields the questions and takes one plan for each. What is
    realised is a function of (the request's Fate, the plan, the time) alone, so that all policies
    meet the same world. Rows gather in `outcomes`.

    With `slot_s`, devices ask together at its multiples; requests wait until then.
    """

    def __init__(
        self,
        setting: Setting,
        streams: Streams,
        knowledge: Knowledge = "reported",
        learn: Callable[[Outcome], None] | None = None,
        slot_s: float = 0.0,
    ) -> None:
        self.setting = setting
        self.streams = streams
        self.learn = learn
        self.clock = Clock()
        self.end_s = setting.duration_s + setting.drain_s
        self.airs = stage.airs(self.clock, setting)
        self.wires = stage.wires(setting)
        self.compute, self.servers = stage.servers(self.clock, setting)
        books = stage.books(setting, self.servers, self.airs)
        self.observer = Observer(
            knowledge, books, self.airs, setting.cells, self.wires, setting.delays, setting.between
        )
        self.sessions = Sessions(self.clock, setting)
        self.roaming = Roaming(
            self.clock, setting.cells, self.airs, self.wires, self.sessions, self.forward
        )
        self.trips: dict[tuple[Facts, Plan], Trip | Fork] = {}
        self.scenes = stage.scenes(setting)
        self.under_way: dict[int, Journey] = {}
        self.frames: dict[int, Frame] = {}  # of several networks, that have no row yet
        self.desk = Desk(self.clock, self.observer, self.under_way, slot_s)
        self.outcomes: list[Outcome] = []
        self.meters = stage.meters(
            self.clock,
            setting,
            self.compute,
            lambda device: self.cut_off(device, NO_POWER),
            self.is_over,
        )
        self.hops = stage.hops(setting, self.airs, self.meters)
        # Where one server does all, one by one, and nobody minds that rows come ahead of time, answers
        # that go home over a hop of their own are told as their requests come to it: none overtakes.
        plainly = learn is None and not self.meters
        self.only_server = stage.only_server(self.servers) if plainly else None
        for device in setting.devices:
            if device.leaves_s <= self.end_s:
                setbacks.expect_leaving(self, device)
        for name in setting.nodes:
            if name in setting.speeds:
                setbacks.expect_faults(self, books[name], self.servers[name], setting.speeds[name])
        for number, source in enumerate(setting.sources):
            self._bear(number, source)

    def play(self) -> Game:
        """Run the world: yield questions, be sent plans, until every request has its row.

        Raises InvalidPlanError.
        """
        asked = self.desk.asked
        while True:
            self.clock.run_while_empty(asked, self.end_s)
            if not asked:
                break
            questions = tuple(asked)
            asked.clear()
            plans = yield questions
            if len(plans) != len(questions):
                msg = f"{len(plans)} plans for {len(questions)} questions; answer each with one"
                raise refusing.InvalidPlanError(msg)
            for question, plan in zip(questions, plans):  # noqa: B905 - of one length
                journey = self.under_way[question.request.id]
                try:
                    way = self.trips[journey.facts, plan]
                except (KeyError, TypeError):  # new, or no plan at all
                    way = self._look_up(question, plan)
                if isinstance(way, Fork):
                    way = way.trip(journey.fate[CORRECT], question.request.input_bytes)
                if journey.steps is None:
                    if way.plain is not None and journey.hop and not journey.frame:
                        journey.steps = plain.live(self, journey, way.plain)
                    else:
                        journey.steps = self._live(journey, way)
                else:  # it has come to a node that decides where it goes on
                    refusing.check_onward(question, plan)
                    journey.first_plan = journey.first_plan or journey.plan
                journey.plan, journey.trip = plan, way
                journey.resume()
        self._close()

    def _close(self) -> None:
        """End all that is under way."""
        for air in [air for pair in self.airs.values() for air in pair]:
            air.close(self.end_s, UNFINISHED)
        for journey in tuple(self.under_way.values()):
            self._fail(journey, UNFINISHED)

    def _bear(self, number: int, source: Source) -> None:
        """Let a source of requests bear its first."""
        device, parts = source.device, source.parts
        name = (device.name, source.facts.task, str(source.stream))
        chance = self.streams.generator
        stages = [part.facts.stage for part in parts if part.facts.stage is not None]
        Arrivals(
            clock=self.clock,
            device=device,
            compute=self.compute[device.name],
            part=parts[0],
            parts=parts,
            ask=self.desk.ask,
            under_way=self.under_way,
            frames=self.frames,
            fail=self._fail,
            births=births.times(
                source.births, chance("births", *name), from_s=max(0.0, device.enters_s)
            ),
            chance=chance("fate", *name),
            sizes=None if parts[0].inputs.equal else uniforms(chance("sizes", *name)),
            chances=[chance("fate", *name, stage_) for stage_ in stages],
            scenes=self.scenes,
            last_s=min(self.setting.duration_s, device.leaves_s),
            next_id=number,
            id_step=len(self.setting.sources),
            meter=self.meters.get(device.name),
            hop=self.hops.get(device.name),
        ).expect()

    def _live(self, journey: Journey, way: Trip) -> Steps:  # noqa: C901, PLR0912, PLR0915 - one life, one page
        """A request's life from its plan on: each leg tells when it ends, or None if it will wake us."""
        device, fate = journey.device, journey.fate
        due_s = journey.request.born_s + journey.request.deadline_s if way.drops_late else NEVER
        if way.overhead_s:
            yield self.clock.now + way.overhead_s

        done_s: float | None = None
        back_s: float | None = None
        if way.device is not None:
            journey.leg = ON_DEVICE
            done_s = self.compute_at(journey, way.device, DEVICE, due_s)

        away = way.away
        if away is not None:
            if way.device is not None:
                yield done_s

            journey.leg = UPLINK
            cell, sent_s, to_edge, to_cloud = away.cell, self.clock.now, away.to_edge, away.to_cloud
            steady = device.place.steady and journey.meter is None
            roams = not steady and cell.interruption_s is not None
            if cell.toll.handshake_s and not roams:
                yield from self.sessions.opened(device.name, cell)
                sent_s = self.clock.now
            if steady:
                yield away.uplink.send(device.name, away.up_air_s, journey, due_s)
                journey.went_up(away)
            elif roams:
                cell, sent_s, to_edge, to_cloud = yield from self.roaming.up(journey, away, due_s)
            else:
                yield send(journey, away.uplink, away.sent_bytes, away.up_air_s, cell.name, due_s)
                journey.sent()
            if cell.shared:
                self.observer.sent(device.name, cell, away.sent_bytes, sent_s, self.clock.now)
            if cell.toll.s_per_byte:
                yield self.clock.now + cell.toll.s_per_byte * away.up_bytes

            if to_edge:
                journey.leg = WAN
                yield from self.forward(journey, to_edge, away.up_bytes, fate[WIRE_OUT])
            if away.asks:
                away, to_cloud = yield from self._ask(journey)
            if away.edge is not None:
                journey.leg = AT_EDGE
                ends_s = self.compute_at(journey, away.edge, EDGE, due_s)
                if away.edge.servers is self.only_server and journey.hop and ends_s is not None:
                    back_s = away.downlink.book(device.name, away.down_air_s, ends_s)  # type: ignore[union-attr]
                yield ends_s

            if to_cloud and not journey.refused:
                journey.leg = WAN
                yield from self.forward(journey, to_cloud, away.mid_bytes, fate[WIRE_OUT])
            if away.cloud is not None and not journey.refused:
                journey.leg = IN_CLOUD
                yield self.compute_at(journey, away.cloud, CLOUD, due_s)

            if journey.refused:
                yield from setbacks.refused(self, journey, away, cell)
                done_s = setbacks.at_home(self, journey, due_s)
            elif roams:
                yield from self.roaming.down(journey, away)
                done_s = self.clock.now
            else:
                if away.back:
                    journey.leg = WAN
                    yield from self.forward(journey, away.back, away.result_bytes, fate[WIRE_BACK])
                journey.leg = DOWNLINK
                if cell.toll.handshake_s:
                    yield from self.sessions.opened(device.name, cell)
                if back_s is not None:
                    done_s = back_s
                elif steady:
                    done_s = away.downlink.send(device.name, away.down_air_s, journey, NEVER)
                else:
                    down = away.downlink, away.received_bytes, away.down_air_s
                    done_s = send(journey, *down, cell.name, NEVER)
                if done_s is None or journey.meter is not None:
                    yield done_s
                    done_s = self.clock.now
                if steady:
                    journey.came_down(away)
                else:
                    journey.sent()
                done_s += cell.toll.s_per_byte * away.result_bytes

        # Only a policy that learns, a frame that goes on, and a device that may lose its power wait for
        # the answer: else it needs no event.
        if done_s is None or self.learn or journey.frame or journey.meter:
            yield done_s
            done_s = self.clock.now
        self.came_home(journey, done_s)

    def came_home(self, journey: Journey, done_s: float) -> None:
        """Write the row of an answer that comes while the run lasts and the device is there."""
        if done_s <= self.end_s and done_s < journey.device.leaves_s:
            self.end(journey, "", done_s)

    def compute_at(self, journey: Journey, stop: Stop, place: int, due_s: float) -> float | None:
        """Wait for a server and compute; tell when that ends, or None if the station will wake us."""
        now = self.clock.now
        servers = stop.servers or journey.compute
        times = factor(stop.profile, journey.fate[place]) if stop.varies else 1.0
        if not isinstance(servers, InOrder):
            if isinstance(servers, Batching):
                servers.join(journey.member(stop, times, due_s, place))
            else:
                servers.join(journey.job(stop, times, due_s, place))
            return None
        if due_s < NEVER:
            free_s = servers.free[0]
            begins_s = free_s if free_s > now else now
            if begins_s > due_s:
                self.clock.at(begins_s, journey.too_late)
                return None
        seconds = stop.seconds * times
        journey.joules[place] += stop.marginal_w * seconds
        ends_s = servers.serve(now, seconds)
        if stop.pays:
            journey.money += stop.price_per_s * seconds
            if place == DEVICE and journey.meter is not None:
                journey.meter.computes(ends_s, journey.joules)
        return ends_s

    def _ask(self, journey: Journey) -> Generator[float | None, None, tuple[Away, Ways]]:
        """Let the edge node to which a request has come decide where it goes on, and bring it there.

        Only the first such node is asked, so that none goes round and round. Returns what is asked of
        others now, and the way to the cloud.
        """
        journey.leg = AT_EDGE
        now, facts, here = self.clock.now, journey.facts, journey.plan.edge or ""
        left_s = journey.request.born_s + journey.request.deadline_s - now
        seen = self.observer.observe_at(here, now, facts, journey.plan)
        self.desk.asked.append(Question(here, with_changes(journey.request, deadline_s=left_s), seen))
        yield None
        if decides_s := facts.nodes[here].decides_s:
            yield self.clock.now + decides_s
        plan = journey.plan
        away: Away = journey.trip.away  # type: ignore[assignment]  # it is away
        if to_edge := ways(facts, self.wires, here, plan.edge):
            journey.leg = WAN
            yield from self.forward(journey, to_edge, away.up_bytes, journey.fate[WIRE_OUT])
        return away, ways(facts, self.wires, plan.edge or here, plan.cloud)

    def forward(self, journey: Journey, on: Ways, payload_bytes: float, quantile: float) -> Steps:
        """Cross wires one after the other; a relay forwards whole messages."""
        for wire, queue in on:
            toll, again_s = wire.toll, 0.0
            if toll.handshake_s:
                yield from self.sessions.opened("", wire)
            sent_bytes = toll.size(payload_bytes)
            journey.money += wire.price_per_byte * sent_bytes
            if wire.loss:
                sent_bytes, again_s = of_message(quantile, wire.loss, wire.timeout_s, sent_bytes)
            sent_s = queue.serve(self.clock.now, sent_bytes * 8 / wire.rate_bps)
            there_s = sent_s + again_s + wire.delay_s + exponential(quantile) * wire.jitter_s
            yield there_s + toll.s_per_byte * payload_bytes

    def end(self, journey: Journey, cause: str, ended_s: float) -> None:
        """Write the request's row."""
        way, correct = journey.trip, None
        if not cause and way.accuracy is not None:
            number = journey.fate[CORRECT]
            if way.right is None:
                correct = number < way.accuracy
            else:  # that of the test image that stands for this request
                correct = way.right[int(number * len(way.right))] == 1
        outcome = journey.outcome(ended_s, cause, correct)
        del self.under_way[journey.request.id]
        self.outcomes.append(outcome)
        if self.learn is not None:
            self.learn(outcome)
        if journey.frame is not None:
            self._end_frame(journey.frame.take(outcome, journey.spent_s))

    def _end_frame(self, outcome: Outcome | None) -> None:
        """Write the row of a frame of several requests, if it is due."""
        if outcome is not None:
            del self.frames[outcome.request.id]
            self.outcomes.append(outcome)
            if self.learn is not None:
                self.learn(outcome)

    def cut_off(self, device: Device, cause: str) -> None:
        """End what a device has under way; what it asked of others goes on unheard."""
        for air in [air for pair in self.airs.values() for air in pair]:
            air.drop(device.name, self.clock.now, cause)
        for journey in [each for each in self.under_way.values() if each.device is device]:
            journey.wake(cause)

    def is_over(self) -> bool:
        """Whether nothing is under way, nor will be."""
        return self.clock.now >= self.setting.duration_s and not self.under_way

    def _fail(self, journey: Journey, cause: str, share: float = 0.0, air_s: float = 0.0) -> None:
        """End a request without an answer; what it sent of a message is paid for all the same."""
        if journey.request.id not in self.under_way:  # ended before, when its device left
            return
        at_s = self.end_s if cause == UNFINISHED else self.clock.now
        if journey.meter is not None:
            if cause == UNFINISHED:
                journey.meter.stop(at_s)
            journey.meter.ended(journey.request.id, at_s)
        if air_s > 0.0:
            journey.share, journey.air_s = share, air_s
            journey.sent()
        if cause == NO_ROUTE and journey.up_bytes > 0.0:  # it had one when it began
            cause = OUT_OF_RANGE
        if cause in setbacks.PASSING and setbacks.try_again(self, journey):
            return
        self.end(journey, cause, at_s)

    def _look_up(self, question: Question, plan: Plan) -> Trip | Fork:
        """Look a plan up; it is checked the first time that it is met."""
        refusing.check(question, plan)
        facts = question.seen.facts
        found = self.trips[facts, plan] = look_up(facts, plan, self.airs, self.servers, self.wires)
        return found
