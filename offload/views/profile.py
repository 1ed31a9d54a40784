"""Two profiles side by side on a terminal."""

from collections.abc import Iterator

from rich.table import Table

from offload.networks import Profile
from offload.units import show_seconds
from offload.views.table import plain

MOST_ROWS = 60


def side_by_side(one: Profile, other: Profile) -> Iterator[Table | str]:
    """Yield tables: whole networks by batch size, then layers if these are the same, else kinds."""
    for label, each in (("A", one), ("B", other)):
        residual = "" if each.residual is None else f", residual {each.residual:+.1%}"
        yield f"{label}: {each.variant.label} on {each.hardware}{residual} ({each.known}: {each.source})"
    batches = sorted(set(one.layers_s) & set(other.layers_s))
    rows = [
        _row({"batch": batch}, sum(one.layers_s[batch]), sum(other.layers_s[batch])) for batch in batches
    ]
    yield plain(["batch", "A", "B", "B / A"], rows)
    names = [[layer.name for layer in each.variant.layers] for each in (one, other)]
    if names[0] == names[1]:
        pairs = list(zip(one.layers_s[1], other.layers_s[1], strict=True))
        shortest_s = sorted(map(max, pairs))[-MOST_ROWS:][0]
        rows = [
            _row({"layer": layer.name, "kind": layer.kind}, *pair)
            for layer, pair in zip(one.variant.layers, pairs, strict=True)
            if max(pair) >= shortest_s
        ]
        yield plain(["layer", "kind", "A", "B", "B / A"], rows)
        if len(rows) < len(pairs):
            yield f"The {len(rows)} longest of {len(pairs)} layers, batch 1."
        return
    kinds = list(dict.fromkeys(layer.kind for each in (one, other) for layer in each.variant.layers))
    yield plain(
        ["kind", "A", "B", "B / A"],
        [_row({"kind": kind}, _seconds(one, kind), _seconds(other, kind)) for kind in kinds],
    )


def _seconds(profile: Profile, kind: str) -> float:
    pairs = zip(profile.variant.layers, profile.layers_s[1], strict=True)
    return sum(seconds for layer, seconds in pairs if layer.kind == kind)


def _row(told: dict[str, object], one_s: float, other_s: float) -> dict[str, object]:
    ratio = f"{other_s / one_s:.2f}" if one_s > 0 else "-"
    return told | {"A": show_seconds(one_s), "B": show_seconds(other_s), "B / A": ratio}
