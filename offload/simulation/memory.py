"""What a node holds: the weights of a few variants, the least recently used of which make way."""

from collections import Counter
from collections.abc import Mapping, Sequence


class Memory:
    """The weights in a node's memory, by the labels of variants.

    What is taken up and is not there is loaded, one after the other, at `load_bps`; what has not been
    used for longest makes way, but nothing that is in use. `resident` are there from the start. Counted
    are weights only, and those of whole networks, whichever layers run here.
    """

    def __init__(
        self,
        size_bytes: float,
        load_bps: float,
        weight_bytes: Mapping[str, float],
        resident: Sequence[str] = (),
    ) -> None:
        self.load_bps = load_bps
        self.weight_bytes = weight_bytes
        self.there_s = dict.fromkeys(resident, 0.0)  # when it is there; the least recently used first
        self.users = Counter[str]()
        self.free_bytes = size_bytes - sum(weight_bytes[label] for label in self.there_s)
        self.loading_until_s = 0.0

    def seconds(self, label: str) -> float:
        """Tell how long loading takes by itself; no time if it is there, or on its way."""
        return 0.0 if label in self.there_s else 8 * self.weight_bytes[label] / self.load_bps

    def take(self, label: str, now: float) -> float | None:
        """Use weights; tell when they are there, or None while those in use leave no room."""
        there_s = self.there_s.get(label)
        if there_s is None:
            if not self._make_room(self.weight_bytes[label]):
                return None
            there_s = max(now, self.loading_until_s) + self.seconds(label)
            self.free_bytes -= self.weight_bytes[label]
            self.loading_until_s = there_s
        else:
            del self.there_s[label]
        self.there_s[label] = there_s  # now the most recently used
        self.users[label] += 1
        return max(now, there_s)

    def release(self, label: str) -> None:
        """Use it no longer."""
        self.users[label] -= 1

    def clear(self) -> None:
        """Lose everything."""
        self.free_bytes += sum(self.weight_bytes[label] for label in self.there_s)
        self.there_s.clear()
        self.users.clear()
        self.loading_until_s = 0.0

    def _make_room(self, wanted_bytes: float) -> bool:
        """Forget what has not been used for longest, if that gives enough room."""
        unused = [label for label in self.there_s if not self.users[label]]
        if self.free_bytes + sum(self.weight_bytes[label] for label in unused) < wanted_bytes:
            return False
        for label in unused:
            if self.free_bytes >= wanted_bytes:
                break
            del self.there_s[label]
            self.free_bytes += self.weight_bytes[label]
        return True
