"""Small networks, costs and observations that tests put together by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from offload.entities import Cell, Facts, Hardware, Node, Observation, Report, Request, Uplink, Wire
from offload.networks import Cut, Figure, Layer, Profile, Variant
from offload.scenario.setup import find_routes

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted((ROOT / "scenarios").glob("*.toml"))


def layer(name: str = "layer", kind: str = "conv", **sizes: int) -> Layer:
    """Return a layer; sizes that are not given are zero."""
    zero = dict.fromkeys(("flops", "parameters", "input_elements", "output_elements", "output_bytes"), 0)
    return Layer(name, kind, kind, **(zero | sizes))


def variant(
    payloads: Sequence[int], name: str = "fp32", accuracy: float | None = None, model: str = "net"
) -> Variant:
    """Return a chain with one layer between any two of these payloads."""
    return Variant(
        model=model,
        name=name,
        precision=name,
        task="classification",
        input_shape=(3, 8, 8),
        layers=tuple(layer(f"layer{number}") for number in range(len(payloads) - 1)),
        cuts=tuple(Cut(after, payload, 1) for after, payload in enumerate(payloads)),
        accuracy=None if accuracy is None else Figure(accuracy, "assumed", "a test"),
    )


def profile(of: Variant, seconds: Sequence[float], hardware: str = "box", **more: Any) -> Profile:
    """Return a profile with these seconds a layer at batch 1."""
    return Profile(of, hardware, "assumed", "a test", {1: tuple(seconds)}, **more)


def hardware(name: str = "box", idle_w: float = 1.0, busy_w: float = 3.0) -> Hardware:
    """Return a kind of machine."""
    powers = (Figure(idle_w, "assumed", "a test"), Figure(busy_w, "assumed", "a test"))
    return Hardware(name, "cpu", *powers, 1e9)


def node(name: str, kind: Any, **more: Any) -> Node:
    """Return an edge server or a cloud at the origin."""
    return Node(name, kind, hardware(), 1, (0.0, 0.0), 0.1, **more)


def cell(name: str = "cell", at: str = "edge", up_bps: float = 8e6, down_bps: float = 8e7) -> Cell:
    """Return a cell with a delay of 1 ms."""
    return Cell(name, at, up_bps, down_bps, 0.001, 100.0, 1.0, shared=True)


def facts(
    costs: Mapping[Variant, Mapping[str, Sequence[float]]],
    nodes: Sequence[Node] = (),
    cells: Sequence[Cell] = (),
    wires: Sequence[Wire] = (),
    **more: Any,
) -> Facts:
    """Return facts where `costs[variant][place]` are seconds a layer."""
    by_name = {each.name: each for each in nodes}
    by_wire = {each.name: each for each in wires}
    places = ("device", *by_name)
    usual = {
        "group": "car", "task": "look", "hardware": hardware(), "radio_w": 2.0, "deadline_s": 0.1,
        "input_bytes": 1000.0, "result_bytes": dict.fromkeys(costs, 10.0), "private": False,
        "late": "drop", "overhead_s": 0.0,
    }  # fmt: skip
    return Facts(
        **(usual | more),
        variants=tuple(costs),
        profiles={
            place: {v: profile(v, known[place]) for v, known in costs.items() if place in known}
            for place in places
        },
        nodes=by_name,
        cells={each.name: each for each in cells},
        wires=by_wire,
        routes=find_routes(by_name, by_wire)[0],
    )


def seen(
    known: Facts,
    serving: str | None = "cell",
    backlog_s: float = 0.0,
    reports: Mapping[str, Report | None] | None = None,
    **rates: float,
) -> Observation:
    """Return an observation of an idle world; `rates` replace the full rate of a cell by name."""
    uplinks = {
        c.name: Uplink(c.name, True, rates.get(c.name, c.up_bps), c.down_bps, 0.0)
        for c in known.cells.values()
    }
    return Observation(0.0, backlog_s, serving, uplinks, reports or {}, known)


def request(deadline_s: float = 0.1) -> Request:
    """Return a request."""
    return Request(0, "car-0", "car", "look", 0.0, deadline_s, 1000.0)
