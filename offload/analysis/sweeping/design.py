"""Where a sweep looks: the points of a grid, of a list, or of a Latin hypercube."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import prod
from typing import Literal

from offload.analysis.sweeping.vary import Vary, VaryError, folder
from offload.streams import Streams

Method = Literal["grid", "list", "latin-hypercube"]

MOST_POINTS = 100_000
USUAL_POINTS = 50
LONGEST = 60  # letters of a point's name


@dataclass(frozen=True, slots=True)
class Point:
    """One value for each key that is varied, and the name of the folder that its rows go to."""

    name: str
    values: tuple[str, ...]


def points(method: Method, varied: Sequence[Vary], count: int | None, seed: int) -> list[Point]:
    """Return the points of a design, each with a name of its own.

    grid: every value with every other, the last key's values follow each other; list: the first value
    of each key, the second of each, ...; latin-hypercube: `count` points, of which each of as many
    equal parts of each key's range holds one (McKay, Beckman and Conover 1979), drawn from the seed by
    a stream for each key. Raises VaryError.
    """
    keys = [each.key for each in varied]
    if twice := [each for each in varied if keys.count(each.key) > 1]:
        msg = f"{twice[0].where} {twice[0].key}: is varied twice; give all its values at once"
        raise VaryError(msg)
    if method == "grid":
        if prod(len(each.distinct().values) for each in varied) > MOST_POINTS:
            msg = f"{varied[0].where}: a grid of more than {MOST_POINTS} points; give fewer values"
            raise VaryError(msg)
        rows: Iterable[tuple[str, ...]] = product(*(each.values for each in varied))
    elif method == "list":
        lengths = {len(each.values) for each in varied}
        if len(lengths) > 1:
            told = ", ".join(f"{len(each.values)} for {each.key}" for each in varied)
            msg = f"{varied[0].where}: a list takes the k-th value of each key; there are {told}"
            raise VaryError(msg)
        rows = zip(*(each.values for each in varied), strict=True)
    else:
        rows = _hypercube(varied, count or USUAL_POINTS, seed)
    found = dict.fromkeys(rows)  # of few whole numbers a hypercube may meet some twice
    return [Point(name, values) for name, values in zip(_names(keys, found), found, strict=True)]


def part(whole: Sequence[Point], number: int, of: int) -> list[Point]:
    """Return every `of`-th point, beginning with the `number`-th (from 1)."""
    return list(islice(whole, number - 1, None, of))


def _hypercube(varied: Sequence[Vary], count: int, seed: int) -> Iterator[tuple[str, ...]]:
    columns = []
    for each in varied:
        chance = Streams(seed, 0).generator("latin-hypercube", each.key)
        shares = (chance.permutation(count) + chance.random(count)) / count
        columns.append([each.at(float(share)) for share in shares])
    return zip(*columns, strict=True)


def _names(keys: Sequence[str], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Name each point by its values, and by a hash of them where that would be long or ambiguous."""
    short = _short(keys)
    taken = set()
    for values in rows:
        parts = [folder(value) for value in values]
        if len(keys) > 1:
            parts = [f"{key}-{value}" for key, value in zip(short, parts, strict=True)]
        name = "_".join(parts)
        if len(name) > LONGEST or name.lower() in taken:  # some file systems know no capitals
            told = hashlib.blake2b("\0".join(values).encode(), digest_size=4).hexdigest()
            name = f"{name[: LONGEST - 9]}-{told}"
        taken.add(name.lower())
        yield name


def _short(keys: Sequence[str]) -> list[str]:
    """Return as much of each key's end as tells it from the others."""
    parts = [key.replace("*", "all").replace('"', "").split(".") for key in keys]
    found = []
    for own in parts:
        length = next(
            (n for n in range(1, len(own)) if sum(other[-n:] == own[-n:] for other in parts) == 1),
            len(own),
        )
        found.append(folder(".".join(own[-length:])))
    return found
