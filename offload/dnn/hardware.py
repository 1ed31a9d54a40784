"""Profiles for hardware that was not measured: rescaled from one that was, by published figures.

The total of a network comes from the best evidence at hand, the shares of its layers from the measured
profile; whole-network figures do not identify layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from offload.entities import Anchor, Hardware, Layer, Profile, Variant

Floats = npt.NDArray[np.float64]

FEWEST_FOR_A_FIT = 5

# Coral and others name networks as whole; which of our captured networks each figure is about.
MATRIX = ("conv", "depthwise", "linear", "pointwise", "attention")
IGNORED = ("norm", "activation", "view", "quantize", "other")


@dataclass(frozen=True, slots=True)
class Roofline:
    """A network's seconds as the sum over its layers of max(k MACs, beta elements).

    `k` is apart for pointwise and linear layers. Coefficients are effective ones for one device and
    runtime, in seconds per 1e9 MACs and per 1e6 elements (in + out + weights). Batch norm counts as
    folded and ReLU as fused.
    """

    k_s: float
    k_pointwise_s: float
    beta_s: float
    error: str

    def seconds(self, layers: Sequence[Layer]) -> float:
        """Predict the seconds of a network, batch 1."""
        work = _work(layers)
        return float(_predict(np.array([self.k_s, self.k_pointwise_s, self.beta_s]), work))


def rescale(
    measured: Profile, hardware: Hardware, graphs: Mapping[tuple[str, int], Variant]
) -> Profile | None:
    """Return what a measured variant costs on other hardware, or None where nothing anchors it.

    A published figure anchors only its own precision. If one is about this very network at this size
    it gives the total; else a roofline fitted to at least five others; else one factor from a single
    network of that precision, error unknown. `graphs` holds captured networks by (model, pixels).
    """
    variant = measured.variant
    pixels = variant.input_shape[-1]
    anchors = tuple(a for a in hardware.anchors if a.precision == variant.precision)
    if not anchors:
        return None
    own = next((a for a in anchors if (a.model, a.pixels) == (variant.model, pixels)), None)
    usable = tuple(
        (a.latency_s, graphs[a.model, a.pixels]) for a in anchors if (a.model, a.pixels) in graphs
    )
    alone_s = sum(measured.layers_s[1])
    if own is not None:
        total_s, error = own.latency_s, "total published, shares unknown"
        source = own.source
    elif len(usable) >= FEWEST_FOR_A_FIT:
        fit = fit_roofline(usable)
        total_s, error = fit.seconds(variant.layers), fit.error
        source = f"roofline through {len(usable)} published networks ({anchors[0].source})"
    else:
        return None
    layers_s = _batches(measured, own, total_s / alone_s)
    return replace(
        measured,
        hardware=hardware.name,
        known="rescaled",
        source=f"{source}; shares of layers measured on {measured.hardware}: {measured.source}",
        layers_s=layers_s,
        residual=None,
        error=error,
        raw_sum_s={},
    )


def by_one_factor(measured: Profile, reference: Profile, anchor: Anchor, name: str) -> Profile:
    """Return a profile scaled by what one other network of the same precision costs there and here."""
    scale = anchor.latency_s / sum(reference.layers_s[1])
    return replace(
        measured,
        hardware=name,
        known="rescaled",
        source=(
            f"one factor from {anchor.model} ({anchor.source}); measured on {measured.hardware}:"
            f" {measured.source}"
        ),
        layers_s=_batches(measured, anchor, scale),
        residual=None,
        error="error unknown",
        raw_sum_s={},
    )


def _batches(measured: Profile, anchor: Anchor | None, scale: float) -> dict[int, tuple[float, ...]]:
    """Scale every measured batch size alike, or by the published offline rate where there is one.

    On accelerators l(b) = alpha b + beta, alpha = 1 / offline rate, alpha + beta = single stream.
    """
    layers = np.array(measured.layers_s[1]) * scale
    if anchor is None or anchor.offline_hz is None:
        return {
            batch: tuple((np.array(each) * scale).tolist()) for batch, each in measured.layers_s.items()
        }
    alpha_share = min(1.0, 1 / anchor.offline_hz / anchor.latency_s)
    return {batch: tuple((layers * (1 + alpha_share * (batch - 1))).tolist()) for batch in (1, 2, 64)}


@lru_cache(maxsize=64)
def fit_roofline(anchors: tuple[tuple[float, Variant], ...]) -> Roofline:
    """Fit a roofline to whole-network latencies in log space; its error by leaving one out in turn."""
    seconds = np.array([latency_s for latency_s, _ in anchors])
    works = [_work(variant.layers) for _, variant in anchors]
    k, k_pointwise, beta = _fit(works, seconds)
    misses = []
    for left_out in range(len(works)):
        rest = [index for index in range(len(works)) if index != left_out]
        coefficients = _fit([works[index] for index in rest], seconds[rest])
        misses.append(abs(_predict(coefficients, works[left_out]) / seconds[left_out] - 1))
    error = f"mean {np.mean(misses):.0%}, max {np.max(misses):.0%}, leaving out each of {len(works)}"
    return Roofline(float(k), float(k_pointwise), float(beta), error)


def _work(layers: Sequence[Layer]) -> Floats:
    """Rows of (GMAC in convolutions, GMAC in pointwise and linear layers, million elements)."""
    rows = [
        (
            layer.flops / 2e9 if layer.kind in ("conv", "depthwise") else 0.0,
            layer.flops / 2e9 if layer.kind in ("pointwise", "linear", "attention") else 0.0,
            (layer.input_elements + layer.output_elements + layer.parameters) / 1e6,
        )
        for layer in layers
        if layer.kind not in IGNORED
    ]
    return np.array(rows)


def _predict(coefficients: Floats, work: Floats) -> float:
    k, k_pointwise, beta = coefficients
    return float(np.maximum(work[:, 0] * k + work[:, 1] * k_pointwise, work[:, 2] * beta).sum())


def _fit(works: Sequence[Floats], seconds: Floats) -> Floats:
    """Least squares of log ratios over positive coefficients."""
    from scipy.optimize import least_squares

    def misses(logs: Floats) -> Floats:
        predicted = np.array([_predict(np.exp(logs), work) for work in works])
        return np.log(predicted / seconds)

    macs = np.array([work[:, :2].sum() for work in works])
    rate = float(np.exp(np.mean(np.log(seconds / macs))))
    starts = [
        np.log([rate, rate * share, rate * small]) for share in (0.3, 1.0) for small in (0.01, 0.1)
    ]
    fits = [least_squares(misses, start, method="lm") for start in starts]
    best: Floats = np.exp(min(fits, key=lambda fit: float(fit.cost)).x)
    return best
