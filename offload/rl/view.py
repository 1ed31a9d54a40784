"""What an agent sees and may do: a policy's observation as numbers, a task's plans as actions."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace

from offload.entities import Facts, Knowledge, Luck, Observation, Plan, Question
from offload.planning.columns import columns
from offload.planning.price import Prices, price

Features = npt.NDArray[np.float32]
Mask = npt.NDArray[np.int8]

MOST = 10.0  # what is larger looks the same
LUCK = Luck.__struct_fields__[:6]


class Open(Struct, frozen=True):
    """The actions that are open to a task now: which entries of its prices they are, and their plans."""

    entries: npt.NDArray[np.intp]
    actions: npt.NDArray[np.intp]
    plans: dict[int, Plan]


class Sight(Struct, frozen=True):
    """A question as an agent meets it: features, mask, and the plan of each action that is open."""

    features: Features
    mask: Mask
    plans: dict[int, Plan]


class View:
    """The features and actions of some tasks, which have one space in common.

    Action i is the i-th plan in `actions[facts]`, by whichever cell serves the device: the plans of all
    cells are one list, from which the cell is left out. There are as many actions as the longest list
    has plans. Not `split` leaves only plans that run in one place.

    Features are shares: seconds over the task's deadline, rates over the cell's nominal rate, bytes over
    the largest input (the mean where all are equal), joules over the battery's capacity. Nothing is more
    than 10; what says yes or no is 1 or 0. In this order, by the names in `names`:

    - `time_left`, `input`, `backlog` (the device's own compute), and where any has one `battery`;
    - where there are several, `task.T` for each: whether it is this one that asks;
    - of each cell C: `serving.C`, `reachable.C`, the expected rates `up.C` and `down.C`, `queued.C` (how
      long its own bytes take that wait there), and of its last own transfer `own_rate.C`, `own_age.C`
      (0, 0 before the first);
    - of each node N: `heard.N` (whether a report has come), `backlog.N` and `age.N` of the last report;
    - for a clairvoyant `luck.*`: the six numbers of this request's Fate;
    - with `prices`, `latency.I`: what action I is predicted to take; 10 where it is closed.

    Raises ValueError where a task has nothing to choose from.
    """

    def __init__(
        self,
        tasks: Sequence[Facts],
        knowledge: Knowledge = "reported",
        *,
        split: bool = True,
        prices: bool = False,
    ) -> None:
        self.tasks = tuple(tasks)
        self.split = split
        self.prices = prices
        self.lucky = knowledge == "clairvoyant"
        self.battery = any(facts.capacity_j is not None for facts in tasks)
        self.cells = tuple(dict.fromkeys(name for facts in tasks for name in facts.cells))
        self.nodes = tuple(dict.fromkeys(name for facts in tasks for name in facts.nodes))
        self.actions = {facts: self._actions(facts) for facts in tasks}
        self.size = max(map(len, self.actions.values()))
        named = list(self._names())
        self.names = tuple(name for name, _, _ in named)
        self.low = np.array([low for _, low, _ in named], dtype=np.float32)
        self.high = np.array([high for _, _, high in named], dtype=np.float32)
        self._open: dict[int, tuple[tuple[Plan, ...], Open]] = {}

    def _actions(self, facts: Facts) -> dict[Plan, int]:
        """Number the plans of a task."""
        found: dict[Plan, int] = {}
        for cell in (None, *facts.cells):
            mine = [plan for plan in columns(facts, cell).plans if self.split or not plan.split]
            if cell is not None and not mine:
                what = "an agent needs one over each cell" if self.split else "leave split=True"
                msg = f"{facts.group}.{facts.asked} has no such plan over {cell}; {what}"
                raise ValueError(msg)
            for plan in mine:
                found.setdefault(_anywhere(plan), len(found))
        return found

    def _names(self) -> Iterator[tuple[str, float, float]]:
        """Yield what each feature is called, and its bounds."""
        yield "time_left", -MOST, MOST
        for name in ("input", "backlog"):
            yield name, 0.0, MOST
        if self.battery:
            yield "battery", 0.0, 1.0
        if len(self.tasks) > 1:
            for facts in self.tasks:
                yield f"task.{facts.group}.{facts.asked}", 0.0, 1.0
        yield from self._names_of_others()
        if self.prices:
            for action in range(self.size):
                yield f"latency.{action}", 0.0, MOST

    def _names_of_others(self) -> Iterator[tuple[str, float, float]]:
        for cell in self.cells:
            for name in ("serving", "reachable"):
                yield f"{name}.{cell}", 0.0, 1.0
            for name in ("up", "down", "queued", "own_rate", "own_age"):
                yield f"{name}.{cell}", 0.0, MOST
        for node in self.nodes:
            yield f"heard.{node}", 0.0, 1.0
            yield f"backlog.{node}", 0.0, MOST
            yield f"age.{node}", 0.0, MOST
        if self.lucky:
            for name in LUCK:
                yield f"luck.{name}", 0.0, 1.0

    def blank(self) -> Sight:
        """Return what there is to see where nothing is asked."""
        zeros = np.zeros(len(self.names), dtype=np.float32)
        return Sight(zeros, np.zeros(self.size, dtype=np.int8), {})

    def look(self, question: Question) -> Sight:
        """Return a question as numbers; what is open is what `price` finds for a policy."""
        prices = price(question.request, question.seen)
        found = self._open_plans(question.seen.facts, prices)
        mask = np.zeros(self.size, dtype=np.int8)
        mask[found.actions] = 1
        told = [*self._of_device(question), *self._of_others(question.seen)]
        if self.prices:
            latencies = np.full(self.size, MOST)
            latencies[found.actions] = prices.latency_s[found.entries]
            latencies[found.actions] /= question.seen.facts.deadline_s
            told += latencies.tolist()
        features = np.clip(np.array(told, dtype=np.float32), self.low, self.high)
        return Sight(features, mask, found.plans)

    def _open_plans(self, facts: Facts, prices: Prices) -> Open:
        """Look the actions of a table's plans up, once a table."""
        kept = self._open.get(id(prices.plans))
        if kept is None:
            numbers = [self.actions[facts].get(_anywhere(plan), -1) for plan in prices.plans]
            entries = [entry for entry, action in enumerate(numbers) if action >= 0]
            actions = [numbers[entry] for entry in entries]
            plans = {numbers[entry]: prices.plans[entry] for entry in entries}
            found = Open(np.array(entries, dtype=np.intp), np.array(actions, dtype=np.intp), plans)
            kept = self._open[id(prices.plans)] = prices.plans, found
        return kept[1]

    def _of_device(self, question: Question) -> Iterator[float]:
        """Yield what concerns the request and the device itself."""
        request, seen = question.request, question.seen
        facts = seen.facts
        yield request.deadline_s / facts.deadline_s
        yield request.input_bytes / (facts.most_input_bytes or facts.input_bytes)
        yield seen.backlog_s / facts.deadline_s
        if self.battery:
            yield (seen.battery_j or 0.0) / (facts.capacity_j or 1.0)
        if len(self.tasks) > 1:
            for each in self.tasks:
                yield float(each is facts)

    def _of_others(self, seen: Observation) -> Iterator[float]:
        """Yield what concerns cells, nodes and luck."""
        facts, deadline_s = seen.facts, seen.facts.deadline_s
        for name in self.cells:
            uplink = seen.uplinks.get(name)
            if uplink is None:
                yield from (0.0,) * 7
                continue
            cell = facts.cells[name]
            yield float(name == seen.serving)
            yield float(uplink.reachable)
            yield uplink.rate_bps / cell.up_bps
            yield uplink.down_bps / cell.down_bps
            yield 8 * uplink.queued_bytes / uplink.rate_bps / deadline_s
            yield (uplink.own_rate_bps or 0.0) / cell.up_bps
            yield (uplink.own_age_s or 0.0) / deadline_s
        for name in self.nodes:
            report = seen.reports.get(name)
            if report is None:
                yield from (0.0,) * 3
                continue
            yield 1.0
            yield report.backlog_s / deadline_s
            yield (seen.now_s - report.sent_s) / deadline_s
        if self.lucky:
            for name in LUCK:
                yield 0.0 if seen.luck is None else getattr(seen.luck, name)


def _anywhere(plan: Plan) -> Plan:
    """Leave out which cell a plan uses."""
    return plan if plan.uplinks is None else replace(plan, uplinks=())
