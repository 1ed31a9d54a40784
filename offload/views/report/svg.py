"""Pictures as SVG, put together mark by mark: whatever text they hold is escaped."""

import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape

INK = "currentColor"
SIZE = 12.0  # of text, in the units in which a picture is drawn
SMALL = 10.5
WIDTH = 720.0

Point = tuple[float, float]

# Shapes that tell lines and points apart without their colours: corners, how far in the points between
# them lie (1 is a polygon), and how far it is turned. The first is a circle.
SHAPES = ((0, 1.0, 0.0), (4, 1.0, 45.0), (3, 1.0, -90.0), (4, 1.0, 0.0), (3, 1.0, 90.0), (4, 0.35, 0.0),
          (4, 0.35, 45.0), (5, 0.45, -90.0), (6, 1.0, 0.0), (3, 1.0, 0.0))  # fmt: skip


def ink(colour: str) -> str:
    """Return a colour that is seen on light and dark: black is what the text is written in."""
    return INK if colour == "#000000" else colour


def number(value: float) -> str:
    """Write a coordinate to a tenth. Raises ValueError for what is none."""
    if not math.isfinite(value):
        msg = f"{value} is no coordinate"
        raise ValueError(msg)
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def safe(text: str) -> str:
    """Escape text for markup; what cannot be printed is replaced."""
    return escape("".join(char if char.isprintable() else "\ufffd" for char in text))


def text_width(text: str, size: float = SIZE) -> float:
    """Estimate how wide text is, rather too wide than too narrow: fonts differ."""
    return size * sum(map(_ems, text))


def _ems(char: str) -> float:
    if char in "fijlrtI.,:;!|'()[]/- ":
        return 0.4
    if char in "mwMW@%\u2026" or unicodedata.east_asian_width(char) in "WF":
        return 1.0
    return 0.72 if char.isupper() else 0.63


def shortened(text: str, room: float, size: float = SIZE) -> str:
    """Cut text such that it fits."""
    if text_width(text, size) <= room:
        return text
    while text and text_width(text + "\u2026", size) > room:
        text = text[:-1]
    return text + "\u2026"


def lines(points: Iterable[Point]) -> str:
    """Return the path of a polyline.

    >>> lines([(0, 0), (1.25, 3)])
    'M0 0L1.2 3'
    """
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def stairs(points: Sequence[Point]) -> str:
    """Return the path of a step curve: level up to each point's place, then to its height.

    >>> stairs([(0, 9), (5, 9), (10, 4), (20, 4)])
    'M0 9h10v-5h10'
    """
    (x, y), *others = [(round(10 * x), round(10 * y)) for x, y in points]
    parts = [f"M{number(x / 10)} {number(y / 10)}"]
    right = 0
    for next_x, next_y in others:
        right, x = right + next_x - x, next_x
        if next_y != y:
            parts += [f"h{number(right / 10)}" if right else "", f"v{number((next_y - y) / 10)}"]
            y, right = next_y, 0
    return "".join([*parts, f"h{number(right / 10)}" if right else ""])


def shape(kind: int, x: float, y: float, radius: float) -> str:
    """Return the path of one of SHAPES, which begin again after the last, around a point."""
    corners, inner, turn = SHAPES[kind % len(SHAPES)]
    if not corners:
        arc = f"a{number(radius)} {number(radius)} 0 1 0 "
        return (
            f"M{number(x - radius)} {number(y)}{arc}{number(2 * radius)} 0{arc}{number(-2 * radius)} 0Z"
        )
    count = corners if inner == 1.0 else 2 * corners
    points = []
    for index in range(count):
        angle = math.radians(turn + 360 * index / count)
        far = 1.25 * radius * (inner if index % 2 else 1.0)  # seems as large as the circle
        points.append((x + far * math.cos(angle), y + far * math.sin(angle)))
    return lines(points) + "Z"


