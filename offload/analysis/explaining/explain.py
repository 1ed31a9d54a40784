"""Why the requests of each policy were late, and what a sweep's keys do about it."""

import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl

from offload.analysis import repeat, rows, statistics
from offload.analysis.compare import Progress, silent
from offload.analysis.explaining import effects as explain_effects
from offload.analysis.explaining.effects import Effects
from offload.analysis.explaining.legs import Cause, Kind
from offload.analysis.explaining.mistakes import MISTAKES
from offload.analysis.explaining.study import Late, Study, study
from offload.analysis.folder import FolderError, Kept, find
from offload.analysis.measures import COLUMNS, Tally
from offload.analysis.statistics import Interval

REPLAYS = 3  # replications of a policy that are simulated again, unless told otherwise


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a policy's requests missed their deadlines, over replications.

    `causes` are shares of what missed, `kinds` their sums by leg and kind, wherever that was, and
    `tasks` the causes of each task; `mistakes` are shares too, of the `judged`, None without a replay.
    `fresh` is the share that would have missed, had all reports been of no age; None if nobody asked,
    or it was the same. Intervals are Student's, over the replications in which any missed.
    """

    label: str
    knowledge: str
    replications: int
    requests: int
    missed: Interval | None
    late: float
    unanswered: float
    wrong: float | None
    never: float
    causes: dict[Cause, Interval | None]
    kinds: dict[Kind, Interval | None]
    tasks: dict[str, dict[Cause, Interval | None]]
    mistakes: dict[str, Interval | None] | None
    judged: int
    fresh: Interval | None
    worst: tuple[Late, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON would hold it."""
        told = asdict(self) | {"causes": _listed(self.causes), "kinds": _listed(self.kinds)}
        told["tasks"] = {task: _listed(causes) for task, causes in self.tasks.items()}
        return told


def _listed(causes: Mapping[Any, Interval | None]) -> list[dict[str, Any]]:
    return [
        cause._asdict() | {"low": share.low, "share": share.mean, "high": share.high}
        for cause, share in causes.items()
        if share is not None
    ]


