"""From what was measured of a request to its row: stops, legs, and how long one waits for an answer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple, replace

from offload.entities import Facts, Outcome, Plan
from offload.networks import Variant
from offload.testbed.message import Stop
from offload.testbed.timing import Span, Timing

if TYPE_CHECKING:
    from offload.testbed.device import Trip

Seen = tuple[str, list[float]]  # a frame's name, and its logits where somebody wants to see them
Done = tuple[Outcome, Timing, Seen]
Packed = tuple[Outcome, tuple[Any, ...], Timing, Seen]


def packed(done: Done) -> Packed:
    """Return what became of a request in a form that crosses to another process: variants by name."""
    outcome, timing, seen = done
    plans = tuple(
        None if plan is None else (plan.variant.label, *astuple(plan)[1:])
        for plan in (outcome.first_plan, outcome.plan)
    )
    return replace(outcome, first_plan=None, plan=None), plans, timing, seen


def unpacked(given: Packed, variants: Mapping[str, Variant]) -> Done:
    """Return what was packed, with this process's own variants."""
    outcome, plans, timing, seen = given
    first, plan = (each and Plan(variants[each[0]], *each[1:]) for each in plans)
    return replace(outcome, first_plan=first, plan=plan), timing, seen


def stops(plan: Plan) -> list[Stop]:
    """Return where a request is to be computed once it has left the device, in order."""
    found = []
    if plan.edge is not None and plan.edge_cut > plan.device_cut:
        found.append(Stop(plan.edge, plan.device_cut, plan.edge_cut))
    if plan.cloud is not None and plan.end > plan.edge_cut:
        found.append(Stop(plan.cloud, plan.edge_cut, plan.end))
    return found


def patience_s(facts: Facts, plan: Plan, payload_bytes: float) -> float:
    """Return for how long an answer is waited for: the cell's `give_up` and what sending takes."""
    cell = facts.cells[(plan.uplinks or ("",))[0]]
    return cell.give_up_s + 8 * payload_bytes / cell.up_bps


def outcome(trip: "Trip", cause: str, ended_s: float) -> tuple[Outcome, Timing]:
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


def _legs(trip: "Trip", ended_s: float) -> dict[str, float]:
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
    if trip.device is not None and plan.on_device:
        until(trip.device.received_s, "device_s")
        until(trip.device.done_s, "uplink_s")
    elif plan.uplinks is not None:
        until(trip.left_s, "uplink_s")
    computes = {plan.edge: "edge_s", plan.cloud: "cloud_s"}
    last = max((place for place, (_, span) in enumerate(trip.spans) if span.batch), default=-1)
    for place, (name, span) in enumerate(trip.spans):
        # A node that only passes a message on has it for no time: the wires to and from it are the WAN.
        until(span.received_s, computes.get(name, "wan_s") if span.batch else "wan_s")
        if span.batch:
            more = place < len(trip.spans) - 1
            until(span.done_s, "wan_s" if more else "downlink_s")
        elif place > last >= 0:
            leg = "downlink_s" if place == len(trip.spans) - 1 else "wan_s"
    if plan.uplinks is None:
        leg = "device_s"
    until(ended_s, leg)
    return spent


def _joules(trip: "Trip") -> float:
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
