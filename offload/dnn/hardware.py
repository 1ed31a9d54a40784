"""Profiles for hardware that was not measured: rescaled from one that was, by published figures.

The total of a network comes from the best evidence at hand, the shares of its layers from the measured
profile; whole-network figures do not identify layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from offload.entities import Anchor, Hardware
from offload.networks import Layer, Profile, Variant

Floats = npt.NDArray[np.float64]

FEWEST_FOR_A_FIT = 5

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
    measured: Profile,
    hardware: Hardware,
    graphs: Mapping[tuple[str, int], Variant],
    references: Sequence[Profile] = (),
) -> Profile | None:
    """Return what a measured variant costs on other hardware, or None where nothing anchors it.

    A published figure anchors only its own precision. If one is about this very network at this size
    it gives the total; else a roofline through at least five others does; else one factor from the
    first of the `references`, measured like the variant, that has one. `graphs` holds captured
    networks by (model, pixels), in whatever form: what the roofline counts does not depend on it.
    """
    variant = measured.variant
    anchors = tuple(a for a in hardware.anchors if a.precision == variant.precision)
    usable = tuple(
        (a.latency_s, graphs[a.model, a.pixels]) for a in anchors if (a.model, a.pixels) in graphs
    )
    fit = fit_roofline(usable) if len(usable) >= FEWEST_FOR_A_FIT else None
    own = next((a for a in anchors if _is_about(a, variant)), None)
    alone_s = sum(measured.layers_s[1])
    if own is not None:
        said = "" if own.precision_known == "published" else f" ({own.precision} {own.precision_known})"
        error = f"total published{said}; shares {_doubt(measured, fit)}"
        return _scaled(measured, hardware, own, own.latency_s / alone_s, own.source, error)
    if fit is not None:
        source = f"roofline through {len(usable)} published networks ({anchors[0].source})"
        error = f"{fit.error}; shares {_doubt(measured, fit)}"
        return _scaled(measured, hardware, None, fit.seconds(variant.layers) / alone_s, source, error)
    for anchor in anchors:
        for reference in references:
            if _is_about(anchor, reference.variant) and reference.hardware == measured.hardware:
                scale = anchor.latency_s / sum(reference.layers_s[1])
                source = f"one factor from {anchor.model} ({anchor.source})"
                return _scaled(measured, hardware, anchor, scale, source, "error unknown")
    return None


def _is_about(anchor: Anchor, variant: Variant) -> bool:
    this = (variant.model, variant.input_shape[-1], variant.precision)
    return this == (anchor.model, anchor.pixels, anchor.precision)


def _doubt(measured: Profile, fit: "Roofline | None") -> str:
    """Say how far the measured shares of layers lie from the roofline's, at the cut where most."""
    if fit is None:
        return "unchecked"
    mine = np.cumsum(measured.layers_s[1]) / sum(measured.layers_s[1])
    theirs = np.cumsum([fit.seconds([layer]) for layer in measured.variant.layers])
    gap = float(np.max(np.abs(mine - theirs / theirs[-1])))
    return f"±{gap:.0%}"


def _scaled(
    measured: Profile, hardware: Hardware, anchor: Anchor | None, scale: float, source: str, error: str
) -> Profile:
    return replace(
        measured,
        hardware=hardware.name,
        known="rescaled",
        source=f"{source}; shares and spread measured on {measured.hardware}: {measured.source}",
        layers_s=_batches(measured, anchor, scale),
        residual=None,
        error=error,
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
    return np.array(rows).reshape(-1, 3)


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