@dataclass(frozen=True, slots=True)
class Report:
    """All that results tell: one explanation a policy, and of a sweep the effects of its keys.

    `replications` lie there, of each policy at each of the `points`; those explained may be fewer. The
    `measure` is the one that was asked for; `radio` are the cells whose rate a radio decides.
    """

    scenario: str
    points: int
    replications: int
    replayed: bool
    known: str
    measure: str | None
    radio: tuple[str, ...]
    policies: tuple[Explanation, ...]
    effects: tuple[Effects, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what `explain --json` prints."""
        told = asdict(self)
        told["policies"] = [each.as_json() for each in self.policies]
        return told


def explain(
    where: Path, labels: Sequence[str] = (), worst: int = 5, replications: int | None = None,
    jobs: int = 1, measure: str | None = None, progress: Progress = silent, *, replay: bool = True,
) -> Report:  # fmt: skip
    """Explain a folder of results, or one file of rows.

    Of each policy the first `replications` count: all of them, or REPLAYS with a `replay`. A sweep is
    not simulated again, and of it only those replications count that all its points have. Raises
    FolderError, ScenarioError, PolicyError.
    """
    found = find(where)
    there = list(dict.fromkeys(each.label for each in found))
    unknown = [label for label in labels if label not in there]
    if unknown:
        msg = f"--policy {', '.join(unknown)}: not among the results; there is {', '.join(there)}"
        raise FolderError(msg)
    found = [each for each in found if not labels or each.label in labels]
    points = max(len({each.point for each in found if each.label == label}) for label in there)
    replay = replay and points == 1
    numbers = sorted({each.replication for each in found})
    most = replications or (REPLAYS if replay else len(numbers))
    chosen = [each for each in _in_common(found) if each.replication in numbers[:most]]
    warm_ups = {folder: warm_up_s(folder) for folder in {each.folder for each in found}}
    calls = [
        joblib.delayed(_study)(each, warm_ups[each.folder], worst, replay, tuple(sys.path))
        for each in chosen
    ]
    studies: dict[str, list[Study]] = defaultdict(list)
    with progress("explaining", len(chosen)) as advance:
        done = joblib.Parallel(n_jobs=min(jobs, len(chosen)), return_as="generator")(calls)
        for kept, each in zip(chosen, done, strict=True):
            studies[kept.label].append(each)
            advance(kept.label)
    in_order = dict.fromkeys([label for label in _compared(found[0]) if label in studies])
    order = list(in_order | dict.fromkeys(studies))
    effects = moved(found, measure, warm_ups, progress) if points > 1 else []
    effects.sort(key=lambda each: order.index(each.label))
    policies = [together(label, studies[label], worst, replay=replay) for label in order]
    links = json.loads(found[0].told["resolved"]).get("links", {})
    return Report(
        scenario=found[0].told["scenario"],
        points=points,
        replications=len(numbers),
        replayed=replay,
        known=next(iter(studies.values()))[0].known,
        measure=measure,
        radio=tuple(name for name, link in links.items() if "radio" in link),
        policies=tuple(policies),
        effects=tuple(effects),
    )


def _in_common(found: Sequence[Kept]) -> list[Kept]:
    """Leave out what only some points have, or these would weigh more; all if they share nothing."""
    numbers: dict[str, dict[tuple[str, str], set[int]]] = defaultdict(lambda: defaultdict(set))
    for each in found:
        numbers[each.label][each.point].add(each.replication)
    common = {label: set.intersection(*points.values()) for label, points in numbers.items()}
    return [each for each in found if not common[each.label] or each.replication in common[each.label]]


def _compared(kept: Kept) -> list[str]:
    """The labels of the policies that a scenario compares, in its order."""
    scenario = json.loads(kept.told["resolved"])
    policies = (scenario.get("compare") or {}).get("policies", [])
    return [each.get("label", each.get("name", "")) for each in policies]


def _study(kept: Kept, from_s: float | None, worst: int, replay: bool, paths: tuple[str, ...]) -> Study:
    """Study a file in whichever process this is."""
    # A process that was started earlier may not know where the user's policies lie.
    sys.path.extend(path for path in paths if path not in sys.path)
    try:
        return study(kept, from_s, worst, replay=replay)
    except (OSError, pl.exceptions.PolarsError) as error:
        msg = f"{kept.file}: its rows cannot be read ({error!s:.200}); delete it and simulate again"
        raise FolderError(msg) from error


def together(label: str, studies: Sequence[Study], worst: int, *, replay: bool) -> Explanation:
    """Put the replications of one policy together; of a sweep, a replication is that of all points."""
    by_number: dict[int, list[Study]] = defaultdict(list)
    for each in studies:
        by_number[each.replication].append(each)
    requests = sum(each.requests for each in studies)
    missed = sum(each.missed for each in studies)
    shares = [_share(runs) for runs in by_number.values() if any(each.requests for each in runs)]
    blamed = [_summed(one for each in runs for one in each.blamed.values())
              for runs in by_number.values()]  # fmt: skip
    tasks = dict.fromkeys(task for each in studies for task in each.blamed)
    by_task = {
        task: [_summed(each.blamed.get(task, {}) for each in runs) for runs in by_number.values()]
        for task in tasks
    }
    mistakes = [_summed(each.mistakes for each in runs) for runs in by_number.values()]
    wrong = [each.wrong for each in studies if each.wrong is not None]
    late = sorted((each for one in studies for each in one.worst), key=lambda e: e.over_s, reverse=True)
    return Explanation(
        label=label,
        knowledge=studies[0].knowledge,
        replications=len(by_number),
        requests=requests,
        missed=statistics.interval(shares),
        late=sum(each.late for each in studies) / max(1, requests),
        unanswered=sum(each.unanswered for each in studies) / max(1, requests),
        wrong=sum(wrong) / max(1, requests) if len(wrong) == len(studies) else None,
        never=sum(each.never for each in studies) / max(1, missed),
        causes=_shares(blamed),
        kinds=_shares([_of_kinds(counts) for counts in blamed]),
        tasks={task: _shares(counts) for task, counts in by_task.items()},
        mistakes=_shares(mistakes, MISTAKES) if replay else None,
        judged=sum(sum(each.values()) for each in mistakes),
        fresh=_fresh(studies),
        worst=tuple(late[:worst]),
    )


def _fresh(studies: Sequence[Study]) -> Interval | None:
    """The share that would have missed with fresh reports; where they matter to nobody, as many."""
    if all(each.fresh is None for each in studies):
        return None
    some = [each for each in studies if each.requests]
    missed = [each.missed if each.fresh is None else each.fresh for each in some]
    return statistics.interval([n / each.requests for n, each in zip(missed, some, strict=True)])


def _share(runs: Sequence[Study]) -> float:
    return sum(each.missed for each in runs) / sum(each.requests for each in runs)


def _summed(counts: Iterable[Mapping[Any, float]]) -> Counter[Any]:
    total = Counter[Any]()
    for each in counts:
        total.update(each)
    return total


def _of_kinds(causes: Mapping[Cause, float]) -> Counter[Kind]:
    """Sum causes over the places where they were."""
    return _summed({Kind(cause.leg, cause.kind): share} for cause, share in causes.items())


def _shares(
    counts: Sequence[Mapping[Any, float]], keys: Sequence[Any] = ()
) -> dict[Any, Interval | None]:
    """Return the mean share of each key over replications that have any; they sum to 1."""
    some = [(each, total) for each in counts if (total := sum(each.values()))]
    if not some:
        return {}
    found = {
        key: statistics.interval([each.get(key, 0.0) / total for each, total in some])
        for key in keys or dict.fromkeys(key for each, _ in some for key in each)
    }
    if keys:
        return found
    return dict(sorted(found.items(), key=lambda item: -(item[1].mean if item[1] else 0.0)))


def moved(
    found: Sequence[Kept], measure: str | None, warm_ups: Mapping[Path, float | None], progress: Progress
) -> list[Effects]:
    """Say how much each key that differs between points moves a measure, for each policy.

    The measure is by default useful, or on_time where somebody's answers cannot be judged. Policies
    without two points, or whose points have no replication in common, are left out.
    """
    values: dict[str, dict[tuple[str, str], dict[tuple[int, int], dict[str, float]]]] = defaultdict(dict)
    with progress("measuring", len(found)) as advance:
        for kept in sorted(found, key=lambda each: each.point):
            numbers = int(kept.told["seed"]), kept.replication
            values[kept.label].setdefault(kept.point, {})[numbers] = _measured(
                kept, warm_ups[kept.folder]
            )
            advance(kept.label)
    tables = {}
    for kept in found:
        options = {key: value for key, value in json.loads(kept.told["policy_table"]).items()
                   if key not in ("name", "label")}  # fmt: skip
        tables[kept.point] = json.loads(kept.told["resolved"]) | {"option": options}
    results = []
    for label, points in values.items():
        common = sorted(set.intersection(*(set(each) for each in points.values())))
        factors = explain_effects.factors([tables[point] for point in points])
        if len(points) < 2 or not common or not factors:
            continue
        which = measure or _defined(points.values())
        table = np.array([[each[number][which] for number in common] for each in points.values()])
        if np.isfinite(table).all():
            told = explain_effects.effects(label, which, factors, table, common[0][0])
            results += [told] if told is not None else []
    return results


def _measured(kept: Kept, from_s: float | None) -> dict[str, float]:
    recipe = repeat.read(kept.file)
    file = recipe.scenario.file
    warm_up_s = (from_s or 0.0) if file.warm_up == "auto" else float(file.warm_up)
    tally = Tally(warm_up_s, file.duration, judged=recipe.scenario.judged)
    for frame in rows.chunks(pl.scan_parquet(kept.file), *COLUMNS):
        tally.add(frame)
    return tally.summary().values


def _defined(points: Iterable[Mapping[tuple[int, int], Mapping[str, float]]]) -> str:
    known = all(math.isfinite(run["useful"]) for runs in points for run in runs.values())
    return "useful" if known else "on_time"


def warm_up_s(folder: Path) -> float | None:
    """Return the warm-up that a comparison chose for results that have none; None if it does not say."""
    try:
        told = json.loads((folder / "summary.json").read_text())["warm_up_s"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(told) if isinstance(told, int | float) and math.isfinite(told) else None
