"""Two hundred vehicles on a small grid of streets, and rows of theirs of any number."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl

from offload.analysis.rows import LEGS, SCHEMA
from offload.scenario.load import Scenario, load
from tests.hand_made import ROOT

VEHICLES = 200


def trace(path: Path, seconds: int = 60) -> Path:
    """Write the tracks of the vehicles: one after the other along streets, a point each second."""
    lines = ["time,id,x,y"]
    for number in range(VEHICLES):
        street, speed = number % 10, 8.0 + number % 7
        for second in range(seconds + 1):
            along = -300.0 + (17.0 * number + speed * second) % 600.0
            x, y = (along, 60.0 * street - 270.0) if number % 2 else (60.0 * street - 270.0, along)
            lines.append(f"{second},v{number},{x:g},{y:g}")
    path.write_text("\n".join(lines) + "\n")
    return path


def scenario(folder: Path, seconds: int = 60) -> Scenario:
    """Return the small scenario with the vehicles on their tracks."""
    return load(
        ROOT / "tests" / "small.toml",
        [
            f'duration="{seconds} s"',
            f'devices.car.mobility={{ trace = "{trace(folder / "crowd.csv", seconds)}" }}',
            "devices.car.count=200",
            'links.cell.range="350 m"',
            'links.cell.up="2 Gbit/s"',  # room for all: nobody's backlog grows
            "nodes.cabinet.servers=8",
        ],
    )


def rows(count: int, devices: int, seconds: float, seed: int) -> pl.DataFrame:
    """Return rows with random births and legs: harder to tell in few bytes than those of any policy."""
    rng = np.random.default_rng(seed)
    legs = {
        leg: rng.lognormal(-4.0, 1.0, count)
        for leg in LEGS
        if leg not in ("decide_s", "cloud_s", "wan_s")
    }
    split = rng.random(count) < 0.5
    born_s = np.sort(rng.uniform(0.0, seconds, count))
    latency_s = sum(legs.values())
    cuts = rng.integers(1, 40, count)
    known = {
        "request": np.arange(count), "device": [f"car-{n}" for n in rng.integers(0, devices, count)],
        "born_s": born_s, "deadline_s": np.full(count, 0.1), "ended_s": born_s + latency_s,
        "latency_s": latency_s, "on_time": latency_s < 0.1, "cause": [""] * count, "split": split,
        "plan": [f"net:fp32 device[0:{cut}] cabinet[{cut}:40]" for cut in cuts],
        "edge": ["cabinet"] * count, "uplink": ["cell"] * count, "edge_j": legs["edge_s"] * 10.0,
        "group": ["car"] * count, "task": ["objects"] * count, "variant": ["net:fp32"] * count,
        "device_cut": cuts % 2, "edge_cut": [2] * count,
    }  # fmt: skip
    given = {**dict.fromkeys(SCHEMA, None), **dict.fromkeys(LEGS, 0.0), **legs, **known}
    return pl.DataFrame(
        [
            pl.repeat(values, count, dtype=SCHEMA[key], eager=True).alias(key)
            if values is None or isinstance(values, float)
            else pl.Series(key, values, SCHEMA[key])
            for key, values in given.items()
        ]
    ).select(SCHEMA.names())


def story(of: Scenario, rows_of: dict[str, pl.DataFrame], warm_up_s: float = 0.0) -> SimpleNamespace:
    """Return what the replay needs of a story, with these rows for each label."""
    setting = of.setting(0.0)
    return SimpleNamespace(
        labels=list(rows_of),
        rows=lambda label, _replication=0: rows_of[label],
        setting=lambda _replication=0: setting,
        found=SimpleNamespace(warm_up_s=warm_up_s),
    )
