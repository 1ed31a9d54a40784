"""How much a plan rests on the shares of layers, where these are known from other hardware only."""

from offload.entities import Facts, Plan


def share_gap_s(facts: Facts, plan: Plan) -> float | None:
    """Return by how many seconds two opinions differ on a part that a plan cuts off, where most.

    They are those of `Profile.layers_s` and `Profile.second_s`, at batch 1. None if the plan runs whole
    networks only, or no part of one where there is a second opinion.
    """
    variant = plan.variant
    end = plan.end
    parts = (
        ("device", 0, min(plan.device_cut, end)),
        (plan.edge, plan.device_cut, min(plan.edge_cut, end)),
        (plan.cloud, plan.edge_cut, end),
    )
    gaps = []
    for place, first, last in parts:
        whole = first == 0 and last == variant.last
        profile = facts.profiles[place].get(variant) if place is not None and first < last else None
        if profile is not None and profile.second_s and not whole:
            begin, stop = variant.cuts[first].after, variant.cuts[last].after
            one, other = profile.layers_s[1][begin:stop], profile.second_s[begin:stop]
            gaps.append(abs(sum(one) - sum(other)))
    return max(gaps, default=None)
