"""The chance of a line of sight, by hand, and that the surroundings are whole."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.world.radio.models import MODELS

E = math.exp(-1)


@pytest.mark.parametrize(
    ("model", "away_m", "device_m", "chance"),
    [
        ("umi", 18, 1.5, 1.0),
        ("umi", 36, 1.5, 0.5 + 0.5 * E),
        ("uma", 10, 1.5, 1.0),
        ("uma", 63, 1.5, 18 / 63 + E * (1 - 18 / 63)),
        ("uma", 100, 23.0, (0.18 + 0.82 * math.exp(-100 / 63)) * (1 + 1.25 * math.exp(-2 / 3))),
        ("rma", 10, 1.5, 1.0),
        ("rma", 1010, 1.5, E),
        ("inh-open", 5, 1.5, 1.0),
        ("inh-open", 49, 1.5, math.exp(-44 / 70.8)),
        ("inh-open", 260.7, 1.5, 0.54 * E),
        ("inh-mixed", 1.2, 1.5, 1.0),
        ("inh-mixed", 5.9, 1.5, E),
        ("inh-mixed", 39.1, 1.5, 0.32 * E),
        ("v2v-urban", 1, 1.5, 1.0),
        ("v2v-urban", 1 / 0.0114, 1.5, 1.05 * E),
        ("v2v-highway", 0, 1.5, 1.0),
        ("v2v-highway", 400, 1.5, 2.1013e-6 * 160_000 - 0.8 + 1.0193),
        ("v2v-highway", 675, 1.5, 0.34),
        ("v2v-highway", 2000, 1.5, 0.0),
        ("v2v-corner", 10, 1.5, 0.0),
    ],
)
def test_the_chance_of_a_line_of_sight_by_hand(model, away_m, device_m, chance) -> None:
    found = MODELS[model].los_probability(np.array([float(away_m)]), device_m)
    assert found == pytest.approx([chance], rel=1e-12)


@given(st.sampled_from(sorted(MODELS)), st.lists(st.floats(0, 9000), min_size=1), st.floats(1, 23))
def test_chances_are_chances(model, away, device_m) -> None:
    chances = MODELS[model].los_probability(np.array(away), device_m)
    assert ((chances >= 0) & (chances <= 1)).all()


def test_every_surrounding_is_named_as_it_is_found() -> None:
    for name, model in MODELS.items():
        assert model.name == name
        assert model.source
        assert (model.far_m is None) == (model.far_sigma_db is None)
