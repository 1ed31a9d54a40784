"""What stands around the marks of a picture: axes with their ticks, and legends."""

from collections.abc import Callable, Sequence

from offload.views.report.scales import Scale, written
from offload.views.report.svg import SMALL, Picture, text_width

GRID = 0.15  # opacity of lines that only help to read
LINE = 17.0  # of a legend
WIDEST = 180.0  # name in a legend

Swatch = Callable[[float, float], None]  # draws a mark around a point


def x_axis(picture: Picture, scale: Scale, bottom: float, top: float, label: str = "") -> None:
    """Draw an axis below a plot, with lines up through it; as many ticks as have room."""
    ticks, texts = [], []
    for most in range(8, 1, -1):
        ticks = scale.ticks(most)
        texts = written(ticks)
        if sum(text_width(text, SMALL) + 10 for text in texts) <= abs(scale.end - scale.begin):
            break
    for value, text in zip(ticks, texts, strict=True):
        x = scale(value)
        picture.rule((x, bottom), (x, top), opacity=str(GRID))
        picture.text(x, bottom + 14, text, size=SMALL, text_anchor="middle")
    picture.rule((scale.begin, bottom), (scale.end, bottom))
    if label:
        middle = (scale.begin + scale.end) / 2
        picture.text(middle, bottom + 30, label, size=SMALL, text_anchor="middle")


def y_axis(
    picture: Picture, scale: Scale, left: float, right: float, label: str = "", most: int = 6
) -> None:
    """Draw an axis left of a plot, with lines through it; its label stands above it."""
    ticks = scale.ticks(most)
    for value, text in zip(ticks, written(ticks), strict=True):
        y = scale(value)
        picture.rule((left, y), (right, y), opacity=str(GRID))
        picture.text(left - 5, y + 4, text, size=SMALL, text_anchor="end")
    if label:
        picture.text(left - 38, min(scale.begin, scale.end) - 9, label, size=SMALL)


def legend(
    picture: Picture, left: float, top: float, room: float, entries: Sequence[tuple[Swatch, str]],
    widest: float = WIDEST,
) -> float:  # fmt: skip
    """Draw swatches with their names in as many lines as they need; return where these end."""
    x, y = left, top + 10
    for draw, name in entries:
        wide = min(text_width(name, SMALL), widest) + 34
        if x > left and x + wide > left + room:
            x, y = left, y + LINE
        draw(x + 7, y - 4)
        picture.text(x + 18, y, name, room=widest + 1, size=SMALL)
        x += wide
    return y + 8 if entries else top
