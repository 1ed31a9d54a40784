"""The most accurate form that budgets of energy, money and memory allow."""

from dataclasses import dataclass, field
from functools import lru_cache
from math import inf

import numpy as np

from offload.entities import Observation, Plan, Request
from offload.planning.budget import Account
from offload.planning.columns import Columns, Flags
from offload.planning.price import Prices, open_to, price
from offload.units import Bytes, Seconds, Watts, Weight

HOUR_S = 3600.0


@dataclass
class Mcdnn:
    """Most accurate plan that is on time and within budget; heavy use lowers accuracy.

    MCDNN (Han, Shen, Philipose, Agarwal, Wolman, Krishnamurthy, MobiSys 2016) packs requests into
    budgets approximately: each may cost its share of what is left. Each device may spend `power`
    (marginal joules a second) and `money` an hour. Both accrue from its first request on. A request may
    take

        min(saved, gap * (rate + saved / horizon))

    of each: what comes in between two requests, and of what was saved as much as lasts for `horizon`.
    So what one form leaves over buys a better one now and then. Until `lifetime` into the run, a
    device's battery, less what idling will draw, is divided evenly over the time that is left. A form
    whose weights exceed `memory` does not run on the device; weights of unknown size count as fitting.

    Where nothing within budget is on time: the quickest within it; where nothing is within it: the least
    energy within the money, else the least money. That alone can overdraw, and is paid back first.
    Accounts are kept by predicted prices: hearing of outcomes would cost an event a request, come late,
    and differ by the spread of run times only, and by requests that failed half way and so cost less.
    Adapted: accounts accrue instead of lasting for a day, forms need not be paged in on a device
    (`memory` limits each by itself), and plans may split a network. Of equals, the least energy.
    """

    power: Watts | None = None
    money: Weight | None = None
    lifetime: Seconds | None = None
    memory: Bytes | None = None
    horizon: Seconds = 10.0
    margin: Seconds = 0.0
    accounts: dict[str, Account] = field(default_factory=dict, init=False, repr=False)

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan, and charge the device's account with it."""
        prices = price(request, seen)
        account = self.accounts.get(request.device)
        if account is None:
            account = self.accounts[request.device] = Account(seen.now_s, seen.now_s)
        else:
            account.asks(seen.now_s)
        row = self._row(request, seen, prices, account)
        account.joules += float(prices.energy_j[row])
        if prices.money is not None:
            account.money += float(prices.money[row])
        return prices.plans[row]

    def _row(self, request: Request, seen: Observation, prices: Prices, account: Account) -> int:
        paid = np.ones(len(prices.plans), dtype=bool)
        if self.memory is not None:
            paid = _fits(open_to(seen), self.memory)
        if self.money is not None and prices.money is not None:
            most = account.may_spend(self.money / HOUR_S, account.money, self.horizon)
            if not (paid & (prices.money <= most)).any():
                return int(np.where(paid, prices.money, inf).argmin())
            paid = paid & (prices.money <= most)
        within = paid & (prices.energy_j <= self.may_take_j(seen, account))
        if not within.any():
            return int(np.where(paid, prices.energy_j, inf).argmin())
        open_ = within & (prices.latency_s <= request.deadline_s - self.margin)
        if not open_.any():
            return int(np.where(within, prices.latency_s, inf).argmin())
        return int(np.where(prices.most_accurate(open_), prices.energy_j, inf).argmin())

    def may_take_j(self, seen: Observation, account: Account) -> float:
        """Return how many joules the request at hand may take."""
        most_j = inf
        if self.power is not None:
            most_j = account.may_spend(self.power, account.joules, self.horizon)
        if self.lifetime is not None and seen.battery_j is not None and self.lifetime > seen.now_s:
            free_w = seen.battery_j / (self.lifetime - seen.now_s) - seen.facts.hardware.idle_w.value
            most_j = min(most_j, account.gap_s * max(0.0, free_w))
        return most_j


@lru_cache(maxsize=4096)
def _fits(table: Columns, memory_bytes: float) -> Flags:
    """Which plans run no form on the device whose weights are known to be larger; all if none."""
    small = [(plan.variant.weight_bytes or 0.0) <= memory_bytes for plan in table.plans]
    fits: Flags = ~table.uses["device"] | np.array(small, dtype=bool)
    return fits if fits.any() else ~fits
