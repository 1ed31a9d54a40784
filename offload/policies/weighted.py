"""The least weighted sum of latency, energy, money and wrong answers."""

from dataclasses import dataclass
from functools import lru_cache

from offload.entities import Facts, Observation, Plan, Request
from offload.planning.price import cell_in_use, price, unloaded
from offload.planning.whole import places_at
from offload.units import Weight


@dataclass
class Weighted:
    """Least weighted sum of latency, energy, money and inaccuracy, each over what it is measured by.

    latency * T / deadline + energy * E / E_local + money * M / M_dearest + inaccuracy * (1 - accuracy):
    T is the predicted latency, the deadline the task's; E the device's joules, E_local those of the form
    that `local` would run (where the device has none, of the plan that takes most); M_dearest the
    price of the dearest plan of mean input. Where accuracy is unknown it counts as 0. Chen, Jiao, Li and
    Fu (IEEE/ACM ToN, 2016) weigh time and energy so; money and inaccuracy are our addition. Lateness
    costs no more than its share: a weight may buy a late answer.
    """

    latency: Weight = 1.0
    energy: Weight = 1.0
    money: Weight = 1.0
    inaccuracy: Weight = 1.0

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan with the least sum; the first of equals."""
        prices = price(request, seen)
        most_j, most_money = _measures(seen.facts, cell_in_use(seen))
        total = prices.latency_s * (self.latency / seen.facts.deadline_s)
        total += prices.energy_j * (self.energy / most_j)
        if prices.money is not None:
            total += prices.money * (self.money / most_money)
        total -= prices.sure_accuracy * self.inaccuracy
        return prices.least(total)


@lru_cache(maxsize=1024)
def _measures(facts: Facts, cell: str | None) -> tuple[float, float]:
    """What energy and money are divided by; 1 where all plans cost nothing."""
    prices, local = unloaded(facts, cell), places_at(facts, None).get("device")
    most_j = local.energy_j if local is not None else prices.energy_j.max()
    most_money = 0.0 if prices.money is None else prices.money.max()
    return float(most_j) or 1.0, float(most_money) or 1.0
