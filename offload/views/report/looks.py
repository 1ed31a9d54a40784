"""How each policy looks in every chart, and how charts write numbers."""

import math
from dataclasses import dataclass

from offload.analysis.compare import Comparison
from offload.analysis.statistics import Interval
from offload.views.palette import colour
from offload.views.report.svg import SMALL, Picture, ink, shape

MOST_ROWS = 60  # of a chart's table
DASHES = "5 3"
WORDS = {"useful": "useful: correct before the deadline", "on_time": "answered on time"}
WHAT = {"useful": "useful", "on_time": "on time"}


@dataclass(frozen=True, slots=True)
class Look:
    """A policy's colour and shape; a reference, which knows more than devices can, is drawn dashed."""

    label: str
    colour: str
    kind: int
    reference: bool

    @property
    def dashes(self) -> str | None:
        """The dashes of its lines, if they have any."""
        return DASHES if self.reference else None

    def mark(self, picture: Picture, x: float, y: float, says: str = "", radius: float = 4.0) -> None:
        """Put its shape: hollow for a reference."""
        fill = "none" if self.reference else self.colour
        picture.path(shape(self.kind, x, y, radius), self.colour, says, fill=fill)

    def swatch(self, picture: Picture, x: float, y: float) -> None:
        """Put its shape on a piece of its line."""
        picture.path(f"M{x - 9:.0f} {y:.0f}h18", self.colour, stroke_dasharray=self.dashes)
        self.mark(picture, x, y)


def looks(found: Comparison) -> list[Look]:
    """Return how each policy looks, in their order."""
    labels = [policy.label for policy in found.policies]
    return [
        Look(policy.label, ink(colour(policy.label, labels)), kind, policy.knowledge != "reported")
        for kind, policy in enumerate(found.policies)
    ]


def share(value: float) -> str:
    """Write a share of one as a percentage."""
    return f"{100 * value:.1f}%"


def percent(value: float) -> str:
    """Write a share of one as whole percents."""
    return f"{100 * value:.0f}%"


def amount(value: float) -> str:
    """Write a number with three significant digits, without an exponent where that is readable.

    >>> amount(1234.5), amount(0.01234), amount(0.0)
    ('1230', '0.0123', '0')
    """
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text and 1e3 <= abs(value) < 1e7 else text


def bounds(found: Interval, times: float) -> str:
    """Write a mean and its interval, if it has one."""
    if math.isnan(found.low):
        return amount(found.mean * times)
    low, high = amount(found.low * times), amount(found.high * times)
    return f"{amount(found.mean * times)} [{low}, {high}]"


def key(picture: Picture, each: Look, x: float, y: float, room: float) -> None:
    """Put a policy's shape and, beside it, its label."""
    each.swatch(picture, x + 9, y)
    picture.text(x + 24, y + 4, each.label, room=room - 24, size=SMALL)
