"""Messages of devices on the move: what is left at a handover goes on over the next cell."""

from collections.abc import Callable, Generator, Mapping

from offload.entities import Cell
from offload.simulation.air import Air
from offload.simulation.arrivals import WIRE_BACK
from offload.simulation.clock import Clock
from offload.simulation.journey import DOWNLINK, UPLINK, WAN, Journey, Steps
from offload.simulation.sessions import Sessions
from offload.simulation.stations import InOrder
from offload.simulation.trips import Away, Ways, ways
from offload.world.reach import Reach

NEVER = float("inf")


def send(
    journey: Journey, air: Air, size_bytes: float, air_s: float, cell: str, due_s: float
) -> float | None:
    """Send a message over a cell; tell when it arrives, or None if that will wake the journey."""
    journey.message_bytes, journey.share, journey.air_s = size_bytes, 1.0, air_s
    if journey.trip.away.pays:  # type: ignore[union-attr]  # it is away
        journey.price_per_byte = air.price_per_byte
        if journey.meter is not None:
            journey.meter.begins(journey.request.id)
    place = journey.device.place
    reach = place.up if journey.leg == UPLINK else place.down
    return air.send(journey.device.name, air_s, journey, due_s, reach.speeds.get(cell))


class Roaming:
    """Carries messages over the cells that serve a device one after the other.

    What was through before a handover waits at the old site: a request goes on over the wires from where
    its last bit came in, a result follows its device.
    """

    def __init__(
        self,
        clock: Clock,
        cells: Mapping[str, Cell],
        airs: Mapping[str, tuple[Air, Air]],
        wires: Mapping[tuple[str, str], InOrder],
        sessions: Sessions,
        forward: Callable[[Journey, Ways, float, float], Steps],
    ) -> None:
        self.clock = clock
        self.cells = cells
        self.airs = airs
        self.wires = wires
        self.sessions = sessions
        self.forward = forward

    def up(
        self, journey: Journey, away: Away, due_s: float
    ) -> Generator[float | None, None, tuple[Cell, float, Ways, Ways]]:
        """Send a request; return the last cell, and the ways from there to edge and cloud.

        And since when it was on its way, as if no handshake had held it up.
        """
        left_bytes, journey.share, sent_s = away.up_bytes, 0.0, self.clock.now
        while journey.share < 1.0:
            cell = self._serving(journey.device.place.up, away)
            if (stands_s := self._stands_s(journey, cell)) > self.clock.now:
                sent_s += stands_s - self.clock.now
                yield stands_s
                continue  # the device may have moved on meanwhile
            sent_bytes = cell.toll.size(left_bytes)
            air_s = 8 * sent_bytes / cell.up_bps
            yield send(journey, self.airs[cell.name][0], sent_bytes, air_s, cell.name, due_s)
            journey.sent()
            left_bytes *= 1.0 - journey.share
            due_s = NEVER if journey.share else due_s  # what has begun is finished
        if cell is away.cell:
            return cell, sent_s, away.to_edge, away.to_cloud
        edge, cloud = _stops(journey, away)
        to_edge = self._ways(journey, cell.node, edge)
        return cell, sent_s, to_edge, self._ways(journey, edge or cell.node, cloud)

    def down(self, journey: Journey, away: Away, here: str | None = None) -> Steps:
        """Bring a result to its device, from here or else from the last node that computed."""
        left_bytes = away.result_bytes
        if here is None:
            edge, cloud = _stops(journey, away)
            here = cloud or edge or away.cell.node
        journey.share = 0.0
        while journey.share < 1.0:
            cell = self._serving(journey.device.place.down, away)
            if cell.node != here:
                journey.leg = WAN
                yield from self.forward(
                    journey, self._ways(journey, here, cell.node), left_bytes, journey.fate[WIRE_BACK]
                )
                here = cell.node
                continue  # the device may have moved on meanwhile
            journey.leg = DOWNLINK
            if (stands_s := self._stands_s(journey, cell)) > self.clock.now:
                yield stands_s
                continue
            received_bytes = cell.toll.size(left_bytes)
            air_s = 8 * received_bytes / cell.down_bps
            yield send(journey, self.airs[cell.name][1], received_bytes, air_s, cell.name, NEVER)
            journey.sent()
            left_bytes *= 1.0 - journey.share
        if cell.toll.s_per_byte:
            yield self.clock.now + cell.toll.s_per_byte * away.result_bytes

    def _stands_s(self, journey: Journey, cell: Cell) -> float:
        """When a device can send over a cell that may ask for a handshake."""
        return self.sessions.stands_s(journey.device.name, cell) if cell.toll.handshake_s else 0.0

    def _serving(self, reach: Reach, away: Away) -> Cell:
        """The cell that serves a device, or will next; if none ever will, that of the plan."""
        return self.cells[reach.next_cell(self.clock.now) or away.cell.name]

    def _ways(self, journey: Journey, here: str, there: str | None) -> Ways:
        return ways(journey.facts, self.wires, here, there)


def _stops(journey: Journey, away: Away) -> tuple[str | None, str | None]:
    """The edge node and the cloud that compute; what has left a network early visits no more of them."""
    plan = journey.plan
    return plan.edge if away.edge else None, plan.cloud if away.cloud else None
