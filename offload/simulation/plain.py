"""The life of a request that meets others at a server only, as in `World`, but in a straight line."""

from typing import TYPE_CHECKING

from offload.simulation.arrivals import EDGE
from offload.simulation.journey import AT_EDGE, DOWNLINK, UPLINK, Journey, Steps
from offload.simulation.trips import Plain

if TYPE_CHECKING:
    from offload.simulation.world import World

NEVER = float("inf")


def live(world: "World", journey: Journey, way: Plain) -> Steps:
    """Up over a hop of one's own, served in turn, and back: each leg tells when it ends, as in `World`.

    The journey must have a `hop`, and be no part of a frame. Where one server does all, the way home is
    known, and the row written, as the request comes to the server.
    """
    name, request = journey.device.name, journey.request
    due_s = NEVER
    journey.leg = UPLINK
    if way.drops_late:
        due_s = request.born_s + request.deadline_s
        yield way.uplink.send(name, way.up_air_s, journey, due_s)
    else:
        yield way.uplink.book(name, way.up_air_s, world.clock.now)
    journey.up_bytes = way.up_bytes

    journey.leg = AT_EDGE
    ends_s = world.compute_at(journey, way.stop, EDGE, due_s)
    done_s = None
    if way.stop.servers is world.only_server and ends_s is not None:
        done_s = way.downlink.book(name, way.down_air_s, ends_s)
        if done_s <= world.end_s and done_s < journey.device.leaves_s:
            journey.spent_s[AT_EDGE] += ends_s - journey.mark_s
            journey.mark_s, journey.leg = ends_s, DOWNLINK
            journey.down_bytes = way.result_bytes
            world.end(journey, "", done_s)
            return
    yield ends_s

    journey.leg = DOWNLINK
    if done_s is None:
        done_s = way.downlink.book(name, way.down_air_s, world.clock.now)
    journey.down_bytes = way.result_bytes
    if world.learn is not None:
        yield done_s
    world.came_home(journey, done_s)
