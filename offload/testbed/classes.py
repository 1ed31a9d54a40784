"""What a classifier said of a frame, for people to read."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from offload.dnn import pictures, small
from offload.dnn.pictures import PictureError
from offload.entities import Plan

MAX_BYTES = 10_000_000
MOST_LETTERS = 200
COLUMNS = 100
MOST_CLASSES = 100_000  # whose logits are kept


def labels(path: Path | None, model: str, count: int) -> tuple[str, ...]:
    """Return the names of a network's classes, in the order of its outputs.

    From a text file with a class a line, of which synonyms after a comma are left out; without one those
    that are known, else numbers. Raises PictureError.
    """
    if path is not None:
        return _read(path, model, count)
    if model == small.NAME and count == len(pictures.CLASSES):
        return pictures.CLASSES
    return tuple(f"#{number}" for number in range(count))


def logits(tensors: Sequence[Tensor]) -> list[float]:
    """Return what a classifier said of a frame; empty of what is no classifier's answer."""
    if not tensors or tensors[0].dim() != 2 or not 0 < tensors[0].numel() <= MOST_CLASSES:
        return []
    return tensors[0].dequantize()[0].float().tolist()


def top(logits: Tensor, labels: Sequence[str], n: int = 5) -> list[tuple[str, float]]:
    """Return the likeliest classes and their probabilities by softmax, the likeliest first.

    `logits` has one number a class, with or without a batch of one before.
    """
    chances = torch.softmax(logits.detach().float().reshape(len(labels)), 0)
    found = chances.topk(min(n, len(labels)))
    return [(labels[each], chance) for chance, each in zip(*map(Tensor.tolist, found), strict=True)]


def line(
    number: int, name: str, plan: Plan, latency_s: float, found: Sequence[tuple[str, float]]
) -> str:
    """Return a line of at most 100 columns: a request's frame, its plan, how long, and what was seen.

    Classes of less than half a percent are left out.
    """
    before = f"{number:4} {_cut(name, 14):14} {_cut(where(plan), 28):17} {latency_s * 1e3:6.1f} ms"
    seen = [(_printable(name), chance) for name, chance in found if not chance < 0.005]
    names, chances = [name for name, _ in seen], [chance for _, chance in seen]
    shares = [f" {100 * chance:.0f}%" for chance in chances]
    widths = [len(each) for each in names]
    room = COLUMNS - len(before) - sum(map(len, shares)) - 2 * len(names)
    while sum(widths) > max(room, len(widths)):  # the likelier a class, the more of its name is shown
        weights = ((width > 3, (width - 1) * (1.01 - chances[n])) for n, width in enumerate(widths))
        widths[max(zip(weights, range(len(widths)), strict=True))[1]] -= 1
    shown = zip(names, widths, shares, strict=True)
    return before + "".join(f"  {_cut(name, width)}{share}" for name, width, share in shown)


def other_line(number: int, name: str, told: str) -> str:
    """Return a line for a request of which there are no classes to show: its frame, and what is told."""
    return f"{number:4} {_cut(name, 14):14} {_printable(told)}"


def where(plan: Plan) -> str:
    """Return a plan in short: "edge 12/66 int8" leaves the device after 12 of its 66 layers."""
    cuts, places = plan.variant.cuts, []
    if plan.device_cut < plan.edge_cut:
        places.append(f"edge {cuts[plan.device_cut].after}")
    if plan.edge_cut < plan.end:
        places.append(f"cloud {cuts[plan.edge_cut].after}")
    told = f"{' '.join(places)}/{cuts[plan.end].after}" if places else "device"
    return f"{told} {plan.variant.name}"


def _read(path: Path, model: str, count: int) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        lines = content.decode("utf-8-sig").rstrip().splitlines() if len(content) <= MAX_BYTES else []
    except (OSError, ValueError) as error:
        msg = f"{path}: no text that can be read: {error}"
        raise PictureError(msg) from error
    if len(content) > MAX_BYTES:
        msg = f"{path}: more than {MAX_BYTES:,} bytes; give a text file with a class a line"
        raise PictureError(msg)
    names = tuple(_printable(each.split(",")[0].strip())[:MOST_LETTERS] for each in lines[:count])
    numbered = enumerate(names, 1)
    faults = [f"{path}:{number}: empty; write a class" for number, name in numbered if not name]
    if len(lines) != count:
        faults.append(f"{path}: {len(lines)} lines; {model} has {count} classes, and each needs one")
    if faults:
        raise PictureError("\n".join(faults[-20:]))
    return names


def _printable(text: str) -> str:
    """Leave out what would steer a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _cut(text: str, width: int) -> str:
    text = _printable(text)
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"
