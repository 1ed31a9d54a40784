"""What plans cost in money: seconds of computing elsewhere, and bytes over priced links."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from offload.entities import Cell, Facts, Wire
from offload.planning.columns import Columns, Floats, Way


class _Rates(NamedTuple):
    """Prices along a way: a second at edge and cloud, a byte up, on to the cloud, and back.

    And of what links add to messages of any size.
    """

    edge_s: float
    cloud_s: float
    up: float
    mid: float
    back: float
    messages: float


@lru_cache(maxsize=1024)
def has_prices(facts: Facts) -> bool:
    """Tell whether anything that a task may use has a price."""
    return (
        any(node.price_per_s for node in facts.nodes.values())
        or any(cell.price_per_byte for cell in facts.cells.values())
        or any(wire.price_per_byte for wire in facts.wires.values())
    )


def money(
    table: Columns, facts: Facts, cell: Cell, edge_s: Floats, cloud_s: Floats, begun: str | None = None
) -> Floats:
    """Return the price of each row, over a cell; if they came to the node `begun`, by way of it."""
    found = np.zeros(len(table.rows))
    for way in table.ways:
        if way.edge is not None or way.cloud is not None:
            rows, rates = way.rows, _rates(facts, cell, way, begun or cell.node)
            found[rows] = rates.edge_s * edge_s[rows] + rates.cloud_s * cloud_s[rows]
            found[rows] += rates.up * table.up_bytes[rows] + rates.mid * table.mid_bytes[rows]
            found[rows] += rates.back * table.result_bytes[rows] + rates.messages
    return found


def _rates(facts: Facts, cell: Cell, way: Way, begun: str) -> _Rates:
    nodes = [facts.nodes[name] for name in (way.edge, way.cloud) if name is not None]
    first, last = nodes[0].name, nodes[-1].name

    def along(here: str, there: str) -> float:
        return sum(_per_byte(facts.wires[name]) for name in facts.routes[here, there])

    ways = (cell.node, begun), (begun, first), (first, last), (last, cell.node)
    crossed = [facts.wires[name] for way_ in ways for name in facts.routes[way_]]
    links: list[Cell | Wire] = [cell, *crossed, cell]
    out = _per_byte(cell) + along(cell.node, begun)
    on = along(begun, first)
    mid = along(first, last)
    if way.edge is None:  # `mid_bytes` are then those that went up
        on, mid = 0.0, on
    return _Rates(
        0.0 if way.edge is None else nodes[0].price_per_s,
        0.0 if way.cloud is None else nodes[-1].price_per_s,
        out + on,
        mid,
        along(last, cell.node) + _per_byte(cell),
        sum(link.price_per_byte * link.toll.message_bytes for link in links),
    )


def _per_byte(link: Cell | Wire) -> float:
    """What a message costs over a link for each byte of it."""
    return link.price_per_byte * (1.0 + link.toll.bytes_per_byte)
