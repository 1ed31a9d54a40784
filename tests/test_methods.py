"""Methods of rescaling: planted coefficients come back, and errors are those of leaving networks out."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from offload.dnn import methods
from offload.dnn.methods import METHODS, Network, judge
from offload.networks import Variant
from tests import hand_made

KINDS = ["conv", "depthwise", "pointwise", "linear", "norm"]
CPU, TPU = (0.24, 0.22, 0.006), (0.001, 0.00004, 0.002)


def networks(count: int) -> list[Variant]:
    """Return networks of random layers, some bound by arithmetic and some by memory."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(count):
        layers = tuple(
            hand_made.layer(
                f"layer{index}",
                str(rng.choice(KINDS)),
                flops=int(10 ** rng.uniform(6, 9)),
                parameters=int(10 ** rng.uniform(3, 6.5)),
                input_elements=int(10 ** rng.uniform(4, 6.5)),
                output_elements=int(10 ** rng.uniform(4, 6.5)),
            )
            for index in range(20)
        )
        blank = hand_made.variant(range(21, 0, -1), name="int8", model=f"net{number}")
        made.append(replace(blank, layers=layers))
    return made


def on_cpu(variant: Variant, k: float, k_pointwise: float, beta: float) -> float:
    """Sum max(k MACs, beta elements) over the layers that count."""
    total = 0.0
    for each in variant.layers:
        if each.kind == "norm":  # folded
            continue
        rate = k_pointwise if each.kind in ("pointwise", "linear") else k
        elements = (each.input_elements + each.output_elements + each.parameters) / 1e6
        total += max(rate * each.flops / 2e9, beta * elements)
    return total


def on_tpu(variant: Variant, a: float, b: float, c: float) -> float:
    """Count MACs, ops and the parameters that do not fit the chip."""
    counted = [each for each in variant.layers if each.kind != "norm"]
    millions = sum(each.parameters for each in variant.layers) / 1e6
    return a * sum(e.flops for e in counted) / 2e9 + b * len(counted) + c * max(0.0, millions - 8)


def published(
    count: int, seconds: Callable[[Variant], float], measured_s: float = 0.0
) -> tuple[Network, ...]:
    """Return networks that take so long."""
    return tuple(Network(graph, measured_s, seconds(graph)) for graph in networks(count))


@pytest.mark.parametrize("planted", [CPU, (0.04, 0.08, 0.0025), (0.5, 0.05, 0.01)])
def test_a_planted_roofline_comes_back(planted: tuple[float, float, float]) -> None:
    known = published(12, lambda graph: on_cpu(graph, *planted))
    *rest, last = known
    predict = methods.roofline(rest)
    assert predict(last).sum() == pytest.approx(last.latency_s, rel=1e-3)
    # Layer by layer: what is folded takes nothing.
    for layer, seconds in zip(last.graph.layers, predict(last), strict=True):
        alone = replace(last.graph, layers=(layer,))
        assert seconds == pytest.approx(on_cpu(alone, *planted), rel=1e-3)


def test_a_planted_accelerator_comes_back() -> None:
    known = published(12, lambda graph: on_tpu(graph, *TPU))
    sizes = [sum(layer.parameters for layer in network.graph.layers) for network in known]
    assert min(sizes) < 8e6 < max(sizes)
    *rest, last = known
    predict = methods.accelerator(rest)
    for network in known:
        assert predict(network).sum() == pytest.approx(network.latency_s, rel=1e-6)
        assert len(predict(network)) == len(last.graph.layers)


def test_one_factor_is_the_geometric_mean() -> None:
    graphs = networks(2)
    known = [Network(graphs[0], 0.1, 0.2), Network(graphs[1], 0.1, 0.8)]
    assert methods.measured_seconds(known)(Network(graphs[0], 0.5)).sum() == pytest.approx(2.0)


def test_macs_count_nothing_else() -> None:
    known = published(4, lambda graph: sum(e.flops for e in graph.layers if e.kind != "norm") / 1e12)
    predict = methods.macs(known[:3])
    assert predict(known[3]).sum() == pytest.approx(known[3].latency_s)


@pytest.mark.parametrize(
    ("kind", "seconds", "chosen"),
    [
        ("cpu", lambda graph: on_cpu(graph, *CPU), "roofline"),
        ("accelerator", lambda graph: on_tpu(graph, *TPU), "MACs + ops + overflow"),
    ],
)
def test_the_least_error_chooses(kind: str, seconds: Callable[[Variant], float], chosen: str) -> None:
    found = judge(kind, published(9, seconds, measured_s=0.3))
    assert found.chosen == chosen
    assert found.nested.largest < 0.01
    assert found.errors["measured seconds"].mean > 0.05
    assert min(found.errors, key=lambda name: found.errors[name].mean) == chosen


def test_errors_are_those_of_leaving_one_out_by_hand() -> None:
    rng = np.random.default_rng(3)
    known = tuple(
        replace(each, latency_s=each.latency_s * rng.uniform(0.6, 1.6), measured_s=rng.uniform(1, 9))
        for each in published(7, lambda graph: on_cpu(graph, *CPU))
    )
    found = judge("cpu", known)
    for name, error in found.errors.items():
        for index, miss in enumerate(error.misses):
            rest = [network for network in known if network is not known[index]]
            told = METHODS[name].fit(rest)(known[index]).sum()
            assert miss == pytest.approx(abs(told / known[index].latency_s - 1), rel=1e-6)
    assert found.errors[found.chosen].mean == min(found.errors[n].mean for n in found.open_to)


def test_the_nested_error_chooses_without_the_network() -> None:
    # Measured seconds tell six networks exactly and the seventh not at all; a roofline all alike badly.
    graphs = networks(7)
    known = tuple(Network(graph, 1.0, 9.0 if index == 6 else 1.0) for index, graph in enumerate(graphs))
    found = judge("cpu", known)
    for index in range(7):
        rest = tuple(network for network in known if network is not known[index])
        errors = {name: _mean_miss(name, rest) for name in found.open_to}
        best = min(errors, key=errors.get)
        told = METHODS[best].fit(rest)(known[index]).sum()
        assert found.nested.misses[index] == pytest.approx(abs(told / known[index].latency_s - 1))
    assert found.nested.misses[6] > 0.5


def _mean_miss(name: str, known: tuple[Network, ...]) -> float:
    misses = []
    for left_out in known:
        rest = [network for network in known if network is not left_out]
        misses.append(abs(METHODS[name].fit(rest)(left_out).sum() / left_out.latency_s - 1))
    return float(np.mean(misses))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_too_few_networks_have_one_factor_and_no_error(count: int) -> None:
    known = published(count, lambda graph: on_cpu(graph, *CPU), measured_s=0.3)
    found = judge("cpu", known)
    assert (found.chosen, found.error, found.errors) == ("measured seconds", "error unknown", {})
    assert found.layers(known[0]) is None
    untimed = tuple(replace(network, measured_s=0.0) for network in known)
    assert judge("cpu", untimed).told == "one factor x MACs"


def test_what_nobody_timed_needs_no_seconds() -> None:
    known = published(8, lambda graph: on_cpu(graph, *CPU))
    found = judge("cpu", known)
    assert "measured seconds" not in found.errors
    assert found.chosen == "roofline"
    assert "choice of method left out too, 8 networks" in found.error


def test_networks_without_arithmetic_anchor_nothing() -> None:
    graph = hand_made.variant([3, 2, 1])
    assert judge("cpu", (Network(graph, 1.0, 1.0),)) is None
    assert judge("cpu", ()) is None
