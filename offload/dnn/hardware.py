"""Profiles for hardware that was not measured: rescaled from one that was, by published figures.

The total of a network comes from the best evidence at hand, the shares of its layers from the measured
profile; whole-network figures do not identify layers. The shares by which the best method tells layers
apart are the second opinion.
"""

from dataclasses import replace

import numpy as np

from offload.dnn.methods import Floats, Judgement, Network, judge
from offload.entities import Anchor, Hardware
from offload.networks import Profile, Variant

OFFLINE_BATCHES = (1, 2, 64)  # l(b) is a straight line
MOVING = ("activation", "elementwise", "concat", "norm")


def rescale(
    measured: Profile, hardware: Hardware, networks: tuple[Network, ...], measured_s: float
) -> Profile | None:
    """Return what a measured variant costs on other hardware, or None where nothing anchors it.

    A published figure anchors only its own precision. If one is about this very network at this size
    it gives the total; else a method does that is fitted to `networks`, the captured ones among those
    that are published. `measured_s` is what this variant's network took where they were measured, in the
    form in which they were (0: it was not).
    """
    variant = measured.variant
    anchors = [anchor for anchor in hardware.anchors if anchor.precision == variant.precision]
    own = next((anchor for anchor in anchors if _is_about(anchor, variant)), None)
    mine = Network(variant, measured_s)
    judged = judge(hardware.kind, networks)
    if own is not None:
        total_s, source = own.latency_s, own.source
    elif judged is not None:
        total_s, source = judged.predict(mine), _through(judged, anchors)
    else:
        return None
    if not total_s > 0:  # nothing in it that the method counts
        return None
    second_s = _second(measured, judged, mine, total_s)
    layers_s, batches = _batches(measured, own, anchors, total_s)
    told = "error unknown" if judged is None else judged.error
    if own is not None:
        said = "" if own.precision_known == "published" else f" ({own.precision} {own.precision_known})"
        told = f"total published{said}"
    shares = "" if told == "error unknown" else f"; shares {doubt(layers_s[1], second_s)}"
    return replace(
        measured,
        hardware=hardware.name,
        known="rescaled",
        source=f"{source}; {batches}; shares and spread measured on {measured.hardware}:"
        f" {measured.source}",
        layers_s=layers_s,
        residual=None,
        error=told + shares,
        raw_sum_s={},
        second_s=second_s,
    )


def carried(profile: Profile, batch: int = 1) -> Floats:
    """Return the seconds of layers as they may be carried over to other hardware.

    torch's pooling is slow, up to half of a small network: it counts as no slower an element than what
    else only moves data.
    """
    layers = profile.variant.layers
    seconds = np.array(profile.layers_s[batch])
    elements = np.array([layer.input_elements + layer.output_elements for layer in layers], dtype=float)
    moving = np.array([layer.kind in MOVING for layer in layers], dtype=bool)
    pooling = np.array([layer.kind == "pool" for layer in layers], dtype=bool)
    if elements[moving].any():
        pace = seconds[moving].sum() / elements[moving].sum()
        seconds[pooling] = np.minimum(seconds[pooling], pace * elements[pooling])
    return seconds


def is_plain(variant: Variant) -> bool:
    """Tell whether a form differs from its network in precision only: its name says no more."""
    return variant.name == variant.precision


def _is_about(anchor: Anchor, variant: Variant) -> bool:
    this = (variant.model, variant.input_shape[-1], variant.precision)
    return is_plain(variant) and this == (anchor.model, anchor.pixels, anchor.precision)


def by_second_opinion(profile: Profile) -> Profile:
    """Return a profile with the two opinions on its layers' shares in each other's place."""
    if not profile.second_s:
        return profile
    shares = np.array(profile.second_s) / sum(profile.second_s)
    return replace(
        profile,
        layers_s={
            batch: tuple((shares * sum(layers)).tolist()) for batch, layers in profile.layers_s.items()
        },
        second_s=profile.layers_s[1],
        source=f"{profile.source}; its shares are the second opinion here",
    )


def doubt(layers_s: tuple[float, ...], second_s: tuple[float, ...]) -> str:
    """Say how far the two opinions lie apart, at the cut where most."""
    if not second_s:
        return "unchecked"
    one, other = (np.cumsum(each) / sum(each) for each in (layers_s, second_s))
    return f"±{np.max(np.abs(one - other)):.0%}"


def _through(judged: Judgement, anchors: list[Anchor]) -> str:
    published = [network.graph.model for network in judged.networks]
    names = published[0] if len(published) == 1 else f"{len(published)} published networks"
    return f"{judged.told} through {names} ({anchors[0].source})"


def _second(
    measured: Profile, judged: Judgement | None, mine: Network, total_s: float
) -> tuple[float, ...]:
    """Share the total among layers as the best method tells them apart.

    What is folded or fused has no time of its own there: with what it follows, it divides theirs as was
    measured.
    """
    counted = None if judged is None else judged.layers(mine)
    if counted is None or not counted.any():
        return ()
    here = np.maximum(carried(measured), 1e-12)
    begins = np.concatenate([[0], np.flatnonzero(counted)[1:]])
    times = np.add.reduceat(counted, begins) / np.add.reduceat(here, begins)
    second: Floats = here * np.repeat(times, np.diff([*begins, len(here)]))
    return tuple((second * (total_s / second.sum())).tolist())


def _batches(
    measured: Profile, own: Anchor | None, anchors: list[Anchor], total_s: float
) -> tuple[dict[int, tuple[float, ...]], str]:
    """Return the layers' seconds by batch size, and how those of more than one are known.

    On accelerators l(b) = alpha b + beta, alpha = 1 / offline rate, alpha + beta = single stream;
    elsewhere every measured batch size is scaled alike.
    """
    alone = carried(measured)
    scale = total_s / alone.sum()
    rated = [anchor for anchor in ([own] if own else anchors) if anchor.offline_hz]
    if not rated:
        scaled = {b: tuple((carried(measured, b) * scale).tolist()) for b in measured.layers_s}
        return scaled, f"batches as on {measured.hardware}"
    alpha = np.mean([min(1.0, 1 / (a.offline_hz or 1.0) / a.latency_s) for a in rated])
    layers_s = {b: tuple((alone * scale * (1 + alpha * (b - 1))).tolist()) for b in OFFLINE_BATCHES}
    return layers_s, f"batches by the offline rate published for {', '.join(a.model for a in rated)}"
