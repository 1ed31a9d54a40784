"""What the playground says: of the best cut, of a guess, of the radio, and of what is simulated."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from offload.units import Quantity, show_seconds
from offload.world.radio.budget import Budget

if TYPE_CHECKING:
    from offload.views.play.answers import Bar
    from offload.views.play.situation import Situation

NAMES = {
    "device": "the device's computing",
    "uplink": "the uplink",
    "wait": "waiting for the edge",
    "edge": "the edge's computing",
    "downlink": "the downlink",
}


def place(cut: int, after: int, layers: int, last: int) -> str:
    """Say where a cut is."""
    if cut == 0:
        return "all at the edge"
    if cut == last:
        return "all on the device"
    return f"cut {cut}, {after} of {layers} layers on the device"


def best(bar: "Bar", deadline_s: float) -> str:
    """Name the best cut, its latency, and whether that is in time."""
    spare_s = deadline_s - bar.latency_s
    when = f"{show_seconds(abs(spare_s))} {'before' if spare_s >= 0.0 else 'after'} the deadline"
    return (
        f"Best: {bar.place}: {show_seconds(bar.latency_s)}, {when};"
        f" {1e3 * bar.energy_j:.3g} mJ of the device."
    )


def why(bars: Sequence["Bar"], best_row: int, legs: Sequence[str]) -> str:
    """Say which leg weighs most at the best cut, and what the extremes would take."""
    chosen = bars[best_row]
    told = [f"Most of it is {_heaviest(chosen, legs)}."]
    for other in (bars[0], bars[-1]):
        if other.cut != chosen.cut:
            more_s = other.latency_s - chosen.latency_s
            told.append(
                f"{other.place.capitalize()} would take {show_seconds(more_s)} more:"
                f" {_heaviest(other, legs)}."
            )
    if len(bars) == 1:
        told.append("The site is out of range, so that nothing can leave the device.")
    elif 0 < best_row < len(bars) - 1:
        size = Quantity("size")
        told.append(
            f"There {size.show(_round(chosen.crossing_bytes))} cross instead of"
            f" {size.show(_round(bars[0].crossing_bytes))}."
        )
    return " ".join(told)


def against(bar: "Bar", other: "Bar", legs: Sequence[str]) -> str:
    """Say by how much a bar is slower than the best, and which leg makes most of the difference."""
    more_s = bar.latency_s - other.latency_s
    if more_s <= 0.0:
        return f"{bar.place.capitalize()} takes {show_seconds(bar.latency_s)}: nothing is quicker."
    differences = {leg: a - b for leg, a, b in zip(legs, bar.legs_s, other.legs_s, strict=True)}
    leg = max(differences, key=lambda each: differences[each])
    return (
        f"{bar.place.capitalize()} takes {show_seconds(bar.latency_s)}, {show_seconds(more_s)}"
        f" ({more_s / other.latency_s:.0%}) more than the best: {NAMES[leg]} takes"
        f" {show_seconds(differences[leg])} more."
    )


def rate(link: Budget) -> str:
    """Say what the radio gives at this distance."""
    sight = "with" if link.sight else "without"
    where = f"at {link.distance_m:g} m {sight} a line of sight ({link.path_loss_db:.0f} dB of path loss)"
    if link.up_bps <= 0.0 or link.down_bps <= 0.0:
        return f"Out of range {where}."
    up, down = (Quantity("rate").show(_round(each)) for each in (link.up_bps, link.down_bps))
    return f"{up} up and {down} down {where}, for one device alone."


def world(found: "Situation") -> str:
    """Say what is simulated, and how busy it would be if everything were done in one place."""
    settings, facts = found.settings, found.facts
    (variant,) = facts.variants
    births_hz = settings.devices / settings.every_s
    own_s, edge_s = (facts.profiles[at][variant].seconds(0, variant.last) for at in ("device", "edge"))
    busy = [
        f"their own processors {own_s / settings.every_s:.0%}",
        f"the edge {births_hz * edge_s:.0%}",
    ]
    if found.serving is not None:
        sent_s = 8 * facts.input_bytes / facts.cells[found.serving].up_bps
        busy.append(f"the cell {births_hz * sent_s:.0%}")
    devices = "1 device" if settings.devices == 1 else f"{settings.devices} devices"
    seconds = float(found.scenario.file.duration)
    return (
        f"{devices} at this distance, each asking every {show_seconds(settings.every_s)} at random, for"
        f" {show_seconds(seconds)}. If all were done there, this would keep busy {', '.join(busy)}."
    )


def _heaviest(bar: "Bar", legs: Sequence[str]) -> str:
    seconds, leg = max(zip(bar.legs_s, legs, strict=True))
    return f"{NAMES[leg]}, {show_seconds(seconds)} ({seconds / bar.latency_s:.0%})"


def _round(value: float) -> float:
    """Keep three digits."""
    return float(f"{value:.3g}")
