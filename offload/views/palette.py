"""Colours that colour-blind readers tell apart: one of a policy wherever it is drawn, one of a leg."""

from collections.abc import Sequence

# Okabe and Ito's palette, and two more. A policy keeps its place in it.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F", "#000000",
           "#8C6D1F", "#5E3C99")  # fmt: skip
LEG_COLOURS = ("#BBBBBB", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#CC79A7")  # of LEGS
USUAL = ("local", "edge", "cloud", "quickest", "thrifty", "on-time", "random", "clairvoyant")


def colour(label: str, labels: Sequence[str]) -> str:
    """Return a policy's colour: the same in every figure, and for usual names in every scenario.

    The others have those that are left.
    """
    if label in USUAL:
        return COLOURS[USUAL.index(label)]
    taken = [COLOURS[USUAL.index(each)] for each in labels if each in USUAL]
    free = [each for each in (*COLOURS[len(USUAL) :], *COLOURS[: len(USUAL)]) if each not in taken]
    others = [each for each in labels if each not in USUAL]
    return free[others.index(label) % len(free)]
