"""What a request's legs take if nobody else is there, and which of them made it late."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from offload.analysis.rows import LEGS
from offload.entities import Cell, Facts, Luck, Observation, Plan
from offload.planning import exits
from offload.planning.cost import cost, sends_input, works
from offload.planning.legs import over
from offload.planning.luck import factor
from offload.planning.price import unloaded
from offload.simulation.journey import AT_EDGE, DECIDE, DOWNLINK, IN_CLOUD, ON_DEVICE, UPLINK, WAN
from offload.simulation.stations import DOWN, LATE, SHED
from offload.simulation.world import UNFINISHED
from offload.world.reach import ALWAYS, Place, Reach

ORDER = (DECIDE, ON_DEVICE, UPLINK, AT_EDGE, WAN, IN_CLOUD, DOWNLINK)  # of LEGS: as they are gone
NAMES = tuple(leg.removesuffix("_s") for leg in LEGS)
WORK, LUCK, SIGNAL, WAITING, LOADING = "work", "luck", "signal", "waiting", "loading"
RETRY, FAILED = "retry", "failed"
EARLIER, BEFORE, HANDOVER = ELSEWHERE = "an earlier plan", "a node before", "a handover"
LEAST_S = 1e-9  # what sums of floats differ by is no waiting

Row = Mapping[str, Any]  # of analysis.rows.SCHEMA
Seven = tuple[float, ...]  # seconds of each leg, in the order of LEGS


class Cause(NamedTuple):
    """What made a request late: a leg, where that was, and what it was there.

    `work`: the plan takes longer than the deadline even alone; `luck`: this run took longer than the
    mean; `signal`: where the device was, a cell is out of reach or slower than its nominal rate;
    `waiting`: for others, or a handshake, and what work takes longer after idleness or beside others;
    `loading`: for its own weights. Of a request that was not answered it is the cause in its row.
    The leg `retry` stands for all of a request of which a first attempt `failed`, and names where that
    plan went.
    """

    leg: str
    place: str
    kind: str


class Kind(NamedTuple):
    """A cause, wherever it was."""

    leg: str
    kind: str


class Part(NamedTuple):
    """A request of its own, or a stage of a frame: its row, its facts, its plan.

    Its luck if known, and its device's place if its cells are not always at their nominal rates.
    """

    row: Row
    facts: Facts
    plan: Plan | None
    luck: Luck | None = None
    place: Place | None = None


def plan_of(row: Row, facts: Facts) -> Plan | None:
    """Return the plan that a row tells of, as it was carried out; None if nobody decided."""
    variant = next((v for v in facts.variants if v.label == row["variant"]), None)
    if variant is None:
        return None
    uplinks = None if row["uplink"] is None else (row["uplink"],)
    places = row["edge"], row["cloud"], uplinks, row["codec"]
    plan = Plan(variant, row["device_cut"], row["edge_cut"], *places)
    return plan if row["exit"] is None else exits.leaving(plan, row["exit"])


def alone_s(facts: Facts, plan: Plan, input_bytes: float, luck: Luck | None = None) -> Seven:
    """Return the seconds of each leg in an empty world: means, or those of one request's luck.

    At nominal rates, alone in a batch. The means sum to `planning.price.unloaded` of the plan.
    """
    device_s, edge_s, cloud_s, *_ = cost(facts, plan)
    if luck is not None:
        quantiles = luck.device, luck.edge, luck.cloud
        device_s, edge_s, cloud_s = (
            0.0 if work is None else work.seconds * factor(work.profile, quantile)
            for work, quantile in zip(works(facts, plan), quantiles, strict=True)
        )
    took = [facts.overhead_s, device_s, 0.0, edge_s, 0.0, cloud_s, 0.0]
    if plan.uplinks is None:
        return tuple(took)
    messages = up_bytes, _, result_bytes = sizes(facts, plan, input_bytes)
    cell = facts.cells[plan.uplinks[0]]
    took[UPLINK] = cell.toll.seconds(up_bytes, 8 / cell.up_bps) + cell.delay_s
    took[DOWNLINK] = cell.toll.seconds(result_bytes, 8 / cell.down_bps) + cell.delay_s
    for leg, name in ((AT_EDGE, plan.edge), (IN_CLOUD, plan.cloud)):
        if name is not None and facts.nodes[name].batch_max > 1:
            took[leg] += facts.nodes[name].batch_wait_s
    seen = Observation(0.0, 0.0, None, {}, {}, facts, None, luck)
    for here, there, payload, back in crossings(plan, cell.node, messages):
        took[WAN] += float(
            over(facts, here, there, np.zeros(1), np.array([payload]), seen, back=back)[0]
        )
    return tuple(took)


def sizes(facts: Facts, plan: Plan, input_bytes: float) -> tuple[float, float, float]:
    """The bytes of a plan's messages: up, on to the cloud, and back."""
    _, _, _, up_bytes, mid_bytes, result_bytes, _ = cost(facts, plan)
    if sends_input(plan):
        up_bytes = input_bytes
        mid_bytes = input_bytes if plan.edge is None else mid_bytes
    return up_bytes, mid_bytes, result_bytes


