"""From what was measured of a request to its row: stops, legs, and how long one waits for an answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from msgspec.structs import astuple, replace

from offload.entities import Facts, Outcome, Plan, Request
from offload.planning.cost import works
from offload.testbed.message import MessageError, Stamp, Stop
from offload.testbed.shots import Shot
from offload.testbed.timing import Span, Timing

Seen = tuple[str, list[float]]  # a frame's name, and its logits where somebody wants to see them
Done = tuple[Outcome, Timing, Seen]
Packed = tuple[Outcome, tuple[Any, ...], Timing, Seen]


@dataclass(slots=True, eq=False)
class Trip:
    """A request under way, and what is known of it so far.

    What is in seconds counts from the beginning of the play. Of `device` and `spans` only those of the
    present attempt are kept.
    """

    request: Request
    facts: Facts
    plan: Plan
    decided_s: float
    number: int
    play: int = 0
    attempt: int = 1
    first_plan: Plan | None = None
    shot: Shot | None = None  # None: to be taken when it is needed
    expected_s: float = 0.0  # of work on the device
    came_s: float = 0.0  # when this attempt began: with waiting for the device, or the link
    left_s: float = 0.0  # when it was given to the link
    until_s: float = 0.0  # when it is given up
    up_bytes: float = 0.0
    down_bytes: float = 0.0
    device: Span | None = None
    device_work_s: float = 0.0
    spans: list[tuple[str, Span]] = field(default_factory=list)
    logits: list[float] = field(default_factory=list)


def packed(done: Done) -> Packed:
    """Return what became of a request in a form that crosses to another process: variants by name."""
    outcome, timing, seen = done
    plans = tuple(
        None if plan is None else (plan.variant.label, *astuple(plan)[1:])
        for plan in (outcome.first_plan, outcome.plan)
    )
    return replace(outcome, first_plan=None, plan=None), plans, timing, seen


def unpacked(given: Packed, plan_of: Callable[[tuple[Any, ...]], Plan]) -> Done:
    """Return what was packed; `plan_of` makes a plan with this process's own variant."""
    outcome, plans, timing, seen = given
    first, plan = (each and plan_of(each) for each in plans)
    return replace(outcome, first_plan=first, plan=plan), timing, seen


def stops(plan: Plan) -> list[Stop]:
    """Return where a request is to be computed once it has left the device, in order."""
    found = []
    if plan.edge is not None and plan.edge_cut > plan.device_cut:
        found.append(Stop(plan.edge, plan.device_cut, plan.edge_cut))
    if plan.cloud is not None and plan.end > plan.edge_cut:
        found.append(Stop(plan.cloud, plan.edge_cut, plan.end))
    return found


def spans(stamps: Sequence[Stamp], begun_ns: int, left_s: float, now_s: float) -> list[tuple[str, Span]]:
    """Return nodes' stamps in seconds of a play that began then: on one machine all have one clock.

    Raises MessageError for times that do not rise from `left_s`, when it was sent, to now.
    """
    found, times_s = [], [left_s]
    for stamp in stamps:
        times_ns = stamp.received_ns, stamp.begun_ns, stamp.done_ns
        received_s, begun_s, done_s = ((each - begun_ns) * 1e-9 for each in times_ns)
        found.append((stamp.node, Span(received_s, begun_s, done_s, stamp.batch)))
        times_s += [received_s, begun_s, done_s]
    times_s.append(now_s)
    if times_s != sorted(times_s):
        msg = "an answer with times that cannot be"
        raise MessageError(msg)
    return found


def patience_s(facts: Facts, plan: Plan, queued_bytes: float, backlog_s: float) -> float:
    """Return for how long an answer is waited for: the cell's `give_up`, and what is to be expected.

    That is sending what is queued on the link, the request itself included, the work of nodes, and
    what these said that they had to do.
    """
    cell = facts.cells[(plan.uplinks or ("",))[0]]
    expected = 8 * queued_bytes / cell.up_bps + backlog_s + sum(expected_s(facts, plan)[1:])
    return cell.give_up_s + expected


@lru_cache(maxsize=4096)
def expected_s(facts: Facts, plan: Plan) -> tuple[float, ...]:
    """Return the seconds of work that a plan asks of device, edge and cloud, by their profiles."""
    return tuple(each.seconds if each is not None else 0.0 for each in works(facts, plan))


