"""How the figures of the playground are known."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from offload.networks import Figure
from offload.views.play.situation import DELAY_S, RADIO_W, RESULT_BYTES, Situation
from offload.world.radio.presets import PRESETS


@dataclass(frozen=True, slots=True)
class Source:
    """What a figure is about, how it is known, from where, and how far off it may be."""

    what: str
    known: str
    source: str
    error: str = ""


def sources(found: Situation) -> Iterator[Source]:
    """Yield what all that is shown rests on."""
    facts, settings = found.facts, found.settings
    (variant,) = facts.variants
    for at, name in (("device", settings.device), ("edge", settings.edge)):
        profile = facts.profiles[at][variant]
        error = profile.error
        if profile.residual is not None:
            error = f"layers summed to {profile.residual:+.1%} of the whole"
        yield Source(f"seconds on {name} ({at})", profile.known, profile.source, error)
    hardware = facts.hardware
    yield _power(f"watts of {hardware.name}, busy", hardware.busy_w)
    yield _power(f"watts of {hardware.name}, idle", hardware.idle_w)
    if variant.accuracy is not None:
        share = f"accuracy of {variant.label}, {variant.accuracy.value:.1%}"
        yield _power(share, variant.accuracy)
    preset = PRESETS[settings.radio]
    counts = Counter(figure.known for _, figure in preset.figures())
    told = ", ".join(f"{count} figures {known}" for known, count in sorted(counts.items()))
    mean = "the mean over shadows and fading"
    yield Source(
        f"rate of {preset.name}", "assumed", f"path loss {preset.path_loss.source}; {told}", mean
    )
    yield Source(
        "waiting at the edge", "computed",
        "Pollaczek and Khinchine: others ask at random, and for the whole network",
        "a mean; requests of one moment wait more or less",
    )  # fmt: skip
    yield Source(
        "radio power, delay, answer", "assumed",
        f"{RADIO_W:g} W while sending or receiving, {DELAY_S * 1e3:g} ms each way,"
        f" {RESULT_BYTES / 1e3:g} kB back",
    )  # fmt: skip


def _power(what: str, figure: Figure) -> Source:
    return Source(what, figure.known, figure.source)
