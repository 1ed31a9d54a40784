"""What a device receives: against budgets where there is no chance, and what may not depend on what."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.streams import Streams
from offload.world.mobility import Track
from offload.world.radio import models
from offload.world.radio.budget import budget
from offload.world.radio.channel import Fading
from offload.world.radio.handover import NONE
from offload.world.radio.presets import PRESETS, Preset
from offload.world.radio.reception import Rate, Reception, Site, receive
from offload.world.radio.way import RadioError

UMI, LTE, WIFI = (PRESETS[name] for name in ("nr-umi-3.5ghz", "lte-1.8ghz", "wifi-5ghz"))
SECONDS = np.arange(61.0)
DRIVE = Track(SECONDS, 12 * SECONDS - 60, np.zeros(61))


def site(name: str, x_m: float, preset: Preset = UMI, load: float = 0.0) -> Site:
    """Return a site 20 m beside the road."""
    return Site(name, x_m, 20.0, preset, preset.bandwidth_hz.value, load)


ROAD = [site(f"cell-{i}", 200.0 * i, load=0.5) for i in range(4)]


def reception(
    sites: list[Site], track: Track = DRIVE, device: str = "car", fading: Fading | None = None
) -> Reception:
    """Receive for a minute."""
    streams = Streams(1, 0)
    fading_sites = [replace(each, fading=fading) for each in sites] if fading else sites
    return receive(track, fading_sites, lambda cell: streams.generator("radio", device, cell), 60.0)


def at(rate: Rate, times_s: np.ndarray) -> np.ndarray:
    """Return a rate at times."""
    return rate.bps[np.searchsorted(rate.times_s, times_s, side="right") - 1]


def same(one: Reception, other: Reception) -> bool:
    """Tell whether two receptions are the same to the bit."""
    rates = zip(one.up + one.down, other.up + other.down, strict=True)
    return (
        np.array_equal(one.serving.times_s, other.serving.times_s)
        and np.array_equal(one.serving.cells, other.serving.cells)
        and all(np.array_equal(a.times_s, b.times_s) and np.array_equal(a.bps, b.bps) for a, b in rates)
    )


def without_chance(monkeypatch: pytest.MonkeyPatch) -> Preset:
    """Return a radio with a line of sight everywhere and no shadows."""
    model = replace(
        models.MODELS["umi"], name="bare", los_sigma_db=0.0, los_probability=lambda d, _: np.ones_like(d)
    )
    monkeypatch.setitem(models.MODELS, "bare", model)
    return replace(UMI, model="bare")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Preset:
    """Return that radio for one test."""
    return without_chance(monkeypatch)


@given(st.floats(-2000, 2000))
def test_without_chance_a_standing_device_has_the_rates_of_its_budget(x_m) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        preset = without_chance(monkeypatch)
        found = reception([site("a", 0.0, preset)], Track.standing((x_m, 0.0)))
        expected = budget(preset, float(np.hypot(x_m, 20.0)))
    assert found.down[0].bps == pytest.approx([expected.down_bps])
    assert found.up[0].bps == pytest.approx([expected.up_bps])


def test_without_chance_a_moving_device_follows_its_budgets(bare: Preset) -> None:
    found = reception([site("a", 300.0, bare)])
    for second in SECONDS[:-1]:
        away_m = float(np.hypot(12 * second - 60 - 300, 20.0))
        assert at(found.up[0], second) == pytest.approx(budget(bare, away_m).up_bps)


def test_without_chance_a_car_is_handed_over_a_little_after_the_middle(bare: Preset) -> None:
    found = reception([site("a", 0.0, bare), site("b", 400.0, bare)])
    assert found.serving.cells.tolist() == [0, NONE, 1]
    handed_over_s, back_s = found.serving.times_s[1:]
    assert back_s - handed_over_s == pytest.approx(bare.interruption_s.value)
    # The middle, 200 m, is passed at 21.7 s. b is better by 3 dB from about 230 m on (21 log10 of
    # distances 232 and 172 differ by 2.7 dB), then come the filter and the time to trigger.
    assert 24.0 < handed_over_s < 25.5


def test_interference_by_hand(bare: Preset) -> None:
    halfway = Track.standing((100.0, 20.0))
    alone, beside = (
        reception([site("a", 0.0, bare), site("b", 200.0, bare, load)], halfway) for load in (0.0, 1.0)
    )
    # Equal signal and interference: 0 dB less a trifle of noise, CQI 1 (from -2.1 dB on).
    assert alone.down[0].bps == pytest.approx([budget(bare, 100.0).down_bps])
    assert beside.down[0].bps == pytest.approx([156 / 1024 * 100e6 * bare.down_usable])
    assert beside.down[1].bps == pytest.approx(alone.down[1].bps)  # a has no load
    # At the site 34.7 dB, less the 6 dB by which a loaded neighbour raises the noise: CQI 14.
    assert alone.up[0].bps == pytest.approx([948 * 8 / 1024 * 100e6 * bare.up_usable])
    assert beside.up[0].bps == pytest.approx([885 * 8 / 1024 * 100e6 * bare.up_usable])
    assert beside.up[1].bps == pytest.approx(alone.up[1].bps)


def test_a_wide_band_interferes_with_a_narrow_one_by_its_part(bare: Preset) -> None:
    wide, narrow = site("a", 0.0, bare, load=1.0), replace(site("b", 200.0, bare), bandwidth_hz=25e6)
    found = reception([wide, narrow], Track.standing((100.0, 20.0)))
    # A quarter of the power of a falls into the band of b: 6 dB, CQI 2 of table 2 (from 2.2 dB on).
    assert found.down[1].bps == pytest.approx([193 * 2 / 1024 * 25e6 * bare.down_usable])


def test_other_frequencies_do_not_interfere() -> None:
    quiet = reception([site("a", 0.0), site("b", 200.0, LTE)])
    loaded = reception([site("a", 0.0), site("b", 200.0, LTE, load=1.0)])
    assert same(quiet, loaded)


@pytest.mark.parametrize("load", [0.0, 0.3])
def test_load_of_neighbours_only_takes_away(load: float) -> None:
    found = reception([replace(each, load=load) for each in ROAD])
    worse = reception([replace(each, load=load + 0.5) for each in ROAD])
    times_s = np.linspace(0, 60, 500)
    for a, b in zip(found.down + found.up, worse.down + worse.up, strict=True):
        assert (at(a, times_s) >= at(b, times_s)).all()
    assert np.array_equal(found.serving.times_s, worse.serving.times_s)  # RSRP knows no interference


def test_the_same_names_give_the_same_bytes_and_others_do_not() -> None:
    assert same(reception(ROAD), reception(ROAD))
    assert not same(reception(ROAD), reception(ROAD, device="other"))


def test_another_cell_leaves_the_channels_of_the_others_alone() -> None:
    sites = [site("a", 0.0), site("b", 400.0)]
    # Of another frequency, so that it does not interfere, and with shadows that ask for finer steps.
    more = [site("w", 100.0, WIFI), *sites]
    few, many = reception(sites), reception(more)
    for cell in range(2):
        for rates in ("up", "down"):
            alone, beside = getattr(few, rates)[cell], getattr(many, rates)[cell + 1]
            # Where pieces of the track begin both are sampled.
            assert at(alone, SECONDS[:-1]) == pytest.approx(at(beside, SECONDS[:-1]))
            assert len(alone.bps) > 20


def test_what_comes_back_is_short_and_whole() -> None:
    found = reception(ROAD)
    assert len(found.up) == len(found.down) == 4
    for rate in (*found.up, *found.down):
        assert rate.times_s[0] == 0
        assert (np.diff(rate.times_s) > 0).all()
        assert (np.diff(rate.bps) != 0).all()
        assert (rate.bps >= 0).all()
    assert found.serving.times_s[0] == 0
    assert set(found.serving.cells.tolist()) <= {NONE, 0, 1, 2, 3}
    assert len(set(found.serving.cells.tolist())) > 2


def test_a_standing_device_has_one_of_each() -> None:
    found = reception(ROAD, Track.standing((250.0, 0.0)))
    assert [len(rate.bps) for rate in (*found.up, *found.down)] == [1] * 8
    assert len(found.serving.cells) == 1


def test_fading_moves_rates_and_not_handovers(bare: Preset) -> None:
    sites, stands = [site("a", -900.0, bare), site("b", 900.0, bare)], Track.standing((0.0, 0.0))
    still, faded, calm = (
        reception(sites, stands, fading=fading)
        for fading in (None, Fading(0.1), Fading(0.1, rician_k=1e9))
    )
    assert faded.serving.cells.tolist() == still.serving.cells.tolist() == [0]
    for calm_rate, still_rate, rate in zip(
        calm.up + calm.down, still.up + still.down, faded.up + faded.down, strict=True
    ):
        assert np.array_equal(calm_rate.bps, still_rate.bps)
        assert len(rate.bps) > 300  # of 600 blocks
        assert np.round(rate.times_s * 10, 9) % 1 == pytest.approx(0.0)
    assert not np.array_equal(faded.up[0].bps, faded.up[1].bps)  # each cell fades on its own


def test_each_cell_has_a_fading_of_its_own_or_none(bare: Preset) -> None:
    a, b = site("a", -900.0, bare), site("b", 900.0, bare)
    stands = Track.standing((0.0, 0.0))
    found = reception([replace(a, fading=Fading(0.25)), replace(b, fading=Fading(0.1))], stands)
    both = [reception([a, b], stands, fading=Fading(every_s)) for every_s in (0.25, 0.1)]
    assert np.array_equal(found.up[0].bps, both[0].up[0].bps)
    assert np.array_equal(found.up[1].bps, both[1].up[1].bps)
    one = reception([a, replace(b, fading=Fading(0.1))], stands)
    assert len(one.up[0].bps) == 1
    assert np.array_equal(one.up[1].bps, both[1].up[1].bps)


def test_no_cells_serve_nobody() -> None:
    found = reception([])
    assert (found.serving.cells.tolist(), found.up, found.down) == ([NONE], (), ())


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="horizon"):
        receive(DRIVE, ROAD, lambda _: np.random.default_rng(0), 0.0)
    with pytest.raises(RadioError, match="more than"):
        reception(ROAD, Track(np.array([0.0, 1.0]), np.array([0.0, 1e12]), np.zeros(2)))
    for wrong in ({"load": 1.1}, {"load": -0.1}, {"bandwidth_hz": 0.0}, {"load": float("nan")}):
        with pytest.raises(ValueError, match="a load lies from 0 to 1"):
            replace(ROAD[0], **wrong)
