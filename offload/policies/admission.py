"""Who may leave the device: requests are admitted one by one, the most urgent first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from offload.entities import Observation, Plan, Question, Request
from offload.planning.columns import Flags
from offload.planning.price import Prices, price
from offload.planning.slot import Slot
from offload.units import Seconds


@dataclass
class _Admission:
    """Requests of a slot are taken one by one, and each may leave if it makes nobody late.

    To each is shown what those before it have been promised: their work counts to the servers' backlogs,
    their transfers share the cell. Of the plans off the device that are on time and make nobody late who
    was admitted before, it takes the most accurate, the quickest of equals. If there is none it stays
    with the most accurate that is on time there, or the quickest on the device if none is. A device that
    can do nothing alone, and a request that has begun, take the quickest plan. `margin` is kept free
    before the deadline. A single question is admitted if some plan off the device is predicted to be on
    time.

    It decides for all devices, as a coordinator that hears of everything at once: signalling takes no
    time but the slot.
    """

    order: ClassVar[Literal["deadline", "slack"]]
    margin: Seconds = 0.0
    slot: Seconds = 0.005

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan of a request that comes alone."""
        return self.decide_all([Question(request.device, request, seen)])[0]

    def decide_all(self, questions: Sequence[Question]) -> Sequence[Plan]:
        """Return the plans, in the order of the questions."""
        slot, plans = Slot(), {}
        urgency = [self._left_s(question) for question in questions]
        for number in sorted(range(len(questions)), key=urgency.__getitem__):
            plans[number] = self._admit(questions[number], slot)
        return [plans[number] for number in range(len(questions))]

    def _left_s(self, question: Question) -> float:
        left_s = question.request.deadline_s
        if self.order == "deadline":
            return left_s
        return left_s - float(price(question.request, question.seen).latency_s.min())

    def _admit(self, question: Question, slot: Slot) -> Plan:
        request = question.request
        prices = price(request, slot.seen(question))
        if question.seen.begun is not None:
            return prices.least(prices.latency_s)
        home = prices.at["device"]
        on_time = prices.latency_s <= request.deadline_s - self.margin
        # All that leave share one cell: who sends no less than one that makes others late does so too.
        table, leaving = prices.table, on_time & ~home
        sent_bytes = table.by_plan(np.where(table.raw, request.input_bytes, table.up_bytes))
        while (row := _best(prices, leaving)) is not None and slot.spoils(question, prices.plans[row]):
            leaving = leaving & (sent_bytes < sent_bytes[row])
        if row is None:
            row = _best(prices, on_time & home)
        if row is None:
            among = home if home.any() else ~home
            row = int(np.where(among, prices.latency_s, np.inf).argmin())
        slot.promise(question, prices.plans[row], float(prices.latency_s[row]))
        return prices.plans[row]


@dataclass
class EarliestDeadline(_Admission):
    """Leave the device if that is on time, and makes nobody late who was admitted before; else stay.

    Who is due first is asked first (earliest deadline first: Jackson 1955, Liu and Layland 1973). On one
    machine that order gets all done in time if any order does; here there are several, and who leaves is
    decided once: nobody is put off.
    """

    order = "deadline"


@dataclass
class LeastSlack(_Admission):
    """Leave the device as with `edf`, but who has the least time to spare is asked first.

    Time to spare is the deadline less the predicted latency of the quickest plan, as if nobody else in
    the slot had asked.
    """

    order = "slack"


def _best(prices: Prices, among: Flags) -> int | None:
    """The row of the most accurate of these plans, the quickest of equals; None if there is none."""
    if not among.any():
        return None
    return int(np.where(prices.most_accurate(among), prices.latency_s, np.inf).argmin())
