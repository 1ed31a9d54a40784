"""Where devices are and what they get of their cells: from ranges, radios, traces and chance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from offload.entities import Cell
from offload.scenario import breaking
from offload.scenario.faults import Fault, Key
from offload.scenario.links import Capacity, Drifting, Link, Switching, Traced
from offload.scenario.schema import ScenarioFile
from offload.streams import Streams
from offload.world.bandwidth import BandwidthTrace, read_bandwidth
from offload.world.generated import gauss_ar1, markov
from offload.world.mobility import Track, nearest, presence, stepwise
from offload.world.radio import budget
from offload.world.radio.channel import Fading
from offload.world.radio.presets import PRESETS
from offload.world.radio.reception import Reception, Site, receive
from offload.world.rate import Rate, product
from offload.world.reach import ALWAYS, Place, Reach, attachments
from offload.world.recording import TraceError

UP: Literal["up"] = "up"
DOWN: Literal["down"] = "down"
GIVE_UP_S = 1.0
EXCELLENT_DB = 100.0  # no device hears better
NEVER = Rate.constant(0.0)

Traces = Mapping[tuple[str, str], BandwidthTrace]  # by link and direction


def read_bandwidths(file: ScenarioFile, base: Path, faults: list[Fault]) -> Traces:
    """Read the traces of links, adding to `faults` what is wrong with them."""
    found: dict[tuple[str, str], BandwidthTrace] = {}
    for name, link in file.links.items():
        for way, capacity in ((UP, link.up), (DOWN, link.down)):
            if not isinstance(capacity, Traced):
                continue
            key: Key = ("links", name, way, "trace")
            try:
                trace = read_bandwidth(base / capacity.trace, way)
                trace.rate(file.duration, loop=capacity.loop)
            except TraceError as error:
                faults += [(key, fault) for fault in str(error).splitlines()]
            else:
                found[name, way] = trace
    return found


def cells(file: ScenarioFile, traces: Traces) -> dict[str, Cell]:
    """Return the cells of a scenario. Nominal is the best rate of a radio, the mean of what varies."""
    return {
        name: Cell(
            name=name,
            node=link.to,
            up_bps=_nominal(link, link.up, traces.get((name, UP)), UP),
            down_bps=_nominal(link, link.down, traces.get((name, DOWN)), DOWN),
            delay_s=link.delay + link.toll.message_s,
            range_m=link.range or float("inf"),
            give_up_s=link.give_up or GIVE_UP_S,
            shared=link.shared is not False,
            interruption_s=PRESETS[link.radio].interruption_s.value if link.radio else link.handover,
            price_per_byte=link.price_per_byte,
            toll=link.toll,
        )
        for name, link in file.links.items()
        if link.is_cell
    }


def _nominal(link: Link, capacity: Capacity | None, trace: BandwidthTrace | None, way: str) -> float:
    if link.radio is not None:
        preset = PRESETS[link.radio]
        band_hz = link.bandwidth or preset.bandwidth_hz.value
        best = budget.up_bps if way == UP else budget.down_bps
        return float(best(preset, band_hz, np.array([EXCELLENT_DB]))[0])
    if trace is not None:
        return float(np.average(trace.rates_bps, weights=np.diff(trace.edges_s)))
    if isinstance(capacity, Switching):
        return float(np.average(capacity.states, weights=capacity.stay))
    if isinstance(capacity, Drifting):
        return capacity.mean
    return capacity if isinstance(capacity, float) else 0.0  # else its trace could not be read


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """What the cells of a scenario give to devices, in one replication.

    `speeds` are those of whole cells, the same for all of their devices, as shares of nominal rates;
    `faults` those of all nodes and links that break or slow down.
    """

    until_s: float
    cells: Mapping[str, Cell]
    centres_m: Mapping[str, tuple[float, float]]
    sites: Mapping[str, Site]
    streams: Streams
    speeds: Mapping[tuple[str, str], Rate]
    faults: Mapping[str, Rate]

    def place(self, device: str, track: Track, mine: Iterable[str]) -> Place:
        """Find out what one device gets of its cells on its way."""
        own = {name: self.cells[name] for name in mine}
        radio = [name for name in own if name in self.sites]
        up = {n: presence(track, self.centres_m[n], c.range_m) for n, c in own.items() if n not in radio}
        up |= _attached(track, {n: c for n, c in own.items() if n in up}, self.centres_m)
        down = dict(up)
        if radio:
            heard = receive(
                track,
                [self.sites[name] for name in radio],
                lambda cell: self.streams.generator("radio", device, cell),
                self.until_s,
            )
            up |= _heard(heard, radio, track, [own[name].up_bps for name in radio], down=False)
            down |= _heard(heard, radio, track, [own[name].down_bps for name in radio], down=True)
        roaming = tuple(name for name, cell in own.items() if cell.interruption_s is not None)
        centres = {name: self.centres_m[name] for name in own}
        return Place(track, own, centres, self._reach(up, roaming, UP), self._reach(down, roaming, DOWN))

    def _reach(self, mine: Mapping[str, Rate], roaming: tuple[str, ...], way: str) -> Reach:
        speeds = {}
        for name, speed in mine.items():
            whole = self.speeds.get((name, way))
            if whole is not None and speed.values == (1.0,) and name not in roaming:
                speeds[name] = whole  # one for all devices
            elif whole is not None:
                speeds[name] = product((speed, whole), self.until_s)
            elif speed.values != (1.0,):
                speeds[name] = speed
        return Reach(speeds, roaming)


def coverage(
    file: ScenarioFile,
    cells: Mapping[str, Cell],
    centres_m: Mapping[str, tuple[float, float]],
    traces: Traces,
    streams: Streams,
) -> Coverage:
    """Draw what the cells of a scenario give to devices in a replication."""
    until_s = file.duration + file.drain
    sites = {
        name: Site(
            name,
            *centres_m[name],
            PRESETS[link.radio],
            link.bandwidth or PRESETS[link.radio].bandwidth_hz.value,
            link.load or 0.0,
            Fading(link.fading.coherence, link.fading.rician_k) if link.fading else None,
        )
        for name, link in file.links.items()
        if link.radio is not None
    }
    faults = breaking.speeds(file.faults, until_s, streams)
    speeds: dict[tuple[str, str], Rate] = {}
    for name, link in file.links.items():
        for way, capacity, nominal_bps in (
            (UP, link.up, cells[name].up_bps if name in cells else 0.0),
            (DOWN, link.down, cells[name].down_bps if name in cells else 0.0),
        ):
            varies = _varies(capacity, traces.get((name, way)), until_s, streams, (name, way))
            if varies is not None:
                speeds[name, way] = varies.scaled(1.0 / nominal_bps)
            if name in cells and name in faults:
                other = speeds.get((name, way), ALWAYS)
                speeds[name, way] = product((other, faults[name]), until_s)
    return Coverage(until_s, cells, centres_m, sites, streams, speeds, faults)


def _varies(
    capacity: Capacity | None,
    trace: BandwidthTrace | None,
    until_s: float,
    streams: Streams,
    name: tuple[str, str],
) -> Rate | None:
    """Return a rate in bits a second; None where it never changes."""
    if isinstance(capacity, Traced) and trace is not None:
        loops = trace.loops if capacity.loop is None else capacity.loop
        return trace.rate(0.0, loop=loops)  # it lasts for the births; then its last value holds
    generator = streams.generator("bandwidth", *name)
    if isinstance(capacity, Switching):
        return markov(capacity.states, capacity.stay, until_s, generator)
    if isinstance(capacity, Drifting):
        return gauss_ar1(capacity.mean, capacity.sd, capacity.memory, until_s, generator, capacity.floor)
    return None


def _attached(
    track: Track, mine: Mapping[str, Cell], centres_m: Mapping[str, tuple[float, float]]
) -> dict[str, Rate]:
    """Return when a device is attached to which of the cells that hand over by distance."""
    roaming = [name for name, cell in mine.items() if cell.interruption_s is not None]
    if not roaming:
        return {}
    times, found = nearest(
        track, [centres_m[name] for name in roaming], [mine[name].range_m for name in roaming]
    )
    now = max(0, int(np.searchsorted(times, 0.0, side="right")) - 1)  # a way may begin before the run
    serving = [roaming[index] if index >= 0 else None for index in found[now:]]
    interruption_s = max(mine[name].interruption_s or 0.0 for name in roaming)
    attached = attachments([0.0, *times[now + 1 :].tolist()], serving, interruption_s)
    return {name: attached.get(name, NEVER) for name in roaming}


def _heard(
    heard: Reception, names: list[str], track: Track, nominal_bps: list[float], *, down: bool
) -> dict[str, Rate]:
    """Return the speeds at the cells that serve a device over the radio, 0 where another does."""
    found = {}
    begins = heard.serving.times_s
    for index, name in enumerate(names):
        serves = (heard.serving.cells == index).astype(np.float64)
        if not serves.any():
            found[name] = NEVER
            continue
        rate = heard.down[index] if down else heard.up[index]
        times = np.unique(np.concatenate([begins, rate.times_s, _existence(track)]))
        at_rate = np.searchsorted(rate.times_s, times, side="right") - 1
        at_cell = np.searchsorted(begins, times, side="right") - 1
        exists = (track.enters_s <= times) & (times < track.leaves_s)
        speeds = rate.bps[at_rate] / nominal_bps[index] * serves[at_cell] * exists
        found[name] = stepwise(times, speeds)
    return found


def _existence(track: Track) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    edges = [time_s for time_s in (track.enters_s, track.leaves_s) if 0.0 < time_s < float("inf")]
    return np.array([0.0, *edges])
