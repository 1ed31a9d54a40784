"""Every figure of a radio says how it is known, and the figures fit together."""

from dataclasses import fields

import pytest

from offload.world.radio.models import MODELS
from offload.world.radio.presets import PRESETS, Preset
from offload.world.radio.rates import STEPS, thresholds_db

EACH = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS.keys())


@EACH
def test_every_figure_has_a_source_and_what_is_remembered_is_assumed(preset: Preset) -> None:
    figures = dict(preset.figures())
    assert len(figures) == len(fields(preset)) - 3  # its name and those of two tables
    for figure in figures.values():
        assert figure.known in {"published", "assumed"}
        assert figure.source
        assert figure.known == "assumed" or "memory" not in figure.source


@EACH
def test_the_figures_fit_together(preset: Preset) -> None:
    assert PRESETS[preset.name] is preset
    assert preset.path_loss is MODELS[preset.model]
    assert preset.steps in STEPS
    assert 0 < preset.down_usable <= 1
    assert 0 < preset.up_usable <= 1
    if preset.name != "lte-1.8ghz":  # FDD: each direction has its own band
        assert preset.down_share.value + preset.up_share.value <= 1
    assert preset.subcarrier_hz.value < preset.bandwidth_hz.value
    assert preset.rules.out_dbm < preset.rules.in_dbm
    # A device may connect about where the lowest rate begins, not far within or without.
    lowest_db = thresholds_db(preset.steps, preset.gap_db.value)[0]
    assert abs(preset.in_sinr_db.value - lowest_db) < 5


def test_the_overheads_follow_from_blocks_and_slots() -> None:
    # 273 blocks of 12 subcarriers and 14 symbols, 2000 slots a second; 264 blocks, 8000 slots; LTE 100.
    nr, wave, lte = (PRESETS[name] for name in ("nr-umi-3.5ghz", "nr-mmwave-28ghz", "lte-1.8ghz"))
    grid = {
        nr.name: 273 * 12 * 14 * 2000 / 100e6,
        wave.name: 264 * 12 * 14 * 8000 / 400e6,
        lte.name: 100 * 12 * 14 * 1000 / 20e6,
    }
    for preset, down, up in ((nr, 0.14, 0.08), (wave, 0.18, 0.10), (lte, 0.25, 0.15)):
        left = grid[preset.name]
        assert preset.down_overhead.value == pytest.approx(1 - left * (1 - down), abs=6e-4)
        assert preset.up_overhead.value == pytest.approx(1 - left * (1 - up), abs=6e-4)
    assert nr.down_share.value == pytest.approx((3 * 14 + 10) / 70, abs=5e-4)
    assert nr.up_share.value == pytest.approx((14 + 2) / 70, abs=5e-4)
    for name, grid_share, medium in (("wifi-5ghz", 234 / 4e-6 / 80e6, 0.35), ("dsrc-5.9ghz", 0.6, 0.4)):
        assert PRESETS[name].down_overhead.value == pytest.approx(
            1 - grid_share * (1 - medium), abs=6e-4
        )
