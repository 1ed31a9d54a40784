"""How every figure is known that a scenario uses: what it is, where it is used, and where it stands."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from offload.entities import Facts, Hardware
from offload.networks import Profile, Variant
from offload.scenario.load import Scenario
from offload.units import show_seconds

COLUMNS = ("what", "of", "on", "used at", "figure", "known", "source", "error")

_ERROR = re.compile(r"mean (\d+)%, max (\d+)%")  # as dnn.methods.Judgement tells it


@dataclass(frozen=True, slots=True)
class Known:
    """A figure, as it is to be read: what it is of which thing on which hardware, and how it is known.

    `places` are where the scenario uses it; `error` is "" where a figure is not rescaled.
    """

    what: str
    of: str
    hardware: str
    places: tuple[str, ...]
    figure: str
    known: str
    source: str
    error: str = ""

    @property
    def errors(self) -> tuple[float, float] | None:
        """The mean and the largest error of telling published networks from the rest, as shares."""
        told = _ERROR.search(self.error)
        return (int(told[1]) / 100, int(told[2]) / 100) if told else None

    @property
    def cells(self) -> tuple[str, ...]:
        """A cell for each of COLUMNS."""
        places = ", ".join(self.places)
        return (
            self.what, self.of, self.hardware, places, self.figure, self.known, self.source, self.error,
        )  # fmt: skip


def provenance(scenario: Scenario) -> list[Known]:
    """Return every latency, accuracy, codec, power, radio, overhead and price that is used.

    What is the same at several places is told once.
    """
    facts = scenario.setting(0.0).facts
    found = [
        *(each for fact in facts for each in _latencies(fact)),
        *(each for fact in facts for each in _accuracies(fact)),
        *(each for fact in facts for each in _codecs(fact)),
        *(each for fact in facts for each in _powers(fact)),
        *(each for fact in facts for each in _radio(fact)),
        *_overheads(scenario),
        *_prices(scenario),
    ]
    return _together(found)


def _together(found: Iterable[Known]) -> list[Known]:
    """Tell once what differs in its places only."""
    places: dict[Known, dict[str, None]] = {}
    for each in found:
        there = places.setdefault(replace(each, places=()), {})
        there.update(dict.fromkeys(each.places))
    return [replace(each, places=tuple(there)) for each, there in places.items()]


def _hardware(facts: Facts) -> Iterator[tuple[str, str, Hardware]]:
    """Yield each place, as `profiles` and as people name it, with its hardware."""
    yield "device", facts.group, facts.hardware
    for name, node in facts.nodes.items():
        yield name, name, node.hardware


def _latencies(facts: Facts) -> Iterator[Known]:
    for place, name, hardware in _hardware(facts):
        for variant, profile in facts.profiles.get(place, {}).items():
            yield _latency(variant, profile, hardware.name, name)


def _latency(variant: Variant, profile: Profile, hardware: str, place: str) -> Known:
    alone = profile.layers_s.get(1)
    took = "-" if alone is None else show_seconds(sum(alone))
    return Known(
        "latency", variant.label, hardware, (place,), took, profile.known, profile.source, profile.error
    )


def _accuracies(facts: Facts) -> Iterator[Known]:
    for variant in facts.variants:
        figure = variant.accuracy
        if figure is None:
            told = "-", "unknown", "nobody says which answers are right"
        else:
            told = f"{figure.value:.1%}", figure.known, figure.source
        yield Known("accuracy", variant.label, "", (facts.group,), *told)


def _codecs(facts: Facts) -> Iterator[Known]:
    for variant in facts.variants:
        for codec in facts.codecs:
            coded = [each for (name, _), each in variant.codecs.items() if name == codec]
            for source in dict.fromkeys((each.known, each.source) for each in coded):
                cuts = f"at {len(coded)} cut{'s' * (len(coded) > 1)}"
                yield Known("codec", f"{variant.label}, {codec}", "", (facts.group,), cuts, *source)


def _powers(facts: Facts) -> Iterator[Known]:
    for _, name, hardware in _hardware(facts):
        for what, figure in (("idle", hardware.idle_w), ("busy", hardware.busy_w)):
            told = f"{figure.value:.3g} W", figure.known, figure.source
            yield Known("power", what, hardware.name, (name,), *told)


def _radio(facts: Facts) -> Iterator[Known]:
    radio = facts.radio
    if radio is None:
        return
    told = f"{radio.up.base_w:.3g} W up, {radio.down.base_w:.3g} W down"
    if radio.up.j_per_bit or radio.down.j_per_bit:
        told += f", and {1e9 * radio.up.j_per_bit:.3g} and {1e9 * radio.down.j_per_bit:.3g} nJ/bit"
    if radio.lingers:
        told += f"; awake for {show_seconds(radio.tail_s)} at {radio.tail_w:.3g} W after that"
    yield Known("radio", "sending and receiving", "", (facts.group,), told, radio.known, radio.source)


def _overheads(scenario: Scenario) -> Iterator[Known]:
    for of, key, table in scenario.file.overheads:
        figure = str(table).rpartition(f"; {table.known}: {table.source}")[0] or str(table)
        yield Known("overhead", key, "", (of,), figure, table.known, table.source)


def _prices(scenario: Scenario) -> Iterator[Known]:
    """Yield what computing and sending cost; that is what a scenario says, without a source."""
    for name, node in scenario.file.nodes.items():
        if node.price_per_hour:
            figure = f"{node.price_per_hour:g} an hour"
            yield Known("price", "computing", "", (name,), figure, "assumed", "the scenario")
    for name, link in scenario.file.links.items():
        if link.price_per_gb:
            figure = f"{link.price_per_gb:g} a GB"
            yield Known("price", "bytes", "", (name,), figure, "assumed", "the scenario")
