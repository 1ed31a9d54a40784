"""Small networks, costs and observations that tests put together by hand."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offload.dnn import answers as answer_files
from offload.energy import Radio
from offload.entities import Cell, Facts, Hardware, Node, Observation, Report, Request, Uplink, Wire
from offload.networks import Answers, Coded, Cut, Figure, Layer, Profile, Variant
from offload.scenario.setup import find_routes

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted((ROOT / "scenarios").glob("*.toml"))


def layer(name: str = "layer", kind: str = "conv", **sizes: int) -> Layer:
    """Return a layer; sizes that are not given are zero."""
    zero = dict.fromkeys(("flops", "parameters", "input_elements", "output_elements", "output_bytes"), 0)
    return Layer(name, kind, kind, **(zero | sizes))


def variant(
    payloads: Sequence[int],
    name: str = "fp32",
    accuracy: float | None = None,
    model: str = "net",
    **more: Any,
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
        **more,
    )


def answers(*exits: tuple[Iterable[int], Iterable[int]], data: str = "made up") -> Answers:
    """Return answers: for each exit who is right, and how sure it is in 255ths."""
    right, confidence = zip(*exits, strict=True)
    return Answers(data, tuple(map(bytes, right)), tuple(map(bytes, confidence)))


def coded(payload_bytes: float, encode_share: float = 0.0, decode_share: float = 0.0) -> Coded:
    """Return what a codec makes of something."""
    return Coded(payload_bytes, encode_share, decode_share, "assumed", "a test")


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
        "group": "car", "task": "look", "hardware": hardware(), "radio": Radio.constant(2.0, "a test"),
        "deadline_s": 0.1, "input_bytes": 1000.0, "result_bytes": dict.fromkeys(costs, 10.0),
        "private": False, "late": "drop", "overhead_s": 0.0,
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


def request(deadline_s: float = 0.1, input_bytes: float = 4000.0) -> Request:
    """Return a request."""
    return Request(0, "car-0", "car", "look", 0.0, deadline_s, input_bytes)


# A network in files, as a profiler and a test of its answers would leave them: three exits.

PAYLOADS = (784, 12_000, 6_000, 6_000, 3_000, 1_500, 1_500, 800, 40)
EXITS = (3, 5, 8)
IMAGES = 60


def write_pictures(folder: Path, scale: float = 1.0, **hardware: float) -> None:
    """Write profiles and answers of the made-up network "pictures".

    `hardware` tells how many times as quick each is; `scale` stretches all times.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("plain", "exits"):
        for box, speed in hardware.items():
            told = pictures_profile(name, box, scale / speed)
            (folder / f"pictures.{name}.{box}.json").write_text(json.dumps(told))
    answer_files.write(folder / "pictures.answers.parquet", pictures_records())


def pictures_profile(name: str, box: str, scale: float = 1.0) -> dict[str, Any]:
    """Return what a file holds of one form on one hardware."""
    layers_s = [scale * ms / 1e3 for ms in (0.2, 0.1, 0.1, 0.2, 0.1, 0.15, 0.1, 0.05)]
    round_ = {
        "at": "2026-01-02T03:04:05+00:00", "batch": 1, "runs": 3, "layers_s": layers_s,
        "end_to_end_s": sum(layers_s), "residual": 0.0, "busy_share": 0.0, "spin": 1.0,
        "ratios": [0.9, 0.95, 1.0, 1.3],
    }  # fmt: skip
    sizes = ("flops", "parameters", "input_elements", "output_elements", "output_bytes")
    return {
        "format": 1, "model": "pictures", "variant": name, "precision": "fp32",
        "task": "classification", "input_shape": [1, 28, 28], "weights": "trained", "accuracy": None,
        "hardware": box, "known": "measured",
        "machine": {"processor": "a processor", "threads": 1, "python": "3.11", "torch": "2.13",
                    "system": "Linux", "allocator": "glibc"},
        "layers": [{"name": f"layer{i}", "op": "conv", "kind": "conv", **dict.fromkeys(sizes, 1)}
                   for i in range(len(PAYLOADS) - 1)],
        "cuts": [{"after": after, "payload_bytes": size, "tensors": 1}
                 for after, size in enumerate(PAYLOADS)],
        "exits": list(EXITS) if name == "exits" else [],
        "rounds": [round_],
    }  # fmt: skip


def pictures_records() -> list[answer_files.Record]:
    """Return made-up answers: hard images are wrong at first, some with codecs; deeper is surer."""
    rng = np.random.default_rng(1)
    hardness = rng.random(IMAGES)

    def measured(depths: Sequence[float], loss: float) -> Answers:
        right = [(hardness < depth - loss).astype(np.uint8).tobytes() for depth in depths]
        sure = [
            np.clip(255 * (depth - loss + 0.5 - hardness), 0, 255).astype(np.uint8) for depth in depths
        ]
        return Answers("made-up pictures", tuple(right), tuple(each.tobytes() for each in sure))

    records = []
    for name, depths in (("plain", (0.92,)), ("exits", (0.6, 0.8, 0.9))):
        records.append(answer_files.Record(name, None, 0, None, measured(depths, 0.0)))
        for cut in range(len(PAYLOADS) - 1):
            for codec, times, share, loss in (("uint8", 4, 0.01, 0.02), ("uint8+zip", 6, 0.05, 0.02)):
                each = coded(PAYLOADS[cut] / times, share, share / 2)
                records.append(answer_files.Record(name, codec, cut, each, measured(depths, loss)))
    return records
