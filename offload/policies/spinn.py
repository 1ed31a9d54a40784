"""Cut, codec and how sure to be before leaving early, chosen together."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from offload.entities import Facts, Observation, Plan, Request
from offload.planning.columns import Columns, Floats, columns, tabulate
from offload.planning.exits import shortened
from offload.planning.price import cell_in_use, open_to, price_at
from offload.units import Seconds, Share, Weight


@dataclass
class Spinn:
    """Least latency, and time of servers, among plans on time that are nearly as accurate as can be.

    After SPINN (Laskaridis et al., MobiCom 2020), which searches over the cut and the confidence at
    which a request leaves, with what crosses quantised and compressed. In turn, over every plan p:

        on time   latency(p) <= deadline - margin; if no plan is, the quickest of all is taken
        accurate  accuracy(p) >= best accuracy among those - loss; if unknown, 0
        cheap     argmin  latency(p) + server * (seconds that p computes at edge and cloud)

    Latency, accuracy and server seconds of a plan that may leave early are means over the test images.
    The paper lets its user order or weigh such goals; this order is ours. Out of range, only exits on
    the device are left: every one of them may then also be the last, where what is not sure by then
    ends. The plans are all that a task offers: its networks, `codecs` and `confidences`, on device, edge
    and cloud (the paper has one network and one server). Cuts that send no less than an earlier one are
    not among them, though they would spare a server some work.
    """

    loss: Share = 0.01
    server: Weight = 0.0
    margin: Seconds = 0.0

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan that is cheapest among the accurate among those on time."""
        cell = cell_in_use(seen)
        table = _alone(seen.facts) if cell is None else open_to(seen)
        prices = price_at(seen, table, request.input_bytes)
        on_time = prices.latency_s <= request.deadline_s - self.margin
        if not on_time.any():
            return prices.least(prices.latency_s)
        known = np.where(on_time, prices.sure_accuracy, -np.inf)
        # A share of images: what differs by less than the rounding of floats is equal.
        accurate = known >= known.max() - self.loss - 1e-9
        score = prices.latency_s + self.server * _server_s(table) if self.server else prices.latency_s
        return prices.least(score, among=accurate)


@lru_cache(maxsize=1024)
def _alone(facts: Facts) -> Columns:
    """List what a device may do alone, where any exit may be the last."""
    return tabulate(facts, shortened(columns(facts, None).plans))


@lru_cache(maxsize=1024)
def _server_s(table: Columns) -> Floats:
    """The mean seconds that each plan computes elsewhere."""
    seconds = table.edge_s + table.cloud_s
    if table.mixture is None:
        return seconds
    return np.bincount(table.mixture.plan_of, table.mixture.weights * seconds).astype(np.float64)
