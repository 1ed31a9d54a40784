"""A picture of the report, with the same in words and as a table for those who do not see it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chart:
    """An inline SVG with its name (an anchor in the page), title, and one sentence on what it shows.

    `columns` and `rows` hold the figures behind it, as they are to be read. The markup is safe: whatever
    came from a file has been escaped. Text is drawn in `currentColor`, so that it suits both themes.
    """

    name: str
    title: str
    says: str
    svg: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