def crossings(
    plan: Plan, site: str, messages: tuple[float, float, float]
) -> list[tuple[str, str, float, bool]]:
    """From which node to which a plan goes over wires, with how many bytes, and whether back."""
    here, found = site, []
    for there, payload in ((plan.edge, messages[0]), (plan.cloud, messages[1])):
        if there is not None:
            found.append((here, there, payload, False))
            here = there
    return [*found, (here, site, messages[2], True)]


def luck_of(fate: Sequence[float], facts: Facts) -> Luck:
    """Return the luck of a request that meets nobody."""
    free = {(wire.name, end): 0.0 for wire in facts.wires.values() for end in wire.ends}
    return Luck(fate[0], fate[1], fate[2], fate[3], fate[4], fate[5], free)


def places(part: Part) -> tuple[str, ...]:
    """Return where each leg happened: the device's group, a cell, a node, the wires.

    What the last plan does not visit, an earlier one did, or the way there: a node that passed the
    request on, or wires between cells.
    """
    row, facts, plan = part.row, part.facts, part.plan
    node, way = (EARLIER, EARLIER) if row["attempts"] > 1 else (BEFORE, HANDOVER)
    if plan is None or plan.uplinks is None:
        return (facts.group, facts.group, node, node, way, node, node)
    cell = facts.cells[plan.uplinks[0]]
    wires = [
        name
        for here, there, _, _ in crossings(plan, cell.node, (0.0, 0.0, 0.0))
        for name in facts.routes[here, there]
    ]
    wan = ", ".join(dict.fromkeys(wires)) or way
    return facts.group, facts.group, cell.name, plan.edge or node, wan, plan.cloud or node, cell.name


def ended_in(row: Row, plan: Plan | None) -> int:
    """Return the leg in which a request ended that was not answered.

    It is the last that took any time, unless a node turned it away at once.
    """
    spent = [number for number in range(len(LEGS)) if row[LEGS[number]] > 0.0]
    if plan is None or plan.uplinks is None:
        return spent[-1] if spent else DECIDE
    leg = max((each for each in spent if each != WAN), key=ORDER.index, default=UPLINK)
    if row["cause"] in (DOWN, SHED, LATE):
        arrived = row["up_bytes"] > 0.0 and row["down_bytes"] == 0.0
        if leg == UPLINK and arrived:
            return AT_EDGE if plan.edge is not None else IN_CLOUD
        if leg == AT_EDGE and row["edge_j"] > 0.0 and plan.cloud is not None:
            return IN_CLOUD
    return leg


def blame(root: Row, parts: Sequence[Part]) -> dict[Cause, float]:
    """Divide the blame for a request that missed its deadline among its legs; the shares sum to 1.

    `parts` are the requests of its critical path. With U the seconds that their plans take alone, D the
    deadline and L = latency - D:

    - the share (U - D) / L, between 0 and 1, falls to the work itself: on the legs in proportion to what
      they take alone;
    - the rest falls on the legs in proportion to their excess over what they take alone: to luck as far
      as that is known (without it, to waiting), in the air to the signal at the device's place, and to
      waiting.

    Of what was dropped because it was late, the legs that it did not go through count for nothing; what
    was late when the run ended is divided in the same way. What was not answered for another cause,
    ended in one leg, which has all of the blame. So has the first attempt of what was tried again: its
    rows do not tell where it failed, but where it went.
    """
    again = next((part.row for part in parts if part.row["attempts"] > 1), None)
    if again is not None:
        return {Cause(RETRY, ", ".join(_nodes(again["first_plan"])) or "the device", FAILED): 1.0}
    last, late_s = parts[-1], root["ended_s"] - root["born_s"] - root["deadline_s"]
    divided = root["cause"] in ("", LATE) or (root["cause"] == UNFINISHED and late_s > 0.0)
    if not divided or last.plan is None:
        leg = ended_in(last.row, last.plan)
        return {Cause(NAMES[leg], places(last)[leg], root["cause"] or LATE): 1.0}
    work, excess = defaultdict[Cause, float](float), defaultdict[Cause, float](float)
    for part in parts:
        where = places(part)
        for leg, (took_s, mean_s, own_s) in zip(ORDER, legs(part), strict=True):
            name, place = NAMES[leg], where[leg]
            work[Cause(name, place, WORK)] += mean_s
            longer = SIGNAL if leg in (UPLINK, DOWNLINK) else LUCK
            excess[Cause(name, place, longer)] += _beyond(min(own_s, took_s), mean_s)
            waited_s = _beyond(took_s, own_s)
            loaded_s = min(waited_s, part.row["load_s"]) if leg in (AT_EDGE, IN_CLOUD) else 0.0
            excess[Cause(name, place, LOADING)] += loaded_s
            excess[Cause(name, place, WAITING)] += waited_s - loaded_s
    too_much_s = sum(work.values()) - root["deadline_s"]
    share = min(1.0, max(0.0, too_much_s) / late_s) if late_s > 0.0 else float(too_much_s > 0.0)
    if not any(excess.values()):
        share = 1.0
    found = {cause: share * part for cause, part in _in_proportion(work).items()}
    found |= {cause: (1.0 - share) * part for cause, part in _in_proportion(excess).items()}
    return {cause: part for cause, part in found.items() if part > 0.0}


