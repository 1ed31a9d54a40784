"""The log of a testbed's process: lines, whatever peers wrote into them, and not too many."""

import logging
import math
import time

MOST_LINES, WITHIN_S = 200, 10.0
MOST_LETTERS = 500

LOG = logging.getLogger("offload.testbed")


class Lines(logging.Filter):
    """Lets so many lines through in a time, and tells how many it did not.

    What cannot be printed is shown as "?". A peer that is refused again and again so fills no disk, and
    forges no line.
    """

    def __init__(self) -> None:
        super().__init__()
        self.until_s = -math.inf
        self.count = 0  # in this time

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is written, and make it one."""
        now_s, left_out = time.monotonic(), 0
        if now_s >= self.until_s:
            left_out, self.count = max(0, self.count - MOST_LINES), 0
            self.until_s = now_s + WITHIN_S
        self.count += 1
        told = record.getMessage()[:MOST_LETTERS]
        if left_out:
            told = f"{told} (and {left_out} lines that are not shown)"
        record.msg, record.args = "".join(each if each.isprintable() else "?" for each in told), ()
        return self.count <= MOST_LINES
