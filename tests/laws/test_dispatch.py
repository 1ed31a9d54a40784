"""The least loaded of d servers drawn by chance, against the mean field of many servers."""

import math
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
import pytest
from scipy.special import stdtrit

from offload.policies.power_of_d import PowerOfD
from offload.policies.table import choose
from offload.simulation.run import run

SERVICE_S = 0.010
SERVERS = 50
REPLICATIONS = 12
WARM_UP_S, END_S = 0.4, 0.9  # 40 services; 1100 to 2000 requests are kept

TABLES = """
[models.work.variants.only]
layers = [{{ name = "all", output = "0 B" }}]
costs.core = {{ known = "assumed", source = "a law", seconds = ["10 ms"], service = "exponential" }}
[devices.source]
hardware = "core"
[devices.source.tasks.work]
models = ["work"]
arrivals = "poisson"
every = "{every} s"
deadline = "1 s"
late = "finish"
input = "0 B"
result = "0 B"
[nodes.hub]
kind = "edge"
hardware = "core"
[links.hop]
from = "*"
to = "hub"
up = "1 Gbit/s"
down = "1 Gbit/s"
shared = false
"""
SERVER = """
[nodes.server-{number}]
kind = "edge"
hardware = "core"
[links.wire-{number}]
from = "hub"
to = "server-{number}"
rate = "1000 Gbit/s"
"""


@dataclass
class FewestJobs(PowerOfD):
    """Compares jobs, not seconds: it counts its own, and hears at once when one is done."""

    jobs: dict[str, int] = field(default_factory=dict, init=False)

    def load(self, seen, place):
        return self.jobs.get(place, 0)

    def decide(self, request, seen):
        plan = super().decide(request, seen)
        self.jobs[plan.edge] = self.jobs.get(plan.edge, 0) + 1
        return plan

    def learn(self, outcome):
        self.jobs[outcome.plan.edge] -= 1


def fewest_jobs(d, load):
    """Mean sojourn in services where the fewest jobs of d queues win: Mitzenmacher."""
    return sum(
        load ** ((d**i - d) // (d - 1) if d > 1 else i - 1) for i in range(1, 400 if d == 1 else 12)
    )


def least_work(d, load):
    """The same where the least work wins: 1 / load times the integral of P(work > w), in services.

    P' = -P + load P^d with P(0) = load, as level crossings tell (Hellemans and Van Houdt, 2018).
    """
    if d == 1:
        return 1 / (1 - load)
    w = np.linspace(0, 200, 2_000_001)
    with np.errstate(over="ignore"):
        tail = (load + (load ** (1 - d) - load) * np.exp((d - 1) * w)) ** (1 / (1 - d))
    return float(np.trapezoid(tail, w)) / load


def test_theory_itself():
    # Tabulated values, and the closed form for two.
    for load, two, five in ((0.5, 1.26569, 1.03125), (0.7, 1.61445, 1.16809), (0.9, 2.61406, 1.63288)):
        assert fewest_jobs(1, load) == pytest.approx(1 / (1 - load))
        assert fewest_jobs(2, load) == pytest.approx(two, abs=1e-5)
        assert fewest_jobs(5, load) == pytest.approx(five, abs=1e-5)
        assert least_work(2, load) == pytest.approx(-math.log(1 - load**2) / load**2, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "d", "load", "theory"),
    [
        ("power-of-d", 1, 0.5, least_work),
        ("power-of-d", 2, 0.5, least_work),
        ("power-of-d", 2, 0.7, least_work),
        ("power-of-d", 2, 0.9, least_work),
        (f"{__name__}:FewestJobs", 2, 0.5, fewest_jobs),
        (f"{__name__}:FewestJobs", 2, 0.7, fewest_jobs),
        (f"{__name__}:FewestJobs", 2, 0.9, fewest_jobs),
    ],
)
def test_power_of_d(load_text, name, d, load, theory):
    text = TABLES.format(every=f"{SERVICE_S / load / SERVERS:.12f}")
    text += "".join(SERVER.format(number=number) for number in range(1, SERVERS))
    scenario = load_text(text, END_S)
    choice = choose({"name": name, "d": d, "device": False, "knowledge": "fresh"})
    means = []
    for replication in range(REPLICATIONS):
        outcomes = run(scenario, choice, 1, replication).outcomes
        assert not any(outcome.cause for outcome in outcomes)
        stays_s = [o.ended_s - o.request.born_s for o in outcomes if o.request.born_s > WARM_UP_S]
        means.append(fmean(stays_s) / SERVICE_S)
    half = stdtrit(REPLICATIONS - 1, 0.9995) * np.std(means, ddof=1) / math.sqrt(REPLICATIONS)
    # So few servers take longer than infinitely many. With ten, at loads of 0.5, 0.7 and 0.9, runs of
    # this test took 0.00, 0.04 and 0.3 services longer; what lacks falls as 1 / n.
    more = 0.04 / (1 - load) ** 2 / SERVERS if d > 1 else 0.0
    expected = theory(d, load)
    assert half < 0.15 * expected
    assert expected - half <= np.mean(means) <= expected + more + half
