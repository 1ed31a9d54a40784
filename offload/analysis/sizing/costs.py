"""What a configuration costs a month: machines and rents, and the power and prices of its use."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from offload.entities import OffloadError
from offload.networks import Known
from offload.scenario.costs import CURRENCY, ElectricityTable
from offload.scenario.load import Scenario
from offload.scenario.schema import NodeTable, ScenarioFile
from offload.units import YEAR_S

MONTH_S = YEAR_S / 12
KWH_J = 3.6e6
USUAL_ELECTRICITY = ElectricityTable.model_validate(
    {
        "per_kWh": 0.25,
        "known": "assumed",
        "source": "about what businesses in Europe pay; recalled, not verified",
    }
)
_ORDER: tuple[Known, ...] = ("measured", "published", "rescaled", "assumed")


class CostError(OffloadError):
    """What a configuration costs cannot be told."""


@dataclass(frozen=True, slots=True)
class Item:
    """A part of what a month costs, how that is known, and the source."""

    what: str
    per_month: float
    known: Known
    source: str


@dataclass(frozen=True, slots=True)
class Use:
    """What one replication used: watts above idling by node, all of devices, and money a second."""

    node_w: Mapping[str, float]
    devices_w: float
    money_per_s: float


def faults(scenario: Scenario) -> list[str]:
    """Say which costs are missing, or in another currency."""
    file, found = scenario.file, dict[str, None]()
    for key, name in _bought(file):
        price = scenario.catalogue.price(name)
        if price is None:
            instead = f", or nodes.{key.split('.')[1]}.price_per_hour" if key.startswith("nodes") else ""
            found[
                f"{key} {name}: nobody says what it costs; give hardware.{name}.price = {{ value = 100,"
                f' life = "5 years", known = "assumed", source = "..." }}{instead}'
            ] = None
        elif price.currency != file.costs.currency:
            found[
                f"{key} {name}: its price is in {price.currency} and the scenario in"
                f" {file.costs.currency}; give hardware.{name}.price, or say {price.currency}"
            ] = None
    for name, link in file.links.items():
        if link.rent is not None and link.rent.per_mbit and link.carried_bps is None:
            found[
                f"links.{name}.rent.per_Mbit: needs a rate that is a number; give rent.per_month alone"
            ] = None
    if file.costs.electricity is None and file.costs.currency != CURRENCY:
        found[
            f"costs.electricity: nobody says what it costs in {file.costs.currency}; give"
            ' { per_kWh = 0.3, known = "assumed", source = "..." }'
        ] = None
    return list(found)


def standing(scenario: Scenario) -> tuple[Item, ...]:
    """Return what is paid whether or not it is used: machines by their lives, idle power, rents.

    A node with a `price_per_hour` is somebody else's: its machines and power are in that price. Servers
    that come and go are paid for as if all were there. Raises CostError.
    """
    if told := faults(scenario):
        raise CostError("\n".join(told))
    file = scenario.file
    items = []
    for name, node in _own(file):
        items += _machines(scenario, name, node.hardware, _servers(node))
    for name, link in file.links.items():
        if link.rent is not None:
            per_month = link.rent.per_month
            if link.rent.per_mbit and link.carried_bps is not None:
                per_month += link.rent.per_mbit * link.carried_bps / 1e6
            items.append(Item(f"{name}: rent", per_month, link.rent.known, link.rent.source))
    if file.costs.devices:
        counts = Counter(device.group for device in scenario.setting(0.0).devices)
        for group, count in counts.items():
            items.append(_capital(scenario, group, file.devices[group].hardware, count))
    return tuple(items)


def running(scenario: Scenario, use: Use) -> tuple[Item, ...]:
    """Return what is paid because it is used, as if the load were the same all month."""
    file = scenario.file
    items = []
    for name, node in _own(file):
        if watts := use.node_w.get(name, 0.0):
            busy = scenario.catalogue.hardware(node.hardware).busy_w
            items.append(_energy(file, f"{name}: power of its work", watts, busy.known, busy.source))
    if file.costs.devices:
        items.append(_energy(file, "devices: power", use.devices_w, "assumed", "accounts of devices"))
    if use.money_per_s:
        what = "traffic, and computing by the hour"
        source = "price_per_GB and price_per_hour of the scenario"
        items.append(Item(what, use.money_per_s * MONTH_S, "assumed", source))
    return tuple(items)


def used(rows: Path, file: ScenarioFile) -> Use:
    """Measure what a replication used of all that was born after the warm-up.

    Power at nodes is that of a request's last plan; what a node did for one that was then served without
    any is not counted. A frame that needs several networks has no plan but
    those of its stages, and its money is in its own row.
    """
    since_s = 0.0 if file.warm_up == "auto" else float(file.warm_up)
    seconds = file.duration - since_s
    counted = pl.scan_parquet(rows).filter(pl.col("born_s") >= since_s)
    node_w: Counter[str] = Counter()
    for place in ("edge", "cloud"):
        joules = counted.group_by(place).agg(pl.col(f"{place}_j").sum()).drop_nulls().collect()
        for name, spent_j in joules.iter_rows():
            node_w[name] += spent_j / seconds
    money = counted.filter(pl.col("parent").is_null()).select(pl.col("money").sum()).collect().item()
    return Use(dict(sorted(node_w.items())), _devices_w(rows, file), money / seconds)


def _devices_w(rows: Path, file: ScenarioFile) -> float:
    """All watts of all devices, over the whole run; nobody asks unless they are charged."""
    if not file.costs.devices:
        return 0.0
    devices = pl.read_parquet(rows.with_name("devices.parquet"))
    drawn = devices.select(pl.sum_horizontal("idle_j", "marginal_j", "tail_j", "promotion_j").sum())
    seconds = devices.select(pl.col("seconds").max())
    return float(drawn.item()) / float(seconds.item())


def as_json(items: tuple[Item, ...]) -> list[dict[str, Any]]:
    """Return items as size.json tells them."""
    return [
        {"what": i.what, "per_month": i.per_month, "known": i.known, "source": i.source} for i in items
    ]


def total(items: tuple[Item, ...]) -> float:
    """Return the sum of items, a month."""
    return sum(item.per_month for item in items)


def _own(file: ScenarioFile) -> Iterator[tuple[str, NodeTable]]:
    for name, node in file.nodes.items():
        if not node.price_per_hour:
            yield name, node


def _bought(file: ScenarioFile) -> Iterator[tuple[str, str]]:
    """Yield the keys that say which machines are one's own, and their hardware."""
    for name, node in _own(file):
        yield f"nodes.{name}.hardware", node.hardware
    if file.costs.devices:
        for name, group in file.devices.items():
            yield f"devices.{name}.hardware", group.hardware


def _servers(node: NodeTable) -> int:
    return node.scale.max if node.scale else node.servers


def _machines(scenario: Scenario, name: str, hardware: str, count: int) -> list[Item]:
    idle = scenario.catalogue.hardware(hardware).idle_w
    what = f"{name}: {count} x {hardware} at rest"
    power = _energy(scenario.file, what, idle.value * count, idle.known, idle.source)
    return [_capital(scenario, name, hardware, count), power]


def _capital(scenario: Scenario, name: str, hardware: str, count: int) -> Item:
    price = scenario.catalogue.price(hardware)
    assert price is not None  # noqa: S101 - faults() has told of it
    per_month = price.value * count * MONTH_S / price.life
    return Item(f"{name}: {count} x {hardware} to buy", per_month, price.known, price.source)


def _energy(file: ScenarioFile, what: str, watts: float, known: Known, source: str) -> Item:
    price = file.costs.electricity or USUAL_ELECTRICITY
    per_month = watts * MONTH_S / KWH_J * price.per_kwh
    sources = f"{source}; {price.per_kwh:g} a kWh: {price.source}"
    return Item(what, per_month, max(known, price.known, key=_ORDER.index), sources)
