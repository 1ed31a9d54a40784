"""From settings to a world: a scenario with one cell and one edge server, and the wait there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from offload.entities import Facts
from offload.networks import Profile, Variant
from offload.planning.validity import fits
from offload.scenario.catalogue import Catalogue
from offload.scenario.faults import near
from offload.scenario.load import Scenario, check
from offload.views.play.settings import Settings, SettingsError
from offload.world.radio.budget import Budget, budget
from offload.world.radio.presets import PRESETS

# Assumed, as in the scenarios that ship.
DELAY_S, RESULT_BYTES, RADIO_W = 0.004, 1000.0, 1.2

SEED = 1
BIRTHS, MOST_BIRTHS = 600, 3000  # of one simulation; more only to see several reports
SHORTEST_S, REPORTS = 2.0, 4


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What settings mean: a checked scenario, and what one of its devices meets.

    `serving` is the cell in reach, or None; `link` the budget of its radio at the device's distance,
    which gives the cell its rates. `wait_s` is how long a request waits at the edge for those of others.
    """

    settings: Settings
    scenario: Scenario
    facts: Facts
    serving: str | None
    link: Budget
    wait_s: float


@lru_cache(maxsize=64)
def situate(settings: Settings) -> Situation:
    """Build the world of some settings. Raises SettingsError."""
    variant = _variant(settings)
    at_edge = known_on(variant)[settings.edge]
    preset = PRESETS[settings.radio]
    link = budget(preset, settings.distance_m, sight=settings.sight, bandwidth_hz=settings.bandwidth_hz)
    reached = link.up_bps > 0.0 and link.down_bps > 0.0
    rates = link
    if not reached:  # no device is in range, so that these rates are nobody's
        rates = budget(preset, 0.0, bandwidth_hz=settings.bandwidth_hz)
    raw = _raw(settings, rates, reached=reached)
    scenario = check(Path("playground"), raw, lambda _: "playground", Path())
    (facts,) = scenario.setting(0.0).facts
    wait = wait_s(at_edge, settings.load)
    return Situation(settings, scenario, facts, "cell" if reached else None, link, wait)


def wait_s(profile: Profile, load: float) -> float:
    """Return the mean wait in an M/G/1 queue whose server is busy for this share of time.

    Pollaczek and Khinchine: load E[S^2] / (2 E[S] (1 - load)), for services S that run the whole
    network, and requests of many that come at random: what such a server's state comes to on average.
    """
    mean_s = profile.seconds(0, profile.variant.last)
    return load * mean_s * (1.0 + _variance(profile)) / (2.0 * (1.0 - load))


def _variance(profile: Profile) -> float:
    """The variance of one run's time over its mean; quantiles are joined by straight lines."""
    if profile.service != "quantiles":
        return 1.0 if profile.service == "exponential" else profile.cv**2
    pieces = list(pairwise(profile.spread)) or [(1.0, 1.0)]
    mean = sum(low + high for low, high in pieces) / (2 * len(pieces))
    square = sum(low * low + low * high + high * high for low, high in pieces) / (3 * len(pieces))
    return square / mean**2 - 1.0


@cache
def catalogue() -> Catalogue:
    """Return the shipped networks and hardware."""
    return Catalogue()


@cache
def known_on(variant: Variant) -> Mapping[str, Profile]:
    """Return what a variant costs on each hardware into which it fits, if somebody knows."""
    known = catalogue()
    return {
        name: profile
        for name in known.hardware_names
        if fits(variant, known.hardware(name).memory_bytes)
        and (profile := known.profile(variant, name)) is not None
    }


def _variant(settings: Settings) -> Variant:
    """Find the form of a network. Raises SettingsError with every fault."""
    known = catalogue()
    faults, forms = [], {}
    if settings.network not in known.models:
        faults.append(f"network: {near(settings.network, known.models, 'network')}")
    else:
        forms = {variant.name: variant for variant in known.variants(settings.network)}
        if settings.variant not in forms:
            faults.append(f"variant: {near(settings.variant, forms, 'variant')}")
    variant = forms.get(settings.variant)
    for place, name in (("device", settings.device), ("edge", settings.edge)):
        if name not in known.hardware_names:
            faults.append(f"{place}: {near(name, known.hardware_names, 'hardware')}")
        elif variant is not None and name not in known_on(variant):
            others = ", ".join(known_on(variant))
            faults.append(f"{place}: nobody knows what {variant.label} takes on {name}; choose {others}")
    if faults or variant is None:
        raise SettingsError(faults)
    return variant


def _raw(settings: Settings, rates: Budget, *, reached: bool) -> dict[str, Any]:
    """The scenario, as its file would say it."""
    births_hz = settings.devices / settings.every_s
    few_s = min(max(SHORTEST_S, REPORTS * settings.report_every_s), MOST_BIRTHS / births_hz)
    duration_s = max(BIRTHS / births_hz, few_s)
    frames = {
        "models": [settings.network],
        "variants": [settings.variant],
        "arrivals": "poisson",
        "every": f"{settings.every_s!r} s",
        "deadline": f"{settings.deadline_s!r} s",
        "input": f"{settings.input_bytes!r} B",
        "result": f"{RESULT_BYTES!r} B",
        "late": "finish",
    }
    cell = {
        "from": "*",
        "to": "edge",
        "up": f"{rates.up_bps!r} bit/s",
        "down": f"{rates.down_bps!r} bit/s",
        "delay": f"{DELAY_S!r} s",
        "range": f"{settings.distance_m * (2.0 if reached else 0.5)!r} m",
    }
    return {
        "format": 1,
        "name": "playground",
        "duration": f"{duration_s!r} s",
        "warm_up": f"{duration_s / 5!r} s",
        "seed": SEED,
        "devices": {
            "camera": {
                "count": settings.devices,
                "hardware": settings.device,
                "radio_power": f"{RADIO_W!r} W",
                "at": [f"{settings.distance_m!r} m", "0 m"],
                "tasks": {"frames": frames},
            }
        },
        "nodes": {
            "edge": {
                "kind": "edge",
                "hardware": settings.edge,
                "reports": {"every": f"{settings.report_every_s!r} s"},
            }
        },
        "links": {"cell": cell},
    }
