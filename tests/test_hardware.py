"""Rescaling: own figures count, methods tell the rest, opinions on shares differ, errors are told."""

from dataclasses import replace

import numpy as np
import pytest

from offload.dnn.hardware import by_second_opinion, carried, rescale
from offload.dnn.methods import Network
from offload.entities import Anchor
from offload.networks import Profile, Variant
from offload.scenario.catalogue import Catalogue
from tests import hand_made
from tests.test_methods import CPU, networks, on_cpu

CATALOGUE = Catalogue()


def measured(variant: Variant) -> Profile:
    """Return a measured profile of a network at two batch sizes, 40 ms for one."""
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


def known(
    variants: list[Variant], latencies_s: list[float], **more: object
) -> tuple[object, tuple[Network, ...]]:
    """Return hardware on which these networks are published, and those, all measured in 40 ms."""
    anchors = tuple(
        Anchor(v.model, 8, "int8", s, f"paper {v.model}", **more)
        for v, s in zip(variants, latencies_s, strict=True)
    )
    found = tuple(Network(v, 0.04, s) for v, s in zip(variants, latencies_s, strict=True))
    return replace(hand_made.hardware("target"), anchors=anchors), found


def test_an_own_figure_gives_the_total_and_the_measurement_the_shares() -> None:
    variants = networks(7)
    mine = measured(variants[2])
    found = rescale(mine, *known(variants, [0.5 + n for n in range(7)]), 0.04)
    assert sum(found.layers_s[1]) == pytest.approx(2.5, rel=1e-12)
    assert sum(found.layers_s[4]) == pytest.approx(7.5, rel=1e-12)
    shares = np.array(found.layers_s[1]) / np.array(mine.layers_s[1])
    assert shares == pytest.approx(np.full(20, shares[0]))
    assert (found.known, found.hardware, found.residual) == ("rescaled", "target", None)
    assert found.error.startswith("total published; shares ±")
    assert "paper net2" in found.source
    assert "measured on box" in found.source
    assert "batches as on box" in found.source


def test_an_own_figure_is_not_about_a_changed_network() -> None:
    variants = networks(7)
    pruned = replace(variants[2], name="pruned50")
    hardware, published = known(variants, [on_cpu(v, *CPU) for v in variants])
    found = rescale(measured(pruned), hardware, published, 0.04)
    assert "total published" not in found.error
    assert "choice of method left out too" in found.error


def test_six_others_give_a_method_with_its_error() -> None:
    variants = networks(7)
    seconds = [on_cpu(v, *CPU) for v in variants]
    found = rescale(measured(variants[0]), *known(variants[1:], seconds[1:]), 0.04)
    assert sum(found.layers_s[1]) == pytest.approx(seconds[0], rel=1e-2)
    assert found.error.startswith("mean 0%, max 0%, choice of method left out too, 6 networks; shares ±")
    assert found.source.startswith("roofline through 6 published networks (paper net1)")
    few = rescale(measured(variants[0]), *known(variants[1:6], seconds[1:6]), 0.04)
    assert few.error == "error unknown"
    assert few.second_s == ()


def test_a_figure_of_another_precision_anchors_nothing() -> None:
    (one,) = networks(1)
    anchor = Anchor(one.model, 8, "fp32", 1.0, "a paper")
    assert rescale(measured(one), replace(hand_made.hardware(), anchors=(anchor,)), (), 0.0) is None


def test_one_factor_from_one_other_network() -> None:
    one, other = networks(2)
    found = rescale(measured(one), *known([other], [0.02]), 0.04)
    # Both take 40 ms where they were measured; the other takes 20 ms there.
    assert sum(found.layers_s[1]) == pytest.approx(0.02)
    assert sum(found.layers_s[4]) == pytest.approx(0.06)
    assert (found.known, found.error, found.second_s) == ("rescaled", "error unknown", ())
    assert found.source.startswith("one factor x measured seconds (int8) through net1 (paper net1)")


def test_without_seconds_one_factor_counts_macs() -> None:
    one, other = networks(2)
    hardware, (published,) = known([other], [0.02])
    found = rescale(measured(one), hardware, (replace(published, measured_s=0.0),), 0.0)
    macs = [sum(e.flops for e in v.layers if e.kind != "norm") for v in (one, other)]
    assert sum(found.layers_s[1]) == pytest.approx(0.02 * macs[0] / macs[1])
    assert "one factor x MACs" in found.source


def test_a_published_rate_gives_the_batches() -> None:
    one, other = networks(2)
    found = rescale(measured(one), *known([other], [0.02], offline_hz=100.0), 0.04)
    # l(b) = 10 ms b + 10 ms, and so for one that takes as long.
    for batch in (1, 2, 8, 64):
        assert found.seconds(0, 20, batch) == pytest.approx(0.01 * batch + 0.01)
    assert "batches by the offline rate published for net1" in found.source


# The second opinion


