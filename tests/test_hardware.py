"""Rescaling: planted coefficients come back, own figures count, and errors are told."""

from dataclasses import replace

import numpy as np
import pytest

from offload.dnn.hardware import Roofline, fit_roofline, rescale
from offload.entities import Anchor
from offload.networks import Profile, Variant
from offload.scenario.catalogue import Catalogue
from tests import hand_made

CATALOGUE = Catalogue()


def networks(count: int) -> list[Variant]:
    """Return networks of random layers, some bound by arithmetic and some by memory."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(count):
        layers = tuple(
            hand_made.layer(
                f"layer{index}",
                str(rng.choice(["conv", "depthwise", "pointwise", "linear", "norm"])),
                flops=int(10 ** rng.uniform(6, 9)),
                parameters=int(10 ** rng.uniform(3, 6)),
                input_elements=int(10 ** rng.uniform(4, 6.5)),
                output_elements=int(10 ** rng.uniform(4, 6.5)),
            )
            for index in range(20)
        )
        blank = hand_made.variant(range(21, 0, -1), name="int8", model=f"net{number}")
        made.append(replace(blank, layers=layers))
    return made


def by_hand(variant: Variant, k: float, k_pointwise: float, beta: float) -> float:
    """Sum max(k MACs, beta elements) over the layers that count."""
    total = 0.0
    for each in variant.layers:
        if each.kind == "norm":  # folded
            continue
        gigamacs = each.flops / 2 / 1e9
        rate = k_pointwise if each.kind in ("pointwise", "linear") else k
        elements = (each.input_elements + each.output_elements + each.parameters) / 1e6
        total += max(rate * gigamacs, beta * elements)
    return total


def test_a_roofline_is_the_sum_of_maxima() -> None:
    for variant in networks(3):
        found = Roofline(0.2, 0.1, 0.005, "").seconds(variant.layers)
        assert found == pytest.approx(by_hand(variant, 0.2, 0.1, 0.005))


@pytest.mark.parametrize("planted", [(0.24, 0.22, 0.006), (0.04, 0.08, 0.0025), (0.5, 0.05, 0.01)])
def test_planted_coefficients_come_back(planted: tuple[float, float, float]) -> None:
    fit = fit_roofline(tuple((by_hand(variant, *planted), variant) for variant in networks(12)))
    assert (fit.k_s, fit.k_pointwise_s, fit.beta_s) == pytest.approx(planted, rel=1e-3)
    assert "mean 0%" in fit.error


def measured(variant: Variant) -> Profile:
    """Return a measured profile of a network at two batch sizes."""
    layers = tuple(np.linspace(0.001, 0.003, len(variant.layers)).tolist())
    return Profile(
        variant,
        "box",
        "measured",
        "a test",
        {1: layers, 4: tuple(3 * each for each in layers)},
        raw_sum_s={1: 1.0},
        residual=0.1,
    )


def anchored(*anchors: Anchor) -> object:
    """Return hardware with these anchors."""
    return replace(hand_made.hardware("target"), anchors=anchors)


def graphs(variants: list[Variant]) -> dict[tuple[str, int], Variant]:
    """Return networks by name and size."""
    return {(variant.model, variant.input_shape[-1]): variant for variant in variants}


def test_an_own_figure_gives_the_total_and_the_measurement_the_shares() -> None:
    variants = networks(7)
    anchors = [Anchor(v.model, 8, "int8", 0.5 + n, f"paper {n}") for n, v in enumerate(variants)]
    mine = measured(variants[2])
    found = rescale(mine, anchored(*anchors), graphs(variants))
    assert sum(found.layers_s[1]) == pytest.approx(2.5, rel=1e-12)
    assert sum(found.layers_s[4]) == pytest.approx(7.5, rel=1e-12)
    shares = np.array(found.layers_s[1]) / np.array(mine.layers_s[1])
    assert shares == pytest.approx(np.full(20, shares[0]))
    assert (found.known, found.hardware, found.residual) == ("rescaled", "target", None)
    assert "shares" in found.error
    assert "paper 2" in found.source
    assert "measured on box" in found.source


def test_five_others_give_a_fit_with_its_error() -> None:
    variants = networks(7)
    planted = (0.2, 0.1, 0.005)
    anchors = [Anchor(v.model, 8, "int8", by_hand(v, *planted), "a paper") for v in variants[1:]]
    found = rescale(measured(variants[0]), anchored(*anchors), graphs(variants))
    assert sum(found.layers_s[1]) == pytest.approx(by_hand(variants[0], *planted), rel=1e-2)
    assert "mean" in found.error
    assert "roofline" in found.source
    # A figure for another size is about another network.
    other_size = [replace(anchor, pixels=9) for anchor in anchors]
    assert rescale(measured(variants[0]), anchored(*other_size), graphs(variants)) is None
    assert rescale(measured(variants[0]), anchored(*anchors[:4]), graphs(variants)) is None


def test_another_precision_anchors_nothing() -> None:
    variants = networks(7)
    anchors = [Anchor(v.model, 8, "fp32", 1.0, "a paper") for v in variants]
    assert rescale(measured(variants[0]), anchored(*anchors), graphs(variants)) is None


def test_one_factor_from_one_other_network() -> None:
    one, other = networks(2)
    anchor = Anchor(other.model, 8, "int8", 0.02, "a paper")
    found = rescale(measured(one), anchored(anchor), graphs([one, other]), [measured(other)])
    # Both take 40 ms where they were measured; the other takes 20 ms there.
    assert sum(found.layers_s[1]) == pytest.approx(0.02)
    assert sum(found.layers_s[4]) == pytest.approx(0.06)
    assert (found.known, found.error) == ("rescaled", "error unknown")
    assert other.model in found.source


def shipped(model: str, form: str, hardware: str) -> Profile | None:
    """Return what the shipped catalogue knows."""
    (variant,) = [v for v in CATALOGUE.variants(model) if v.name == form]
    return CATALOGUE.profile(variant, hardware)


def test_batches_on_a_t4_by_its_offline_rate() -> None:
    found = shipped("resnet50", "int8", "t4")
    last = found.variant.last
    for batch in (1, 2, 3, 8, 32, 64, 100):
        # l(b) = alpha b + beta, alpha = 1 / 6036 per second and alpha + beta = 1.086 ms.
        expected = batch / 6036 + (1.086e-3 - 1 / 6036)
        assert found.seconds(0, last, batch) == pytest.approx(expected, rel=1e-9)
        assert found.seconds(0, last, batch) * 1e3 == pytest.approx(0.166 * batch + 0.920, rel=3e-3)


def test_with_one_anchor_others_get_one_factor_and_no_error() -> None:
    own, other = shipped("resnet50", "int8", "t4"), shipped("mobilenetv2", "int8", "t4")
    here_own, here_other = (shipped(model, "int8", "x86-core") for model in ("resnet50", "mobilenetv2"))
    assert other.error == "error unknown"
    assert sum(other.layers_s[1]) / sum(here_other.layers_s[1]) == pytest.approx(
        sum(own.layers_s[1]) / sum(here_own.layers_s[1])
    )


@pytest.mark.parametrize(
    ("model", "form", "hardware"),
    [
        ("resnet50", "fp32", "t4"),
        ("resnet50", "fp32", "cortex-a53"),
        ("resnet50", "int8", "raspberry-pi-4"),
    ],
)
def test_no_figure_of_a_precision_no_profile(model: str, form: str, hardware: str) -> None:
    assert shipped(model, form, hardware) is None


def test_the_shipped_a53_prints_what_leaving_one_out_misses() -> None:
    found = shipped("resnet18", "int8", "cortex-a53")
    print(f"cortex-a53: {found.error}")
    assert "mean" in found.error
    assert "max" in found.error
    mean = float(found.error.split("mean ")[1].split("%")[0])
    # 6 % where it was first tried; 8 % nested. Far more would say that graphs or fit have changed.
    assert mean <= 15
    own = shipped("mobilenetv2", "int8", "cortex-a53")
    assert sum(own.layers_s[1]) == pytest.approx(0.122)
