"""Budgets that accrue in time: what a request may cost."""

from dataclasses import dataclass

SMOOTHING = 1 / 8  # how much the last gap between requests weighs


@dataclass(slots=True)
class Account:
    """What one device has spent since it first asked, and how often it asks.

    Credit accrues at a steady rate and is kept until it is spent (a token bucket without a rim);
    nothing is there at first. `gap_s` is a moving average of the time between requests: of all at first.
    """

    opened_s: float
    last_s: float
    asked: int = 0
    gap_s: float = 0.0
    joules: float = 0.0
    money: float = 0.0

    def asks(self, now: float) -> None:
        """Take note of a request."""
        gap_s = now - self.last_s
        self.asked += 1
        self.gap_s += max(SMOOTHING, 1 / self.asked) * (gap_s - self.gap_s)
        self.last_s = now

    def may_spend(self, rate: float, spent: float, horizon_s: float) -> float:
        """Return what the request at hand may take of a budget of `rate` a second.

        Its equal share of what comes in and of what is saved, if savings are to last for the horizon;
        never more than is saved, so that spending never overtakes the budget.
        """
        if not self.gap_s:
            return 0.0
        saved = rate * (self.last_s - self.opened_s) - spent
        share = self.gap_s * (rate + saved / max(horizon_s, self.gap_s))
        return max(0.0, min(saved, share))
