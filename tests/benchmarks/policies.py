"""Every named policy in three scenarios: what users get, what it costs, and what deciding takes.

`python tests/benchmarks/policies.py FOLDER [--replications N] [--jobs N] [--policy NAME ...]` keeps rows
in FOLDER, goes on where it stopped, writes `data/policies.csv` and prints the table of README, with the
regret in `small-cell`: how many more requests are late than a bound on any policy proves.

Microseconds are the median over the questions of one replication, of a clock, divided by the number of
questions where several are answered at once; solvers that do not plan anew for each request show in the
99th percentile. `--times` only times these decisions, `--warm` those about the same questions again and
again, with 109 plans.
"""

import argparse
import csv
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from timeit import repeat
from typing import Any

import numpy as np

from offload.analysis.bounds import regrets
from offload.analysis.compare import PolicyResult, compare
from offload.analysis.statistics import Interval
from offload.planning.price import price
from offload.policies import table
from offload.policies.fixed import NoPlanError
from offload.policies.protocol import Joint, Learns, Starts, slot_s
from offload.scenario.load import Scenario, load
from offload.simulation.world import World
from offload.streams import Streams

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ("urban-intersection", "camera-corridor", "smart-factory")
MEASURES = {"useful": 1.0, "latency_p95_s": 1e3, "energy_j": 1e3}  # in ms and mJ


def decision_times(scenario: Scenario, name: str, replication: int = 0) -> np.ndarray[Any, Any] | None:
    """Return the seconds that each question of a replication took; None where it has no plan."""
    choice = table.choose({"name": name})
    policy, streams = choice.make(), Streams(scenario.file.seed, replication)
    if isinstance(policy, Starts):
        policy.start(streams.generator("policy"))
    learn = policy.learn if isinstance(policy, Learns) else None
    world = World(scenario.setting(0.0, streams), streams, choice.knowledge, learn, slot_s(policy))
    game, times = world.play(), []
    try:
        questions = next(game)
        while True:
            began_s = perf_counter()
            if isinstance(policy, Joint):
                plans = list(policy.decide_all(questions))
            else:
                plans = [policy.decide(each.request, each.seen) for each in questions]
            times += [(perf_counter() - began_s) / len(questions)] * len(questions)
            questions = game.send(plans)
    except StopIteration:
        return np.array(times)
    except NoPlanError:
        return None


def warm_times() -> None:
    """Print the median over questions of the least time of a decision, in microseconds."""
    scenario = load(ROOT / "scenarios" / "ar-headset.toml", ['duration="3 s"', 'warm_up="0 s"'])
    game = World(scenario.setting(0.0), Streams(1, 0)).play()
    questions, kept = next(game), []
    with suppress(StopIteration):
        while True:
            prices = [price(each.request, each.seen) for each in questions]
            kept += [each for each, p in zip(questions, prices, strict=True) if len(p.plans) == 109]
            questions = game.send([each.least(each.latency_s) for each in prices])
    for name in table.NAMED:
        policy = table.choose({"name": name}).make()
        if isinstance(policy, Starts):
            policy.start(np.random.default_rng(1))
        with suppress(NoPlanError):
            times = [
                min(repeat(partial(policy.decide, each.request, each.seen), number=50, repeat=3)) / 50
                for each in kept[:: len(kept) // 15]
            ]
            print(f"{name}: {np.median(times) * 1e6:.1f}")


def told(interval: Interval | None, scale: float) -> str:
    """Write an interval as README does; none if the quantile is infinite in some replication."""
    if interval is None:
        return "inf"
    digits = 3 if scale == 1.0 else 1
    if interval.low is None:
        return f"{interval.mean * scale:.{digits}f}"
    half = (interval.high - interval.low) / 2
    return f"{interval.mean * scale:.{digits}f} ±{half * scale:.{digits}f}"


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--replications", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--policy", action="append")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--warm", action="store_true")
    given = parser.parse_args()
    if given.warm:
        warm_times()
        return
    names = given.policy or list(table.NAMED)
    rows: list[dict[str, Any]] = []
    for name in SCENARIOS:
        scenario = load(ROOT / "scenarios" / f"{name}.toml")
        short = load(ROOT / "scenarios" / f"{name}.toml", ['duration="5 s"', 'warm_up="0 s"'])
        times = {each: t for each in names if (t := decision_times(short, each)) is not None}
        choices = [table.choose({"name": each}) for each in times]
        found: dict[str, PolicyResult] = {}
        if not given.times:
            result = compare(
                scenario, choices, given.replications, jobs=given.jobs, out=given.folder / name,
                second_opinion=False,
            )  # fmt: skip
            found = {each.label: each for each in result.policies}
        for choice in choices:
            row = {"policy": choice.name, "knows": choice.knowledge, "scenario": name}
            if choice.label in found:
                policy = found[choice.label]
                row |= {key: told(policy.measures[key], k) for key, k in MEASURES.items()}
            row |= {
                "decide_us": f"{np.median(times[choice.name]) * 1e6:.1f}",
                "decide_p99_us": f"{np.quantile(times[choice.name], 0.99) * 1e6:.0f}",
            }
            rows.append(row)
            print(*row.values(), sep=" | ", file=sys.stderr, flush=True)
    if not given.times and not given.policy:
        with (ROOT / "data" / "policies.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    regret = {} if given.times else regrets_of(names, given.replications)
    keys = [key for key in rows[0] if key not in ("policy", "knows", "scenario", "decide_p99_us")]
    titles = {"useful": "useful", "latency_p95_s": "p95 ms", "energy_j": "mJ", "decide_us": "µs"}
    heads = [f"{each.split('-')[0]}: {titles[key]}" for each in SCENARIOS for key in keys]
    print(f"| policy | knows | {' | '.join(heads)} | regret |")
    print("|---|---|" + "--:|" * (len(heads) + 1))
    for name in names:
        mine = {row["scenario"]: row for row in rows if row["policy"] == name}
        cells = [mine.get(each, {}).get(key, "no plan") for each in SCENARIOS for key in keys]
        knows = next((row["knows"] for row in mine.values()), "")
        print(f"| {name} | {knows} | {' | '.join(cells)} | {regret.get(name, 'no plan')} |")


def regrets_of(names: list[str], replications: int) -> dict[str, str]:
    """Return the regret of each policy that has a plan in the small scenario."""
    small = load(ROOT / "scenarios" / "small-cell.toml")
    choices = [table.choose({"name": each}) for each in names if decision_times(small, each) is not None]
    found = regrets(small, choices, replications)
    return {each.label: told(each.regret["missed"], 1.0) for each in found.policies}


if __name__ == "__main__":
    main()
