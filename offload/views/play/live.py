"""A short simulation of policies side by side, told after each replication."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from offload.analysis.compare import Comparison, Known, PolicyResult, conclude
from offload.analysis.measures import Summary
from offload.analysis.statistics import Interval
from offload.analysis.work.replication import replications
from offload.policies import table
from offload.policies.table import Choice
from offload.views.palette import colour
from offload.views.play.settings import Settings
from offload.views.play.situation import SEED, situate
from offload.views.table import mean_and_half

REPLICATIONS = 5

POLICIES = (
    ({"name": "local"}, "always on the device"),
    ({"name": "edge"}, "always at the edge"),
    ({"name": "random"}, "the device or the edge, by a coin"),
    ({"name": "quickest"}, "the least predicted latency"),
    ({"name": "quickest", "label": "sampled", "estimate": "sampled"}, "the same, on drawn estimates"),
    ({"name": "thrifty"}, "the least energy in time"),
    ({"name": "fresh"}, "quickest with reports of no age: a reference"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one policy came to, written out; `on_time` is the share, with its interval if it has one."""

    label: str
    says: str
    colour: str
    on_time: Interval | None
    on_time_text: str
    mean_ms: str
    p95_ms: str
    energy_mj: str
    notes: str


@dataclass(frozen=True, slots=True)
class Told:
    """What is known after so many of all replications; `says` comes with the last."""

    replications: int
    of: int
    rows: tuple[Row, ...]
    says: str = ""


def simulate(settings: Settings, over: Callable[[], bool] = lambda: False) -> Iterator[Told]:
    """Simulate all policies on the same births, replication by replication, until it is `over`.

    That is asked before each run, of which none takes long: they are of a bounded number of requests.
    Raises SettingsError, PolicyError.
    """
    scenario = situate(settings).scenario
    chosen = choices()
    known = Known.of(scenario)
    runs: dict[str, list[Summary]] = {choice.label: [] for choice in chosen}
    work = {choice.label: replications(scenario, choice, SEED, REPLICATIONS, None) for choice in chosen}
    for number in range(REPLICATIONS):
        for choice in chosen:
            if over():
                return
            runs[choice.label].append(work[choice.label][number].run())
        yield _told(conclude(known, chosen, runs, SEED, None), number + 1)


@cache
def choices() -> tuple[Choice, ...]:
    """Return the policies that are simulated."""
    return tuple(table.choose(each) for each, _ in POLICIES)


def shown() -> list[dict[str, str]]:
    """Return label, colour and meaning of each policy."""
    labels = [choice.label for choice in choices()]
    return [
        {"label": label, "colour": colour(label, labels), "says": says}
        for label, (_, says) in zip(labels, POLICIES, strict=True)
    ]


def _told(found: Comparison, count: int) -> Told:
    rows = tuple(_row(policy, each) for policy, each in zip(found.policies, shown(), strict=True))
    return Told(count, REPLICATIONS, rows, _says(found) if count == REPLICATIONS else "")


def _row(policy: PolicyResult, shown_as: dict[str, str]) -> Row:
    m = policy.measures
    notes = []
    if policy.unfinished:
        notes.append(f"{policy.unfinished / max(1, policy.requests):.1%} never answered")
    if policy.saturated:
        notes.append("saturated")
    return Row(
        policy.label, shown_as["says"], shown_as["colour"], m["on_time"],
        mean_and_half(m["on_time"], 100.0, ".1f"),
        mean_and_half(m["latency_mean_s"], 1e3, ".1f"),
        mean_and_half(m["latency_p95_s"], 1e3, ".1f"),
        mean_and_half(m["energy_j"], 1e3, ".1f"),
        ", ".join(notes),
    )  # fmt: skip


def _says(found: Comparison) -> str:
    """Say who is on time most often, and whether that is told apart from the next."""
    shares = {p.label: each.mean for p in found.policies if (each := p.measures["on_time"]) is not None}
    first, second = _two_best(shares)
    pair = next(
        (p for p in found.pairs if p.measure == "on_time" and {p.a, p.b} == {first, second}), None
    )
    if pair is None:
        return ""
    low, high = (pair.low, pair.high) if pair.a == first else (-pair.high, -pair.low)
    apart = f"{abs(pair.mean) * 100:.1f} points more than {second} [{low * 100:.1f}, {high * 100:.1f}]"
    told = (
        apart if pair.differs else f"not told apart from {second} in {found.replications} replications"
    )
    return f"On time most often: {first}, {told}."


def _two_best(shares: dict[str, float]) -> Sequence[str]:
    return sorted(shares, key=lambda label: -shares[label])[:2]