def test_the_second_opinion_shares_the_same_total_as_the_method_does() -> None:
    variants = networks(8)
    mine = measured(variants[0])
    found = rescale(mine, *known(variants, [on_cpu(v, *CPU) for v in variants]), 0.04)
    assert sum(found.second_s) == pytest.approx(sum(found.layers_s[1]))
    by_hand = [on_cpu(replace(mine.variant, layers=(each,)), *CPU) for each in mine.variant.layers]
    # What is folded divides the time of what it follows, as it was measured; so sums agree before what
    # counts again.
    counted = [index for index, seconds in enumerate(by_hand) if seconds > 0]
    assert len(counted) < 20
    for index in counted[1:]:
        assert sum(found.second_s[:index]) == pytest.approx(sum(by_hand[:index]), rel=1e-3)
    assert min(found.second_s) > 0
    one, other = (np.cumsum(each) / sum(each) for each in (found.layers_s[1], found.second_s))
    assert found.error.endswith(f"shares ±{np.abs(one - other).max():.0%}")


def test_opinions_change_places_and_back() -> None:
    variants = networks(8)
    first = rescale(measured(variants[0]), *known(variants, [on_cpu(v, *CPU) for v in variants]), 0.04)
    second = by_second_opinion(first)
    assert second.layers_s[1] == pytest.approx(first.second_s)
    assert second.second_s == first.layers_s[1]
    assert second.error == first.error
    assert "second opinion" in second.source
    for batch, layers in first.layers_s.items():
        assert sum(second.layers_s[batch]) == pytest.approx(sum(layers), rel=1e-12)
        assert second.layers_s[batch] != pytest.approx(layers)
    again = by_second_opinion(second)
    assert again.layers_s[4] == pytest.approx(first.layers_s[4])
    assert by_second_opinion(measured(variants[0])).layers_s == measured(variants[0]).layers_s


def test_pooling_is_carried_over_at_the_pace_of_other_moving() -> None:
    kinds = ["conv", "pool", "elementwise", "pool"]
    layers = tuple(
        hand_made.layer(kind, kind, input_elements=500, output_elements=500) for kind in kinds
    )
    of = replace(hand_made.variant([5, 4, 3, 2, 1]), layers=layers)
    found = carried(hand_made.profile(of, [0.01, 0.02, 0.001, 0.0005]))
    assert found.tolist() == pytest.approx([0.01, 0.001, 0.001, 0.0005])
    # Nothing else moves data: nothing to go by.
    lone = replace(of, layers=layers[:2], cuts=of.cuts[:3])
    assert carried(hand_made.profile(lone, [0.01, 0.02])).tolist() == [0.01, 0.02]


# What is shipped


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
    here_own, here_other = (
        carried(shipped(model, "int8", "x86-core")).sum() for model in ("resnet50", "mobilenetv2")
    )
    assert other.error == "error unknown"
    assert sum(other.layers_s[1]) / here_other == pytest.approx(sum(own.layers_s[1]) / here_own)


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


# (method, mean error, largest error) with the choice left out too, as README tells.
SHIPPED = {
    "cortex-a53": ("roofline", 0.06, 0.23),
    "coral-desktop-cpu": ("roofline", 0.17, 0.41),
    "coral-usb-tpu": ("MACs + ops + overflow", 0.26, 0.76),
    "coral-dev-board-tpu": ("MACs + ops + overflow", 0.27, 0.81),
}


@pytest.mark.parametrize("name", CATALOGUE.hardware_names)
def test_shipped_hardware_and_its_errors(name: str) -> None:
    found = CATALOGUE.judgements(name)
    if name not in SHIPPED:
        assert all(judged.error == "error unknown" for judged in found.values())
        return
    (judged,) = found.values()
    method, mean, largest = SHIPPED[name]
    assert judged.chosen == method
    assert len(judged.networks) == len(CATALOGUE.hardware(name).anchors) == 10
    # Far more or less would say that graphs or fits have changed, and README with them.
    assert (judged.nested.mean, judged.nested.largest) == pytest.approx((mean, largest), abs=0.015)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_carry_the_error(name: str) -> None:
    own, other = shipped("mobilenetv2", "int8", name), shipped("resnet18", "int8", name)
    published = next(a for a in CATALOGUE.hardware(name).anchors if a.model == "mobilenetv2")
    assert sum(own.layers_s[1]) == pytest.approx(published.latency_s)
    assert own.error.startswith("total published")
    (judged,) = CATALOGUE.judgements(name).values()
    assert other.error.startswith(f"{judged.error}; shares ±")
    assert own.second_s
    assert other.second_s


def test_every_rescaled_figure_says_so() -> None:
    for model in CATALOGUE.models:
        for variant in CATALOGUE.variants(model):
            for name in CATALOGUE.hardware_names:
                found = CATALOGUE.profile(variant, name)
                if found is not None and found.known == "rescaled":
                    assert found.error.startswith(("total published", "mean ", "error unknown"))
                    assert "measured on x86-core" in found.source
