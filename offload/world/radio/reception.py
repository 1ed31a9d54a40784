"""What one device receives along its way: which cell serves it, and its rates at every cell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from offload.world.mobility import Track
from offload.world.radio import budget
from offload.world.radio.channel import KNOTS, Fading, fading_gains, losses_db
from offload.world.radio.handover import NONE, Serving, serve
from offload.world.radio.pathloss import Floats
from offload.world.radio.presets import Preset
from offload.world.radio.way import sampled

SHORTEST_S = 0.01  # between samples, where a time to trigger is next to none


@dataclass(frozen=True, slots=True)
class Site:
    """The antenna of one cell.

    As a neighbour it interferes during a share `load` of the time, which is stated and not live: so the
    world stays the same whatever a policy does. Cells interfere that have the same frequency.
    """

    name: str
    x_m: float
    y_m: float
    preset: Preset
    bandwidth_hz: float
    load: float = 0.0
    fading: Fading | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.load <= 1 or not 0 < self.bandwidth_hz < np.inf:
            msg = f"{self.name}: a load lies from 0 to 1 and a bandwidth above 0 Hz"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class Rate:
    """A rate that is constant piece by piece: `bps[i]` from `times_s[i]` to the next time."""

    times_s: Floats
    bps: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Reception:
    """One device and all its candidate cells, in the order in which they were given.

    `up[c]` and `down[c]` are its rates at cell c if it had all of the air time there, whether c serves
    it or not.
    """

    serving: Serving
    up: tuple[Rate, ...]
    down: tuple[Rate, ...]


def receive(
    track: Track,
    sites: Sequence[Site],
    generator: Callable[[str], np.random.Generator],
    until_s: float,
) -> Reception:
    """Follow a device from 0 to `until_s` past the sites of its candidate cells.

    `generator(name)` returns the chance of this device and the cell of this name. A cell's channel
    depends on that, the track and `until_s` only, so another cell beside it changes neither its
    shadowing nor its line of sight (but does interfere). Fading moves rates, not handovers: measurements
    average over it.

    The device is sampled whenever it has moved by a quarter of the least correlation distance of any
    shadow, and, while it moves, at least twice in the shortest time to trigger; what was found holds
    until the next sample. Standing takes one sample. Rates change at steps of the CQI and are merged.

    Raises RadioError where that makes too many samples, ValueError for a horizon not above 0.
    """
    if not sites:
        return Reception(Serving(np.zeros(1), np.array([NONE])), (), ())
    models = [site.preset.path_loss for site in sites]
    step_m = min(min(m.los_correlation_m, m.obstructed_correlation_m) for m in models) / KNOTS
    trigger_s = min(site.preset.time_to_trigger_s.value for site in sites)
    coherence_s = {site.fading.coherence_s for site in sites if site.fading}
    way = sampled(track, until_s, step_m, max(trigger_s / 2, SHORTEST_S), sorted(coherence_s))
    losses, gains = [], []
    for site, model in zip(sites, models, strict=True):
        chance = generator(site.name)
        heights = site.preset.site_height_m.value, site.preset.device_height_m.value
        away_m = np.hypot(way.x_m - site.x_m, way.y_m - site.y_m)
        losses.append(losses_db(model, way, away_m, *heights, site.preset.frequency_hz.value, chance))
        gains.append(_fading_db(way.times_s, until_s, site.fading, chance))
    return _reception(way.times_s, sites, losses, gains, until_s)


def _reception(
    times_s: Floats, sites: Sequence[Site], losses: list[Floats], gains: list[Floats], until_s: float
) -> Reception:
    """From losses and fading gains in dB, one array a cell, to rates and the serving cell."""
    received = np.array([budget.down_dbm(s.preset, loss) for s, loss in zip(sites, losses, strict=True)])
    overlaps = _overlaps(sites)
    interference_mw = overlaps @ 10 ** (received / 10)
    up, down, rsrp = [], [], []
    for cell, (site, loss, gain) in enumerate(zip(sites, losses, gains, strict=True)):
        preset, band_hz = site.preset, site.bandwidth_hz
        noise_mw = 10 ** (budget.down_noise_dbm(preset, band_hz) / 10)
        down_sinr = received[cell] + gain - 10 * np.log10(noise_mw + interference_mw[cell])
        busiest = max(
            (s.load for s, over in zip(sites, overlaps[cell], strict=True) if over), default=0.0
        )
        up_sinr = budget.up_dbm(preset, loss) + gain - budget.up_noise_dbm(preset, band_hz, busiest)
        up.append(_merged(times_s, budget.up_bps(preset, band_hz, up_sinr)))
        down.append(_merged(times_s, budget.down_bps(preset, band_hz, down_sinr)))
        rsrp.append(budget.rsrp_dbm(preset, band_hz, received[cell]))
    serving = serve(times_s, np.array(rsrp), until_s, [site.preset.rules for site in sites])
    return Reception(serving, tuple(up), tuple(down))


def _overlaps(sites: Sequence[Site]) -> Floats:
    """Return (cells, cells): how much of the power of a column's cell interferes with a row's."""
    shares = np.zeros((len(sites), len(sites)))
    for row, mine in enumerate(sites):
        for column, other in enumerate(sites):
            same = mine.preset.frequency_hz.value == other.preset.frequency_hz.value
            if row != column and same:
                shares[row, column] = other.load * min(1.0, mine.bandwidth_hz / other.bandwidth_hz)
    return shares


def _fading_db(
    times_s: Floats, until_s: float, fading: Fading | None, chance: np.random.Generator
) -> Floats:
    if fading is None:
        return np.zeros(1)
    starts_s = np.arange(0.0, until_s, fading.coherence_s)
    gains_db = 10 * np.log10(fading_gains(len(starts_s), fading.rician_k, chance))
    return gains_db[np.searchsorted(starts_s, times_s, side="right") - 1]


def _merged(times_s: Floats, bps: Floats) -> Rate:
    changes = np.flatnonzero(np.concatenate([[True], bps[1:] != bps[:-1]]))
    return Rate(times_s[changes], bps[changes])