def legs(part: Part) -> list[tuple[float, float, float]]:
    """Return what each leg took, alone on average, and alone with this luck at this place, in ORDER."""
    row, facts, plan, luck, _ = part
    took = [row[leg] for leg in LEGS]
    if plan is None:
        return [(took[leg], 0.0, 0.0) for leg in ORDER]
    mean = alone_s(facts, plan, row["input_bytes"])
    own = list(mean if luck is None else alone_s(facts, plan, row["input_bytes"], luck))
    more = _signal_s(part, mean)
    end = ORDER.index(ended_in(row, plan)) if row["cause"] else len(ORDER)
    if row["cause"] == UNFINISHED:  # it may have been at work there, and not only waited
        end += 1
    found = []
    for place, leg in enumerate(ORDER):
        # Which legs of an unanswered request did their work; of wires, those that took time.
        done = place < end if leg != WAN else took[leg] > 0.0
        found.append((
            took[leg], mean[leg] if done else 0.0, (own[leg] if done else 0.0) + more.get(leg, 0.0)
        ))  # fmt: skip
    return found


def _signal_s(part: Part, mean: Seven) -> dict[int, float]:
    """Return the seconds that messages take longer at their device's place than at the nominal rates.

    Infinite where they never end. Of what was tried again nobody knows when its messages began.
    """
    row, facts, plan, _, place = part
    if place is None or plan is None or plan.uplinks is None or row["attempts"] > 1:
        return {}
    cell, found = facts.cells[plan.uplinks[0]], {}
    up_bytes, _, result_bytes = sizes(facts, plan, row["input_bytes"])
    back_s = row["ended_s"] - row["born_s"] - row["downlink_s"]
    ways = (
        (UPLINK, place.up, cell.up_bps, up_bytes, sum(row[LEGS[leg]] for leg in (DECIDE, ON_DEVICE))),
        (DOWNLINK, place.down, cell.down_bps, result_bytes, back_s),
    )
    for leg, reach, rate_bps, size_bytes, after_s in ways:
        if row[LEGS[leg]] > 0.0:
            usual_s = mean[leg] - cell.delay_s - cell.toll.s_per_byte * size_bytes
            begin_s, up = row["born_s"] + after_s, leg == UPLINK
            if up and row["cause"] == LATE and ended_in(row, plan) == UPLINK:
                usual_s = 1.0 / rate_bps  # it was dropped before its first bit was sent
            size_bits = usual_s * rate_bps
            rates = {c.name: c.up_bps if up else c.down_bps for c in facts.cells.values()}
            ends_s = _sent_s(reach, cell, rates, size_bits, begin_s)
            found[leg] = _beyond(ends_s - begin_s, usual_s)
    return found


def _sent_s(
    reach: Reach, cell: Cell, rates_bps: Mapping[str, float], size_bits: float, begin_s: float
) -> float:
    """Tell when a message is sent if nobody else sends: over its cell, or those that come after it."""
    if cell.interruption_s is None:
        speed = reach.speeds.get(cell.name, ALWAYS)
        return speed.ends(begin_s, size_bits / rates_bps[cell.name])
    left_bits = size_bits
    for from_s, until_s, name in reach.stretches:
        if until_s > begin_s:
            speed, since_s = reach.speeds.get(name, ALWAYS), max(from_s, begin_s)
            ends_s = speed.ends(since_s, left_bits / rates_bps[name])
            if ends_s <= until_s:
                return ends_s
            left_bits -= speed.amount(since_s, until_s) * rates_bps[name]
    return float("inf")


def _nodes(label: str | None) -> list[str]:
    """Return the nodes that a plan visits, as `rows.plan_label` writes it."""
    stops = [word.partition("[")[0] for word in (label or "").split() if word.endswith("]")]
    return [name for name in stops if name != "device"]


@lru_cache(maxsize=1024)
def quickest_alone_s(facts: Facts) -> float:
    """Return what the quickest plan of a task takes in an empty world, over whichever cell."""
    return min(
        float(prices.latency_s.min())
        for cell in (None, *facts.cells)
        if len((prices := unloaded(facts, cell)).plans)
    )


def _beyond(took_s: float, usual_s: float) -> float:
    return took_s - usual_s if took_s - usual_s > LEAST_S else 0.0


def _in_proportion(seconds: Mapping[Cause, float]) -> dict[Cause, float]:
    total = sum(seconds.values())
    return {cause: each / total for cause, each in seconds.items()} if total > 0.0 else {}
