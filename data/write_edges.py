"""Writes into the shipped profiles who takes whose values, and nothing else.

Run `python data/write_edges.py`; it captures each network again, checks that its layers and cuts are
those of the file, and adds `takes` to each layer. Files that have it already must say the same.
"""

import json
import re
from dataclasses import asdict
from pathlib import Path

from offload.dnn import zoo
from offload.dnn.capturing import captured
from offload.dnn.graph import Graph

PROFILES = Path(__file__).resolve().parent / "profiles"
TAKES = re.compile(r',"takes":\[[0-9,]*\]')


def main() -> None:
    """Write them into every profile."""
    for path in sorted(PROFILES.glob("*.json")):
        model, form, _ = path.stem.split(".")
        network = zoo.network(model)
        graph = captured(path.stem, zoo.variant(network, form), network.example(1))
        text = path.read_text()
        aside = path.with_suffix(".partial")
        aside.write_text(with_edges(path, text, graph))
        aside.replace(path)
        print(path.name, f"{sum(len(layer.takes or ()) for layer in graph.layers)} edges")


def with_edges(path: Path, text: str, graph: Graph) -> str:
    """Return a file's text with the edges of a graph. Raises ValueError if it is of another network."""
    found = json.loads(text)
    layers, cuts = (
        json.loads(json.dumps(list(map(asdict, each)))) for each in (graph.layers, graph.cuts)
    )
    edges = [layer.pop("takes") for layer in layers]
    known = [layer.pop("takes", own) for layer, own in zip(found["layers"], edges, strict=True)]
    if (found["layers"], found["cuts"], known) != (layers, cuts, edges):
        msg = f"{path}: its layers, cuts or edges are not those of the network; measure again"
        raise ValueError(msg)
    # As the writer of profiles does, a layer has a line of its own; the rest stays to the byte.
    head, begin, rest = TAKES.sub("", text).partition('"layers":[\n')
    lines = rest.split("\n", len(layers))
    for number, takes in enumerate(edges):
        body, brace, comma = lines[number].partition("}")
        told = json.dumps(takes, separators=(",", ":"))
        lines[number] = f'{body},"takes":{told}{brace}{comma}'
    written = head + begin + "\n".join(lines)
    if TAKES.sub("", written) != TAKES.sub("", text) or takes_of(written) != edges:
        msg = f"{path}: a layer does not stand on a line of its own"
        raise ValueError(msg)
    return written


def takes_of(text: str) -> list[list[int]]:
    """Return the edges in a file's text."""
    return [layer["takes"] for layer in json.loads(text)["layers"]]


if __name__ == "__main__":
    main()
