"""Shadowing has the variance and correlation that it says, a line of sight the chance of its model."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.streams import Streams
from offload.world.radio.channel import Fading, fading_gains, field, losses_db
from offload.world.radio.models import MODELS, PathLoss
from offload.world.radio.pathloss import Floats
from offload.world.radio.way import Way

MANY = 3000
SIGMAS = 3.29  # 99.9 % of a normal distribution lie within


def chance(number: int) -> np.random.Generator:
    """Return the generator of this number."""
    return Streams(1, number).generator("radio")


def along(*travelled_m: float, length_m: float = 200.0) -> Way:
    """Return a way sampled at these distances."""
    zeros = np.zeros(len(travelled_m))
    return Way(zeros, zeros, zeros, np.array(travelled_m, dtype=float), length_m)


def agrees(samples: Floats, expected: float) -> bool:
    """Tell whether the mean of independent samples is the one expected."""
    return abs(samples.mean() - expected) < SIGMAS * samples.std(ddof=1) / np.sqrt(len(samples))


def bare(name: str) -> PathLoss:
    """Return a surrounding without shadows."""
    return replace(MODELS[name], los_sigma_db=0.0, obstructed_sigma_db=0.0, far_sigma_db=0.0)


def test_a_field_has_unit_variance_everywhere_and_correlation_that_decays() -> None:
    at_m = (0.0, 2.5, 10.0, 11.2, 20.0, 123.4)  # knots lie 2.5 m apart; 11.2 and 123.4 between them
    values = np.array([field(along(*at_m), 10.0, chance(number)) for number in range(MANY)])
    for column in values.T:
        assert agrees(column, 0.0)
        assert agrees(column**2, 1.0)
    assert agrees(values[:, 0] * values[:, 1], np.exp(-0.25))
    assert agrees(values[:, 0] * values[:, 2], np.exp(-1))
    assert agrees(values[:, 2] * values[:, 4], np.exp(-1))
    assert agrees(values[:, 0] * values[:, 5], np.exp(-12.34))


@given(st.lists(st.floats(0, 500), min_size=1, max_size=50), st.integers(0, 99), st.floats(1, 120))
def test_how_finely_a_way_is_sampled_changes_nothing(places, number, correlation_m) -> None:
    coarse = np.sort(np.array([0.0, *places]))
    fine = np.sort(np.concatenate([coarse, np.linspace(0, 500, 77)]))
    whole = field(along(*fine, length_m=500.0), correlation_m, chance(number))
    part = field(along(*coarse, length_m=500.0), correlation_m, chance(number))
    assert part == pytest.approx(whole[np.searchsorted(fine, coarse)], abs=1e-12)


def test_a_field_is_drawn_in_one_block_that_the_length_decides() -> None:
    ends = []
    for places in ((0.0,), (0.0, 1.0, 99.0), tuple(np.linspace(0, 100, 1000))):
        generator = chance(3)
        field(along(*places, length_m=100.0), 10.0, generator)
        ends.append(generator.random())
    assert len(set(ends)) == 1


@pytest.mark.parametrize("name", ["umi", "uma", "rma", "inh-open", "inh-mixed"])
def test_the_share_of_places_in_sight_is_the_models(name: str) -> None:
    model, height_m = bare(name), 1.5
    away_m = np.array([30.0, 80.0])
    los_db = model.los(away_m, 10.0, height_m, 3.5e9)
    seen = np.array(
        [
            losses_db(model, along(0.0, 150.0), away_m, 10.0, height_m, 3.5e9, chance(number)) == los_db
            for number in range(MANY)
        ]
    )
    for column, expected in zip(seen.T, model.los_probability(away_m, height_m), strict=True):
        assert agrees(column.astype(float), expected)


def test_neighbouring_places_mostly_agree_on_a_line_of_sight() -> None:
    model = bare("umi")
    away_m = np.full(3, 30.0)
    los_db = model.los(away_m, 10.0, 1.5, 3.5e9)
    way = along(0.0, 1.0, 190.0)
    seen = np.array(
        [losses_db(model, way, away_m, 10.0, 1.5, 3.5e9, chance(n)) == los_db for n in range(1000)]
    )
    assert (seen[:, 0] != seen[:, 1]).mean() < 0.1
    assert (seen[:, 0] != seen[:, 2]).mean() > 0.3  # a coin each: 2 p (1 - p) = 0.35 with p = 0.77


@pytest.mark.parametrize(("away_m", "sigma_db"), [(100.0, 4.0), (9000.0, 6.0)])
def test_the_shadows_of_a_rural_sight_widen_beyond_the_breakpoint(
    away_m: float, sigma_db: float
) -> None:
    model = replace(MODELS["rma"], los_probability=lambda d2d_m, _: np.ones_like(d2d_m))
    away = np.array([away_m])  # the breakpoint lies at 5.5 km
    shadows = [losses_db(model, along(0.0), away, 35.0, 1.5, 5e9, chance(n))[0] for n in range(MANY)]
    spread = (np.array(shadows) - model.los(away, 35.0, 1.5, 5e9)) ** 2
    assert agrees(spread, sigma_db**2)


def test_shadows_without_a_line_of_sight_have_their_own_deviation() -> None:
    model = replace(MODELS["umi"], los_probability=lambda d2d_m, _: np.zeros_like(d2d_m))
    away = np.array([100.0])
    shadows = [losses_db(model, along(0.0), away, 10.0, 1.5, 5e9, chance(n))[0] for n in range(MANY)]
    assert agrees((np.array(shadows) - model.obstructed(away, 10.0, 1.5, 5e9)) ** 2, 7.82**2)


def test_a_vehicle_in_the_way_only_takes_away() -> None:
    model = replace(bare("v2v-urban"), los_probability=lambda d2d_m, _: np.zeros_like(d2d_m))
    away = np.array([100.0])
    losses = [losses_db(model, along(0.0), away, 5.0, 1.6, 5.9e9, chance(n))[0] for n in range(MANY)]
    added = np.array(losses) - model.los(away, 5.0, 1.6, 5.9e9)
    assert added.min() == pytest.approx(0.0, abs=1e-9)
    # The mean of max(0, X) where X is normal, mean 5 and deviation 4: 5 Phi(1.25) + 4 phi(1.25).
    assert agrees(added, 5 * 0.8943502 + 4 * 0.1826491)


@pytest.mark.parametrize("rician_k", [0.0, 1.0, 10.0])
def test_fading_has_mean_one_and_the_variance_of_its_law(rician_k: float) -> None:
    gains = fading_gains(20_000, rician_k, chance(0))
    assert (gains > 0).all()
    assert agrees(gains, 1.0)
    assert agrees((gains - 1) ** 2, (1 + 2 * rician_k) / (1 + rician_k) ** 2)


def test_rayleigh_fading_is_exponential() -> None:
    gains = fading_gains(20_000, 0.0, chance(1))
    assert agrees((gains > 1).astype(float), np.exp(-1))


@pytest.mark.parametrize("wrong", [(0.0, 0.0), (-1.0, 0.0), (1.0, -0.1), (float("nan"), 0.0)])
def test_fading_must_make_sense(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="coherence time"):
        Fading(*wrong)
