"""What each variant costs and how well it answers, over seeds: rows, a CSV file, a table in Markdown."""

import csv
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev

import torch

from offload.dnn.trials import Outcome, Trial
from offload.dnn.variants import WHAT, Subject

Row = dict[str, str | int | float | None]
SCORES = ("accuracy", "precision", "recall", "f1")

# Pairs of the same structure, whose difference is what one technique adds to the other.
PAIRS = (("student-distilled", "student"), ("pruned-75", "student"), ("pruned-50", "narrow-50"))


def rows(
    subject: Subject, trials: Sequence[Trial], times_s: Mapping[str, tuple[float, ...]]
) -> list[Row]:
    """Return a row a variant, and one for each confidence at which images may leave it early.

    Scores are means over seeds with their standard deviations, in shares; `cpu_ms` the mean time of one
    image at batch 1, for a network with exits until the exits at which images leave.
    """
    known: Row = {
        "data": subject.images.test.name,
        "images": len(subject.images.train),
        "epochs": subject.epochs,
        "machine": _machine(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }
    found: list[Row] = []
    for variant in dict.fromkeys(trial.variant for trial in trials):
        own = [trial for trial in trials if trial.variant == variant]
        for number in range(len(own[0].outcomes)):
            outcomes = [trial.outcomes[number] for trial in own]
            found.append(_row(variant, own, outcomes, times_s.get(variant, ())) | known)
    return found


def _row(variant: str, trials: list[Trial], outcomes: list[Outcome], times_s: tuple[float, ...]) -> Row:
    leaving = [mean(shares) for shares in zip(*(each.leaving for each in outcomes), strict=True)]
    row: Row = {
        "variant": variant,
        "task": trials[0].task,
        "leave_at": _leave_at(outcomes),
        "seeds": len(trials),
    }
    for score in SCORES:
        values = [float(getattr(each, score)) for each in outcomes]
        row[score] = round(mean(values), 5)
        row[f"{score}_sd"] = round(stdev(values), 5) if len(values) > 1 else None
    exits = [mean(shares) for shares in zip(*(trial.exits for trial in trials), strict=True)]
    return row | {
        "leaving": "/".join(f"{share:.3f}" for share in leaving) if len(leaving) > 1 else "",
        "exit_accuracies": "/".join(f"{each:.4f}" for each in exits) if len(exits) > 1 else "",
        "size_bytes": round(mean(trial.size_bytes for trial in trials)),
        "parameters": round(mean(trial.parameters for trial in trials)),
        "macs": trials[0].macs,
        "cpu_ms": round(1e3 * _dot(leaving, times_s), 4) if times_s else None,
        "how": WHAT[variant],
    }


def _leave_at(outcomes: list[Outcome]) -> str:
    values = [each.confidence for each in outcomes if each.confidence is not None]
    if not values:
        return ""
    low, high = min(values), max(values)
    told = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return f"{told} (chosen)" if outcomes[0].chosen else told


def _dot(shares: Sequence[float], times_s: Sequence[float]) -> float:
    return sum(share * time_s for share, time_s in zip(shares, times_s, strict=True))


def differences(trials: Sequence[Trial]) -> list[str]:
    """Say in words what the first of each pair gains on the second, seed by seed."""
    scores = {(trial.variant, trial.seed): trial.outcomes[0].accuracy for trial in trials}
    told = []
    for one, other in PAIRS:
        seeds = [seed for variant, seed in scores if variant == one and (other, seed) in scores]
        gains = [100 * (scores[one, seed] - scores[other, seed]) for seed in seeds]
        if len(gains) > 1:
            same_sign = min(gains) > 0 or max(gains) < 0
            verdict = "" if same_sign else ": seeds disagree, no gain to claim"
            each = ", ".join(f"{gain:+.2f}" for gain in gains)
            told.append(f"{one} minus {other}: {mean(gains):+.2f} points ({each}){verdict}")
    return told


def shown(found: Sequence[Row]) -> list[dict[str, object]]:
    """Return the columns that a reader wants, in words."""
    usual = found[0]["task"]
    return [
        {
            "variant": row["variant"] if row["task"] == usual else f"{row['variant']} ({row['task']})",
            "leaves at": row["leave_at"] or "-",
            "accuracy %": _percent(row, "accuracy"),
            "precision": _percent(row, "precision"),
            "recall": _percent(row, "recall"),
            "F1": _percent(row, "f1"),
            "kB": f"{float(row['size_bytes'] or 0) / 1e3:.0f}",
            "parameters": f"{row['parameters']:,}",
            "MMAC": f"{float(row['macs'] or 0) / 1e6:.2f}",
            "CPU ms": "-" if row["cpu_ms"] is None else f"{row['cpu_ms']:.2f}",
            "leaving": row["leaving"] or "-",
            "how": row["how"],
        }
        for row in found
    ]


def _percent(row: Row, score: str) -> str:
    spread = row[f"{score}_sd"]
    told = f"{100 * float(row[score] or 0):.2f}"
    return told if spread is None else f"{told} ±{100 * float(spread):.2f}"


def markdown(found: Sequence[Row]) -> str:
    """Return the table in Markdown."""
    told = shown(found)
    lines = ["| " + " | ".join(told[0]) + " |"]
    lines.append("|" + "|".join("---" if key in {"variant", "how"} else "--:" for key in told[0]) + "|")
    lines += ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in told]
    return "\n".join(lines)


def write(path: Path, found: Sequence[Row]) -> None:
    """Write the rows as CSV, whole or not at all."""
    aside = path.with_suffix(".partial")
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    aside.replace(path)


def _machine() -> str:
    """Name the processor, and the instruction set that torch uses on it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.machine()} ({torch.backends.cpu.get_cpu_capability()}), one thread"
