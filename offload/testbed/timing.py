"""When a request was worked on where, as it was measured."""

from msgspec import Struct


class Span(Struct, frozen=True, gc=False):
    """Seconds after the start of a run: a message was there whole, work on it began and was done.

    Work includes decoding what came and encoding what leaves. `batch` is with how many it ran.
    """

    received_s: float
    begun_s: float
    done_s: float
    batch: int = 1

    @property
    def work_s(self) -> float:
        """The seconds of work."""
        return self.done_s - self.begun_s


class Timing(Struct, frozen=True, gc=False):
    """Where a request was worked on; None where it was not. `decided_s` is when its plan was known."""

    id: int
    born_s: float
    decided_s: float
    device: Span | None
    edge: Span | None
    cloud: Span | None
    ended_s: float
