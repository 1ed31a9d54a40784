"""Who goes where, found for all requests of a cell at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from offload.algorithms.matching import match
from offload.entities import Observation, Plan, Question, Request
from offload.planning.positions import Bid, Positions
from offload.planning.price import price
from offload.planning.slot import Slot
from offload.units import Seconds


@dataclass
class Assignment:
    """Assigns the requests of each cell and slot to devices and nodes so that most are right in time.

    What is least is the sum over requests of their costs: minus the accuracy if the answer is predicted
    to be on time, and a thousandth for each second of latency. Requests of one slot wait for each other:
    at a node in positions of its queue, as in scheduling on unrelated machines by matching (Horn 1973;
    Bruno, Coffman and Sethi 1974), and in the air, where the number that leaves decides how long each
    sends. With both fixed, what a request costs at a position does not depend on who has the others: a
    linear assignment, solved for each number that may leave (`algorithms/matching.py`, exact for the
    costs of `planning/positions.py`).

    The order within a queue is the solver's; in the world, who comes first is served first. That costs
    nothing where services are equal. Cells are matched one after the other, each after what the ones
    before were promised. Requests out of range, or that have begun, take the quickest plan. `margin` is
    kept free before the deadline. Some milliseconds for a slot of ten requests.
    """

    margin: Seconds = 0.0
    slot: Seconds = 0.005

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan of a request that comes alone."""
        return self.decide_all([Question(request.device, request, seen)])[0]

    def decide_all(self, questions: Sequence[Question]) -> Sequence[Plan]:
        """Return the plans, in the order of the questions."""
        slot, plans = Slot(), dict[int, Plan]()
        cells: dict[str, list[int]] = {}
        for number, question in enumerate(questions):
            seen, cell = question.seen, question.seen.serving
            # A message that is stuck for ever in the device's own hop lets nobody pass.
            if seen.begun is None and cell is not None and isfinite(seen.uplinks[cell].queued_bytes):
                cells.setdefault(cell, []).append(number)
            else:
                prices = price(question.request, seen)
                plans[number] = prices.least(prices.latency_s)
        for numbers in cells.values():
            bids = [Bid.of(questions[n], slot.seen(questions[n])) for n in numbers]
            positions = Positions(bids, self.margin)
            matching = match(positions.home, positions.away)
            for job, number in enumerate(numbers):
                if matching is None:  # someone can go nowhere by himself
                    prices = price(questions[number].request, questions[number].seen)
                    plans[number] = prices.least(prices.latency_s)
                    continue
                plan, latency_s = positions.chosen(job, matching.columns[job], matching.leaving)
                slot.promise(questions[number], plan, latency_s)
                plans[number] = plan
        return [plans[number] for number in range(len(questions))]
