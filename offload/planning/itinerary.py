"""What all plans that leave the device meet on their way, put together once: a maximum of sums."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from numpy import maximum

from offload.entities import Facts, Report, Uplink
from offload.planning.columns import Columns, Floats
from offload.planning.legs import over

if TYPE_CHECKING:
    from offload.planning.price import Prices

K = TypeVar("K")
V = TypeVar("V")
Places = npt.NDArray[np.intp]
Backlogs = tuple[float, ...]  # of the nodes of an itinerary, in their order

KEPT = 256  # of each thing that is remembered


@dataclass(frozen=True, slots=True, eq=False)
class Itinerary:
    """The rows of a table that leave the device, all at once: what they do between two waits.

    Rows from `begin` on leave. They send `up_bits`, are `out_s` later at the first node that computes
    (`first`, an index of `nodes`), `between_s` after they begin there at the second, if they need one
    (else at the end of `nodes`, where nobody waits), and `back_s` after they begin there have
    `result_bits` to receive. Of those that send a larger input, each byte more is `raw` bytes in the
    air, and costs `wire_s` a byte behind it; None where losses make that no line. `done_s` is of
    all rows: when a device that is at rest has done its part.

    What it takes depends on few numbers, which come up again and again: `shown` are the prices that
    devices at rest have seen, by their rates up and down and the backlogs of the nodes.
    """

    begin: int
    nodes: tuple[str, ...]
    up_bits: Floats
    out_s: Floats
    first: Places
    between_s: Floats
    second: Places | None
    back_s: Floats
    result_bits: Floats
    raw: Floats
    wire_s: Floats | None
    done_s: Floats
    _ups: dict[float, Floats] = field(default_factory=dict)
    _downs: dict[float, Floats] = field(default_factory=dict)
    _heard: dict[str, tuple[Mapping[str, Report | None], Backlogs]] = field(default_factory=dict)
    _waits: dict[Backlogs, tuple[Floats, Floats]] = field(default_factory=dict)
    shown: "dict[tuple[float, float, Backlogs], Prices]" = field(default_factory=dict)

    def leave(self, done_s: Floats, uplink: Uplink, more_bytes: float) -> None:
        """Turn when the device has done its part of each row into when that is there, in place."""
        rate_bps, leaving = uplink.rate_bps, done_s[self.begin :]
        if uplink.queued_bytes:
            maximum(leaving, 8 * uplink.queued_bytes / rate_bps, out=leaving)
        leaving += self.up_bits * (1 / rate_bps)
        leaving += self.out_s
        if more_bytes and self.wire_s is not None:
            leaving += self.raw * (more_bytes * 8 / rate_bps) + self.wire_s * more_bytes

    def unhindered(self, uplink: Uplink) -> Floats:
        """Return when each row is at its first node, or done, if its device is at rest.

        That depends on the rate alone. Few rates come up, each again and again.
        """
        found = self._ups.get(uplink.rate_bps)
        if found is None:
            found = self.done_s.copy()
            self.leave(found, uplink, 0.0)
            keep(self._ups, uplink.rate_bps, found)
        return found.copy()

    def follow(self, elapsed: Floats, backlogs_s: Backlogs, uplink: Uplink) -> None:
        """Turn when each row that leaves is at its first node into when it is back, in place."""
        waits = self._waits.get(backlogs_s)
        if waits is None:
            until_s = np.array([*backlogs_s, 0.0])
            first_s = until_s[self.first]
            waits = first_s, first_s if self.second is None else until_s[self.second]
            keep(self._waits, backlogs_s, waits)
        first_s, second_s = waits
        maximum(elapsed, first_s, out=elapsed)
        elapsed += self.between_s
        if self.second is not None:
            maximum(elapsed, second_s, out=elapsed)
            elapsed += self.back_s
        down_s = self._downs.get(uplink.down_bps)
        if down_s is None:
            down_s = self.result_bits * (1 / uplink.down_bps)
            keep(self._downs, uplink.down_bps, down_s)
        elapsed += down_s

    def backlogs_s(self, reports: Mapping[str, Report | None]) -> Backlogs:
        """Tell until when who comes to each of the nodes waits; looked up once a set of reports."""
        heard = self._heard.get("last")
        if heard is None or heard[0] is not reports:
            told = [reports.get(name) for name in self.nodes]
            backlogs_s = tuple(0.0 if each is None else each.backlog_s for each in told)
            heard = self._heard["last"] = reports, backlogs_s
        return heard[1]


@lru_cache(maxsize=1024)
def itinerary(table: Columns, facts: Facts, serving: str) -> Itinerary | None:
    """Put together what the plans of a table meet behind a cell; None where a node must load weights."""
    cell = facts.cells[serving]
    away = [way for way in table.ways if (way.edge, way.cloud) != (None, None)]
    nodes = tuple(dict.fromkeys(name for way in away for name in (way.edge, way.cloud) if name))
    if any(facts.nodes[name].load_bps is not None for name in nodes):
        return None
    begin = away[0].rows.start if away else len(table.rows)
    rows = len(table.rows)
    out_s, between_s, back_s, wire_s = np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros(rows)
    first, second = np.full(rows, len(nodes)), np.full(rows, len(nodes))
    lossy = False
    for way in away:
        mine = way.rows
        stops = [name for name in (way.edge, way.cloud) if name is not None]
        at = ((way.edge, table.edge_s), (way.cloud, table.cloud_s))
        works_s = [seconds[mine] for name, seconds in at if name is not None]
        waits_s = [_batch_s(facts, name) for name in stops]
        nothing, one = np.zeros(mine.stop - mine.start), np.ones(mine.stop - mine.start)
        out_s[mine] = over(facts, cell.node, stops[0], nothing, table.up_bytes[mine])
        out_s[mine] += cell.delay_s + waits_s[0]
        out_s[mine] += cell.toll.s_per_byte * table.up_bytes[mine]
        wire_s[mine] = over(facts, cell.node, stops[0], nothing, one)
        wire_s[mine] -= over(facts, cell.node, stops[0], nothing, nothing)
        wire_s[mine] += cell.toll.s_per_byte
        lossy |= any(facts.wires[name].loss for name in facts.routes[cell.node, stops[0]])
        first[mine] = nodes.index(stops[0])
        if len(stops) == 2:
            between_s[mine] = over(facts, stops[0], stops[1], works_s[0], table.mid_bytes[mine])
            between_s[mine] += waits_s[1]
            second[mine] = nodes.index(stops[1])
        back_s[mine] = over(facts, stops[-1], cell.node, works_s[-1], table.result_bytes[mine])
        back_s[mine] += cell.delay_s + cell.toll.s_per_byte * table.result_bytes[mine]
    raw = np.array(table.raw, dtype=np.float64)
    leaving = slice(begin, None)
    twice = bool((second < len(nodes)).any())
    return Itinerary(
        begin=begin,
        nodes=nodes,
        up_bits=8 * cell.toll.size(table.up_bytes[leaving]),
        out_s=out_s[leaving],
        first=first[leaving],
        between_s=between_s[leaving] if twice else back_s[leaving],
        second=second[leaving] if twice else None,
        back_s=back_s[leaving],
        result_bits=8 * cell.toll.size(table.result_bytes[leaving]),
        raw=raw[leaving] * (1.0 + cell.toll.bytes_per_byte),
        wire_s=None if lossy else (wire_s * raw)[leaving],
        done_s=table.device_s + facts.overhead_s,
    )


def keep(known: dict[K, V], key: K, value: V) -> None:
    """Remember something, but not more and more."""
    if len(known) >= KEPT:
        known.clear()
    known[key] = value


def _batch_s(facts: Facts, name: str) -> float:
    """How long a node waits for others to join a batch."""
    node = facts.nodes[name]
    return node.batch_wait_s if node.batch_max > 1 else 0.0
