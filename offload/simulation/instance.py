"""All that one replication will ask, and what every plan would take: the same under every policy."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from msgspec.structs import replace

from offload.algorithms.horizon import Job, Leg, Station, undominated
from offload.entities import Cell, Facts, OffloadError, Outcome, Plan, Request, Wire
from offload.networks import Variant
from offload.planning.cuts import first_cut
from offload.planning.exits import leaving
from offload.planning.luck import exponential, factor
from offload.planning.validity import why_invalid
from offload.scenario.setup import Device, Setting
from offload.simulation.air import Shared
from offload.simulation.arrivals import CLOUD, CORRECT, DEVICE, EDGE, WIRE_BACK, WIRE_OUT
from offload.simulation.trips import Fork, Stop, Trip, Ways, look_up
from offload.simulation.world import World
from offload.streams import Streams
from offload.world.wires import of_message


class NotCoveredError(OffloadError):
    """A scenario holds something of which no bound is known here."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, the plans worth considering, what each would take alone, and whether it is right.

    `right[plan]` is None where nobody can say.
    """

    request: Request
    plans: tuple[Plan, ...]
    options: tuple[tuple[Leg, ...], ...]
    right: tuple[bool | None, ...]

    def job(self, *, only_right: bool = False) -> tuple[Job, tuple[Plan, ...]]:
        """Return what a program must know, of all plans or of those that are right, and those plans."""
        among = [n for n, right in enumerate(self.right) if right or not only_right]
        kept = [among[n] for n in undominated([self.options[n] for n in among])]
        plans = tuple(self.plans[n] for n in kept)
        return Job(self.request.born_s, tuple(self.options[n] for n in kept)), plans


@dataclass(frozen=True, slots=True)
class Instance:
    """The requests of a replication that count, and the stations that serve them until an end."""

    setting: Setting
    streams: Streams
    asked: tuple[Asked, ...]
    stations: Mapping[Hashable, Station]
    until_s: float


def instance(setting: Setting, streams: Streams, from_s: float = 0.0, most: int = 10_000) -> Instance:
    """Find every request that is born from a time on; `most` at most. Raises NotCoveredError.

    Any policy would do to find them, for births and Fates are the same under all.
    """
    if why := "; ".join(dict.fromkeys(_not_covered(setting))):
        msg = f"no bound covers {why}"
        raise NotCoveredError(msg)
    world = World(setting, streams)
    devices = {device.name: device for device in setting.devices}

    @cache
    def found(facts: Facts) -> tuple[tuple[Plan, Trip | Fork], ...]:
        every = [(plan, _way(world, facts, plan)) for plan in every_plan(facts)]
        return tuple(_worthwhile(world, every, devices[f"{facts.group}-0"]))

    asked: list[Asked] = []
    known: set[int] = set()
    game = world.play()
    try:
        questions = next(game)
        while True:
            for question in questions:
                request, facts = question.request, question.seen.facts
                if request.born_s >= from_s and request.id not in known:  # it may be asked again
                    known.add(request.id)
                    if len(asked) == most:
                        msg = f"a bound covers {most} requests after the warm-up; shorten the duration"
                        raise NotCoveredError(msg)
                    fate = world.under_way[request.id].fate
                    asked.append(_asked(world, request, found(facts), devices[request.device], fate))
            questions = game.send([next(_plain(q.seen.facts)) for q in questions])
    except StopIteration:
        pass
    stations: dict[Hashable, Station] = {
        world.servers[name]: Station(node.servers) for name, node in setting.nodes.items()
    }
    airs = chain.from_iterable(world.airs.values())
    stations |= {air: Station(whole=False) for air in airs if isinstance(air, Shared)}
    return Instance(setting, streams, tuple(asked), stations, world.end_s)


def play(given: Instance, plans: Mapping[int, Plan]) -> list[Outcome]:
    """Play a replication with plans that are known beforehand, by the ids of requests.

    Those that have none do as they would to be found.
    """
    world = World(given.setting, given.streams)
    game = world.play()
    try:
        questions = next(game)
        while True:
            questions = game.send(
                [plans.get(each.request.id) or next(_plain(each.seen.facts)) for each in questions]
            )
    except StopIteration:
        return world.outcomes


def _not_covered(setting: Setting) -> Iterator[str]:
    """Name what lets seconds and bits depend on when, or on who else, is served."""
    for device in setting.devices:
        if not device.place.steady or device.leaves_s < setting.duration_s + setting.drain_s:
            yield f"devices.{device.group}: what it gets of its cells changes, or it leaves"
    yield from (f"devices.{group}.battery" for group in setting.supplies)
    yield from (f"faults of {thing}" for thing in setting.speeds)
    for name, node in setting.nodes.items():
        if node.batch_max > 1:
            yield f"nodes.{name}.batch"
        if node.load_bps is not None:
            yield f"nodes.{name}.load: weights that are loaded"
        if node.scale is not None:
            yield f"nodes.{name}.scale"
        if node.decides_s is not None:
            yield f"nodes.{name}.policy"
    yield from _overheads(setting)
    for source in setting.sources:
        if source.facts.stage is not None:
            yield f"devices.{source.device.group}.tasks.{source.facts.task}: frames of several networks"


def _overheads(setting: Setting) -> Iterator[str]:
    """Name what costs some and not others, by when they come and who is there."""
    links: list[Cell | Wire] = [*setting.cells.values(), *setting.wires.values()]
    yield from (f"links.{each.name}.security: its handshake" for each in links if each.toll.handshake_s)
    yield from (f"devices.{group}.after_idle" for group in setting.after_idle)
    yield from (f"nodes.{name}.after_idle" for name, node in setting.nodes.items() if node.after_idle)
    if setting.machines:
        yield "machines"


def every_plan(facts: Facts) -> Iterator[Plan]:
    """Yield whatever may become of any valid plan: all cuts, nodes, codecs, and exits that are taken.

    Whether an exit was stated or is taken by a confidence makes no difference to what it takes.
    """
    for plan in _plain(facts):
        if len(plan.variant.exits) > 1:
            yield from dict.fromkeys(leaving(plan, exit_) for exit_ in range(len(plan.variant.exits)))
        else:
            yield plan


def _plain(facts: Facts) -> Iterator[Plan]:
    """Every valid plan without exits."""
    for variant in facts.variants:
        yield from (plan for plan in _of(facts, variant) if why_invalid(facts, plan) is None)


def _of(facts: Facts, variant: Variant) -> Iterator[Plan]:
    last = variant.last
    edges = [node.name for node in facts.nodes.values() if node.kind == "edge"]
    clouds = [node.name for node in facts.nodes.values() if node.kind == "cloud"]
    yield Plan(variant, last, last)
    for first in range(first_cut(facts, variant), last):
        for cell in facts.cells:
            for codec in (None, *facts.codecs):
                for edge in edges:
                    yield Plan(variant, first, last, edge, None, (cell,), codec)
                    for cloud in clouds:
                        for second in range(first + 1, last):
                            yield Plan(variant, first, second, edge, cloud, (cell,), codec)
                for cloud in clouds:
                    yield Plan(variant, first, first, None, cloud, (cell,), codec)


def _way(world: World, facts: Facts, plan: Plan) -> Trip | Fork:
    return look_up(facts, plan, world.airs, world.servers, world.wires)


def _worthwhile(
    world: World, every: Sequence[tuple[Plan, Trip | Fork]], device: Device
) -> Iterator[tuple[Plan, Trip | Fork]]:
    """Leave out, once for all requests, what is dominated by the same variant with the same answers.

    A Fate stretches the work of both alike, so that who dominates at one does at all.
    """
    alike: dict[Hashable, list[tuple[Plan, Trip | Fork]]] = {}
    for plan, way in every:
        trip = way.trip(0.0, 1.0) if isinstance(way, Fork) else way
        alike.setdefault((plan.variant, trip.right, trip.accuracy, trip.sized), []).append((plan, way))
    fate = [0.5] * 6
    for pairs in alike.values():
        options = [_legs(world, _trip(way, fate, 1.0), device, fate) for _, way in pairs]
        yield from (pairs[number] for number in undominated(options))


def _trip(way: Trip | Fork, fate: Sequence[float], input_bytes: float) -> Trip:
    return way.trip(fate[CORRECT], input_bytes) if isinstance(way, Fork) else way


def _asked(
    world: World, request: Request, ways: Sequence[tuple[Plan, Trip | Fork]], device: Device,
    fate: Sequence[float],
) -> Asked:  # fmt: skip
    trips = [_trip(way, fate, request.input_bytes) for _, way in ways]
    # What has left before it was sent is not coded either.
    plans = tuple(replace(plan, codec=None) if plan.uplinks is None else plan for plan, _ in ways)
    options = tuple(_legs(world, trip, device, fate) for trip in trips)
    return Asked(request, plans, options, tuple(_is_right(trip, fate[CORRECT]) for trip in trips))


def _is_right(trip: Trip, number: float) -> bool | None:
    if trip.accuracy is None:
        return None
    if trip.right is None:
        return number < trip.accuracy
    return trip.right[int(number * len(trip.right))] == 1


def _legs(world: World, trip: Trip, device: Device, fate: Sequence[float]) -> tuple[Leg, ...]:
    """What a trip takes of each station, as the world carries it out."""
    legs = []
    if trip.device is not None:
        legs.append(Leg(world.compute[device.name], _seconds(trip.device, fate[DEVICE])))
    away = trip.away
    if away is None:
        return tuple(legs)
    cell, up, down = away.cell, away.uplink, away.downlink
    own_up, own_down = (up, down) if cell.shared else ((up, device.name), (down, device.name))
    up_s = cell.delay_s + cell.toll.s_per_byte * away.up_bytes
    legs.append(Leg(own_up, away.up_air_s, up_s))
    legs += _over(away.to_edge, away.up_bytes, fate[WIRE_OUT])
    if away.edge is not None:
        legs.append(Leg(away.edge.servers, _seconds(away.edge, fate[EDGE])))
    legs += _over(away.to_cloud, away.mid_bytes, fate[WIRE_OUT])
    if away.cloud is not None:
        legs.append(Leg(away.cloud.servers, _seconds(away.cloud, fate[CLOUD])))
    legs += _over(away.back, away.result_bytes, fate[WIRE_BACK])
    down_s = cell.delay_s + cell.toll.s_per_byte * away.result_bytes
    legs.append(Leg(own_down, away.down_air_s, down_s))
    return tuple(legs)


def _seconds(stop: Stop, quantile: float) -> float:
    return stop.seconds * factor(stop.profile, quantile) if stop.varies else stop.seconds


def _over(ways: Ways, payload_bytes: float, quantile: float) -> Iterator[Leg]:
    for wire, queue in ways:
        sent_bytes, again_s = wire.toll.size(payload_bytes), 0.0
        if wire.loss:
            sent_bytes, again_s = of_message(quantile, wire.loss, wire.timeout_s, sent_bytes)
        then_s = again_s + wire.delay_s + exponential(quantile) * wire.jitter_s
        then_s += wire.toll.s_per_byte * payload_bytes
        yield Leg(queue, sent_bytes * 8 / wire.rate_bps, then_s)
