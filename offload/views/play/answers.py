"""What a network costs at each cut, leg by leg, and which cut is best: the planner's own figures."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from offload.planning.columns import Columns
from offload.planning.division import listed
from offload.planning.price import unloaded
from offload.views.play import words
from offload.views.play.settings import Settings
from offload.views.play.situation import Situation, situate
from offload.views.play.sources import Source, sources

Floats = npt.NDArray[np.float64]

LEGS = ("device", "uplink", "wait", "edge", "downlink")
RIGHT = 0.01  # who guesses a cut that takes no more than this beyond the best is right


@dataclass(frozen=True, slots=True)
class Bar:
    """One cut: `after` so many layers, the last of which is `layer`, the edge takes over.

    `legs_s` are those of LEGS and sum to `latency_s`; `energy_j` is the device's. `place` says in words
    where it is; `told` how it compares with the best, and `right` whether it is as good.
    """

    cut: int
    after: int
    layer: str
    crossing_bytes: float
    legs_s: tuple[float, ...]
    latency_s: float
    energy_j: float
    place: str
    told: str = ""
    right: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The bars of all cuts, from none of the layers on the device to all of them.

    `best` is the index of the one that takes the least time, `frugal` of that with the least of the
    device's energy. `says` names the best, `why` tells what it has over others, `rate` what the radio
    gives at this distance, `world` what the simulation is about. Out of range there is one bar.
    """

    bars: tuple[Bar, ...]
    best: int
    frugal: int
    deadline_s: float
    says: str
    why: str
    rate: str
    world: str
    sources: tuple[Source, ...]


@lru_cache(maxsize=256)
def answer(settings: Settings) -> Answer:
    """Work out the bars of some settings. Raises SettingsError."""
    found = situate(settings)
    bars = _bars(found)
    best = min(range(len(bars)), key=lambda row: bars[row].latency_s)
    frugal = min(range(len(bars)), key=lambda row: bars[row].energy_j)
    return Answer(
        bars=tuple(_compared(bar, bars[best]) for bar in bars),
        best=best,
        frugal=frugal,
        deadline_s=settings.deadline_s,
        says=words.best(bars[best], settings.deadline_s),
        why=words.why(bars, best, LEGS),
        rate=words.rate(found.link),
        world=words.world(found),
        sources=tuple(sources(found)),
    )


def _bars(found: Situation) -> list[Bar]:
    """Price every cut that the network has, whoever wins.

    The planner prices an edge where nobody is; to those that use it the wait is added that they find
    there when they arrive, however long they took to come.
    """
    facts, (variant,) = found.facts, found.facts.variants
    prices = unloaded(facts, found.serving, listed(facts, found.serving).plans)
    wait_s: Floats = np.where(prices.uses["edge"], found.wait_s, 0.0)
    legs_s = _legs(found, prices.table, wait_s)
    latency_s = prices.latency_s + wait_s
    bars = []
    for row, plan in enumerate(prices.plans):
        cut = variant.cuts[plan.device_cut]
        size = facts.input_bytes if cut.after == 0 else float(cut.payload_bytes)
        bars.append(Bar(
            cut=plan.device_cut,
            after=cut.after,
            layer=variant.layers[cut.after - 1].name if cut.after else "",
            crossing_bytes=size if plan.uplinks else 0.0,
            legs_s=tuple(legs_s[row].tolist()),
            latency_s=float(latency_s[row]),
            energy_j=float(prices.energy_j[row]),
            place=words.place(plan.device_cut, cut.after, len(variant.layers), variant.last),
        ))  # fmt: skip
    return bars


def _legs(found: Situation, table: Columns, wait_s: Floats) -> Floats:
    """Return the seconds of each plan on each of LEGS, shape (plans, legs)."""
    device_s, edge_s = table.by_plan(table.device_s), table.by_plan(table.edge_s)
    up_s, down_s = np.zeros(len(table.plans)), np.zeros(len(table.plans))
    if found.serving is not None:
        cell, away = found.facts.cells[found.serving], ~table.at["device"]
        sent_s = cell.toll.seconds(table.by_plan(table.up_bytes), 8 / cell.up_bps)
        back_s = cell.toll.seconds(table.by_plan(table.result_bytes), 8 / cell.down_bps)
        up_s, down_s = away * (sent_s + cell.delay_s), away * (back_s + cell.delay_s)
    return np.column_stack([device_s, up_s, wait_s, edge_s, down_s])


def _compared(bar: Bar, best: Bar) -> Bar:
    """Say how a bar compares with the best."""
    right = bar.latency_s <= best.latency_s * (1.0 + RIGHT)
    return replace(bar, told=words.against(bar, best, LEGS), right=right)
