"""What may happen to a request besides its life: its device leaves, a node fails, it is turned away."""

from dataclasses import replace
from typing import TYPE_CHECKING

from offload.entities import Cell, Plan
from offload.scenario.breaking import stops
from offload.scenario.setup import Device
from offload.simulation.air import NO_ROUTE, OUT_OF_RANGE
from offload.simulation.arrivals import CORRECT, DEVICE, WIRE_BACK
from offload.simulation.journey import AT_EDGE, DOWNLINK, ON_DEVICE, WAN, Journey, Steps
from offload.simulation.observing import Book
from offload.simulation.roaming import send
from offload.simulation.stations import DOWN, SHED
from offload.simulation.trips import Away, Fork, Servers, look_up, ways
from offload.world.rate import Rate

if TYPE_CHECKING:
    from offload.simulation.world import World

LEFT = "left"
PASSING = {DOWN, SHED, NO_ROUTE, OUT_OF_RANGE}  # causes for which a task may say to try again
NEVER = float("inf")


def expect_leaving(world: "World", device: Device) -> None:
    """When a device leaves, end what it has under way."""

    def leave(now: float) -> None:
        if device.name in world.meters and not world.is_over():
            world.meters[device.name].stop(now)
        world.cut_off(device, LEFT)

    world.clock.at(max(0.0, device.leaves_s), leave)


def expect_faults(world: "World", book: Book, servers: Servers, speed: Rate) -> None:
    """Whenever a node stops, let all that it has fail; what comes meanwhile fails on arrival."""

    def stop(now: float) -> None:
        book.fall_silent(now)
        servers.fail(speed)  # type: ignore[union-attr]  # what may break is simulated

    for begin_s, _ in stops(speed):
        if begin_s <= world.end_s:
            world.clock.at(begin_s, stop)


def try_again(world: "World", journey: Journey) -> bool:
    """Ask again about a request that failed, or let its device do all; tell whether that is open."""
    facts = journey.facts
    asks = journey.attempts <= facts.retries
    home = not asks and journey.trip.falls_back and journey.leg != ON_DEVICE
    if not asks and not home:
        return False
    again = world.under_way[journey.request.id] = journey.again()

    def go_on(_now: float) -> None:
        if world.under_way.get(again.request.id) is not again:  # its device has left
            return
        if asks:
            again.attempts += 1
            world.desk.ask(again)
        else:
            again.steps = _only_home(world, again)
            again.resume()

    world.clock.at(world.clock.now + facts.retry_after_s, go_on)
    return True


def _only_home(world: "World", journey: Journey) -> Steps:
    """The rest of a life in which the device does all by itself."""
    drops = journey.trip.drops_late
    due_s = journey.request.born_s + journey.request.deadline_s if drops else NEVER
    done_s = at_home(world, journey, due_s)
    yield done_s
    world.end(journey, "", world.clock.now)


def refused(world: "World", journey: Journey, away: Away, cell: Cell) -> Steps:
    """A node has turned a request away: word of that, which has no size, goes back to the device."""
    plan = journey.plan
    here = (plan.edge if journey.leg == AT_EDGE else plan.cloud) or cell.node
    if cell.interruption_s is not None:
        yield from world.roaming.down(journey, replace(away, result_bytes=0.0), here)
    else:
        journey.leg = WAN
        back = ways(journey.facts, world.wires, here, cell.node)
        yield from world.forward(journey, back, 0.0, journey.fate[WIRE_BACK])
        journey.leg = DOWNLINK
        if cell.toll.handshake_s:
            yield from world.sessions.opened(journey.device.name, cell)
        size_bytes = cell.toll.size(0.0)
        air_s = 8 * size_bytes / cell.down_bps
        yield send(journey, away.downlink, size_bytes, air_s, cell.name, NEVER)
        journey.sent()


def at_home(world: "World", journey: Journey, due_s: float) -> float | None:
    """Let the device compute the whole network instead; tell when that ends."""
    facts, plan = journey.facts, journey.plan
    last = plan.variant.last
    home = Plan(plan.variant, last, last, exit=plan.exit, confidence=plan.confidence)
    way = world.trips.get((facts, home)) or look_up(facts, home, world.airs, world.servers, world.wires)
    world.trips[facts, home] = way
    if isinstance(way, Fork):
        way = way.trip(journey.fate[CORRECT], journey.request.input_bytes)
    journey.first_plan = journey.first_plan or plan
    journey.plan, journey.trip, journey.attempts = home, way, journey.attempts + 1
    journey.leg = ON_DEVICE
    return world.compute_at(journey, way.device, DEVICE, due_s)  # type: ignore[arg-type]  # it has all to do