class Picture:
    """An SVG that grows mark by mark; what is put first lies below. Its `name` is the only one such."""

    def __init__(self, name: str, width: float = WIDTH, height: float = 0.0) -> None:
        self.name, self.width, self.height = name, width, height
        self.marks: list[str] = []
        self.patterns: dict[tuple[str, ...], str] = {}

    def put(self, tag: str, says: str = "", text: str = "", **attributes: float | str | None) -> None:
        """Put a mark, which may say something to whoever points at it; without what is None."""
        inside = (f"<title>{safe(says)}</title>" if says else "") + safe(text)
        told = _told(attributes)
        self.marks.append(f"<{tag}{told}>{inside}</{tag}>" if inside else f"<{tag}{told}/>")

    @contextmanager
    def group(self, **attributes: float | str | None) -> Iterator[None]:
        """Say of all that is put meanwhile what is the same."""
        self.marks.append(f"<g{_told(attributes)}>")
        yield
        self.marks.append("</g>")

    def path(self, d: str, stroke: str, says: str = "", **attributes: float | str | None) -> None:
        """Put a line."""
        self.put("path", says, "", **{"d": d, "fill": "none", "stroke": stroke, **attributes})

    def rule(self, begin: Point, end: Point, **attributes: float | str | None) -> None:
        """Put a straight line in the colour of text."""
        self.path(lines((begin, end)), INK, "", **attributes)

    def box(
        self, corner: Point, wide: float, high: float, fill: str, says: str = "",
        **attributes: float | str | None,
    ) -> None:  # fmt: skip
        """Put a filled rectangle."""
        x, y = corner
        told = {"x": x, "y": y, "width": wide, "height": high, "fill": fill, **attributes}
        self.put("rect", says, "", **told)

    def text(
        self, x: float, y: float, text: str, room: float = math.inf, size: float = SIZE,
        **attributes: float | str | None,
    ) -> None:  # fmt: skip
        """Put text on a line; what is cut off for want of room is seen by pointing at it."""
        shown = shortened(text, room, size)
        font = None if size == SIZE else size
        self.put("text", text if shown != text else "", shown, x=x, y=y, font_size=font, **attributes)

    def stripes(self, *colours: str) -> str:
        """Return a paint: one colour, or stripes of several."""
        if len(colours) == 1:
            return colours[0]
        return f"url(#{self.patterns.setdefault(colours, f'{self.name}-{len(self.patterns)}')})"

    def svg(self, title: str, says: str) -> str:
        """Return the picture, with what it is called and what it shows for those who do not see it."""
        size = f"0 0 {number(self.width)} {number(self.height)}"
        patterns = "".join(_pattern(name, colours) for colours, name in self.patterns.items())
        return "".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img"',
            f' aria-labelledby="{self.name}-title {self.name}-says"',
            f' font-family="system-ui,sans-serif" font-size="{number(SIZE)}" fill="{INK}">',
            f'<title id="{self.name}-title">{safe(title)}</title>',
            f'<desc id="{self.name}-says">{safe(says)}</desc>',
            f"<defs>{patterns}</defs>" if patterns else "",
            *self.marks,
            "</svg>",
        ])  # fmt: skip


def _told(attributes: Mapping[str, float | str | None]) -> str:
    return "".join(
        f' {key.replace("_", "-")}="{safe(value) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
        if value is not None
    )


def _pattern(name: str, colours: Sequence[str]) -> str:
    """Return stripes of equal width, 45 degrees from upright."""
    wide = 4
    size = wide * len(colours)
    bands = "".join(
        f'<rect x="{wide * index}" width="{wide}" height="{size}" fill="{safe(colour)}"/>'
        for index, colour in enumerate(colours)
    )
    return (
        f'<pattern id="{name}" width="{size}" height="{size}" patternUnits="userSpaceOnUse"'
        f' patternTransform="rotate(45)">{bands}</pattern>'
    )