def outcome(trip: Trip, cause: str, ended_s: float) -> tuple[Outcome, Timing]:
    """Return a request's row, and when it was worked on where.

    The legs are those of its last attempt; what was spent on those before counts as deciding.
    """
    request, plan = trip.request, trip.plan
    at = {name: span for name, span in trip.spans if span.batch}
    edge, cloud = at.get(plan.edge or ""), at.get(plan.cloud or "")
    return (
        Outcome(
            request=request,
            first_plan=trip.first_plan or plan,
            plan=plan,
            attempts=trip.attempt,
            ended_s=ended_s,
            cause=cause,
            correct=None,
            **_legs(trip, ended_s),  # type: ignore[arg-type]  # seven of seconds
            up_bytes=trip.up_bytes,
            down_bytes=trip.down_bytes,
            energy_j=_joules(trip),
            edge_j=_work_j(trip.facts, plan.edge, edge),
            cloud_j=_work_j(trip.facts, plan.cloud, cloud),
            batch=max((span.batch for span in at.values()), default=0),
        ),
        Timing(request.id, request.born_s, trip.decided_s, trip.device, edge, cloud, ended_s),
    )


def _legs(trip: Trip, ended_s: float) -> dict[str, float]:
    """Divide the time from birth to end among the legs, by the messages' stamps on the way."""
    spent = dict.fromkeys(
        ("decide_s", "device_s", "uplink_s", "edge_s", "wan_s", "cloud_s", "downlink_s"), 0.0
    )
    mark_s, leg = trip.request.born_s, "decide_s"

    def until(at_s: float, then: str) -> None:
        nonlocal mark_s, leg
        spent[leg] += at_s - mark_s
        mark_s, leg = at_s, then

    plan = trip.plan
    if plan.on_device:
        until(trip.came_s, "device_s")
        if trip.device is not None and plan.uplinks is not None:
            until(trip.device.done_s, "uplink_s")
    elif plan.uplinks is not None:
        until(trip.left_s or trip.came_s, "uplink_s")
    # A node that only passes a message on has it for no time: the wires to and from it are the WAN.
    stays = [span.done_s > span.received_s for _, span in trip.spans]
    computes = {plan.edge: "edge_s", plan.cloud: "cloud_s"}
    last = max((place for place, stay in enumerate(stays) if stay), default=-1)
    for place, (name, span) in enumerate(trip.spans):
        until(span.received_s, computes.get(name, "wan_s") if stays[place] else "wan_s")
        if stays[place]:
            more = place < len(trip.spans) - 1
            until(span.done_s, "wan_s" if more else "downlink_s")
        elif place > last >= 0:
            leg = "downlink_s" if place == len(trip.spans) - 1 else "wan_s"
    until(ended_s, leg)
    return spent


def _joules(trip: Trip) -> float:
    facts, plan = trip.facts, trip.plan
    joules = facts.hardware.marginal_w * trip.device_work_s
    if facts.radio is not None and trip.up_bytes:
        uplinks = plan.uplinks or (trip.first_plan or plan).uplinks or ()
        cell = facts.cells[uplinks[0]]
        joules += facts.radio.up_j(trip.up_bytes, 8 * trip.up_bytes / cell.up_bps)
        joules += facts.radio.down_j(trip.down_bytes, 8 * trip.down_bytes / cell.down_bps)
    return joules


def _work_j(facts: Facts, name: str | None, span: Span | None) -> float:
    if name is None or span is None:
        return 0.0
    return facts.nodes[name].hardware.marginal_w * span.work_s / span.batch


def lost(request: Request, cause: str, now_s: float) -> Done:
    """Return the row of a request of which nothing was heard."""
    ended_s = max(now_s, request.born_s)
    nothing = dict.fromkeys(
        ("device_s", "uplink_s", "edge_s", "wan_s", "cloud_s", "downlink_s", "up_bytes", "down_bytes",
         "energy_j", "edge_j", "cloud_j"), 0.0,
    )  # fmt: skip
    row = Outcome(
        request=request, first_plan=None, plan=None, attempts=1, ended_s=ended_s, cause=cause,
        correct=None, decide_s=ended_s - request.born_s, batch=0,
        **nothing,  # type: ignore[arg-type]  # numbers
    )  # fmt: skip
    return row, Timing(request.id, request.born_s, ended_s, None, None, None, ended_s), ("", [])
