"""MCDNN: budgets kept, against enumeration, a linear program and a small world."""

from dataclasses import replace
from math import fsum, inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as with_changes
from scipy.optimize import linprog

from offload.entities import Facts, Observation, Plan
from offload.planning.price import price
from offload.policies.table import choose
from offload.scenario.load import Scenario, load
from offload.simulation.run import run
from tests import hand_made
from tests.test_policies import BIG, SMALL, make, observations

PRICED = {"price_per_s": 1.0}


def replay(
    asked: list[tuple[Observation, float]],
    plans: list[Plan],
    w: float,
    per_hour: float,
    horizon_s: float,
) -> list[Plan]:
    """Decide all over again in plain Python; what was spent before is that of these plans."""
    opened_s, gap_s, last_s, joules, money, answers = asked[0][0].now_s, 0.0, None, 0.0, 0.0, []
    for number, (seen, deadline_s) in enumerate(asked):
        prices = price(hand_made.request(), seen)
        rows = range(len(prices.plans))
        costs = prices.money if prices.money is not None else [0.0 for _ in rows]
        if last_s is not None:
            gap_s += max(1 / 8, 1 / number) * (seen.now_s - last_s - gap_s)
        last_s = seen.now_s

        def share(rate: float, spent: float, seen: Observation = seen, gap_s: float = gap_s) -> float:
            saved = rate * (seen.now_s - opened_s) - spent
            if not gap_s:
                return 0.0
            return max(0.0, min(saved, gap_s * (rate + saved / max(horizon_s, gap_s))))

        may_money = share(per_hour / 3600, money) if prices.money is not None else inf
        may_j = share(w, joules)
        cheap = [row for row in rows if costs[row] <= may_money]
        within = [row for row in cheap if prices.energy_j[row] <= may_j]
        open_ = [row for row in within if prices.latency_s[row] <= deadline_s]
        if open_:
            row = min(open_, key=lambda r, p=prices: (-p.accuracy[r], p.energy_j[r], r))
        elif within:
            row = min(within, key=lambda r, p=prices: (p.latency_s[r], r))
        elif cheap:
            row = min(cheap, key=lambda r, p=prices: (p.energy_j[r], r))
        else:
            row = min(rows, key=lambda r, c=costs: (c[r], r))
        answers.append(prices.plans[row])
        taken = prices.plans.index(plans[number])
        joules += prices.energy_j[taken]
        money += costs[taken]
    return answers


def with_prices(seen: Observation) -> Observation:
    """Return the same where edge and cloud want money."""
    nodes = {name: replace(node, **PRICED) for name, node in seen.facts.nodes.items()}
    return with_changes(seen, facts=replace(seen.facts, nodes=nodes))


@given(
    asked=st.lists(st.tuples(observations(), st.floats(0.001, 1)), min_size=1, max_size=8),
    gaps=st.lists(st.sampled_from([0.0, 0.1, 1.0, 7.0]), min_size=8, max_size=8),
    w=st.sampled_from([0.0, 0.01, 0.1, 1.0, 100.0]),
    per_hour=st.sampled_from([0.0, 10.0, 100.0, 1e5]),
    horizon_s=st.sampled_from([0.0, 1.0, 10.0]),
    costly=st.booleans(),
)
def test_each_choice_is_the_best_that_the_accounts_allow(
    asked: list[tuple[Observation, float]], gaps: list[float], w: float, per_hour: float,
    horizon_s: float, costly: bool,
) -> None:  # fmt: skip
    times = np.cumsum(gaps)
    asked = [
        (with_changes(with_prices(seen) if costly else seen, now_s=float(now)), deadline_s)
        for now, (seen, deadline_s) in zip(times, asked, strict=False)
    ]
    policy = make("mcdnn", power=f"{w!r} W", money=per_hour, horizon=f"{horizon_s!r} s")
    plans = [policy.decide(hand_made.request(deadline_s), seen) for seen, deadline_s in asked]
    assert plans == replay(asked, plans, w, per_hour, horizon_s)


def shop(costs_j: list[float], accuracies: list[float]) -> Facts:
    """Return a device alone with forms of these energies: 2 W above idling."""
    forms = [
        hand_made.variant([9, 9], name=f"form{n}", accuracy=each) for n, each in enumerate(accuracies)
    ]
    costs = {form: {"device": [j / 2.0]} for form, j in zip(forms, costs_j, strict=True)}
    return hand_made.facts(costs, deadline_s=1e9)


def long_run(facts: Facts, every_s: float, requests: int, **options: Any) -> tuple[float, float]:
    """Ask again and again; return mean joules and accuracy of a request."""
    policy, spent, right = make("mcdnn", **options), [], []
    for number in range(requests):
        seen = with_changes(hand_made.seen(facts, None), now_s=number * every_s)
        plan = policy.decide(hand_made.request(1e9), seen)
        prices = price(hand_made.request(), seen)
        spent.append(float(prices.energy_j[prices.plans.index(plan)]))
        right.append(plan.variant.accuracy.value)
        assert (
            fsum(spent) <= max(BUDGET_W * number * every_s, (number + 1) * min(prices.energy_j)) + 1e-9
        )
    return fsum(spent) / requests, fsum(right) / requests


BUDGET_W = 1.0


@pytest.mark.parametrize("every_s", [0.3, 0.5, 0.9, 1.5, 2.5, 5.0])
@pytest.mark.parametrize(
    ("costs_j", "accuracies"),
    [
        ([0.2, 0.6, 2.0], [0.5, 0.7, 0.9]),
        ([0.2, 2.0], [0.5, 0.9]),
        ([0.1, 0.4, 1.0, 2.2, 4.0], [0.3, 0.6, 0.75, 0.85, 0.9]),
    ],
)
def test_in_the_long_run_it_packs_as_well_as_a_linear_program(
    costs_j: list[float], accuracies: list[float], every_s: float
) -> None:
    # The most mean accuracy that any shares of the forms reach within the budget. These forms lie on
    # their concave envelope; where one lies below it the program skips it, and this policy does not.
    budget_j = BUDGET_W * every_s
    best = linprog(
        [-each for each in accuracies],
        A_ub=[costs_j],
        b_ub=[budget_j],
        A_eq=[[1] * len(costs_j)],
        b_eq=[1],
    )
    joules, accuracy = long_run(shop(costs_j, accuracies), every_s, 1500, power=f"{BUDGET_W} W")
    assert joules <= budget_j
    assert accuracy <= -best.fun + 1e-9
    assert accuracy >= -best.fun - 0.012  # at first there is nothing saved


def test_heavy_use_lowers_accuracy() -> None:
    facts = shop([0.2, 0.6, 2.0], [0.5, 0.7, 0.9])
    means = [long_run(facts, every_s, 400, power="1 W")[1] for every_s in (3.0, 1.0, 0.5, 0.2)]
    assert means == sorted(means, reverse=True)
    assert means[0] - means[-1] > 0.35


def test_accounts_are_kept_by_device() -> None:
    facts = shop([0.2, 2.0], [0.5, 0.9])
    policy, chosen = make("mcdnn", power="1 W", horizon="1 s"), {"busy": [], "calm": []}
    for number in range(400):
        seen = with_changes(hand_made.seen(facts, None), now_s=number * 0.5)
        for device in ("busy", "calm") if number % 8 == 0 else ("busy",):
            plan = policy.decide(with_changes(hand_made.request(1e9), device=device), seen)
            chosen[device].append(plan.variant.accuracy.value)
    # Every 4 s there are 4 J, every 0.5 s only 0.5: 0.3 / 1.8 of those requests get the better form.
    assert chosen["calm"][1:] == [0.9] * 49
    assert chosen["busy"].count(0.9) == pytest.approx(400 * 0.3 / 1.8, abs=4)


def test_a_battery_lasts_its_life() -> None:
    # 100 s with 1 W of idling leave 50 J of 150 for 100 requests; hearing of it every second.
    facts, left_j, chosen = shop([0.2, 2.0], [0.5, 0.9]), 150.0, []
    policy = make("mcdnn", lifetime="100 s")
    for number in range(100):
        seen = with_changes(hand_made.seen(facts, None), now_s=float(number), battery_j=left_j)
        plan = policy.decide(hand_made.request(1e9), seen)
        chosen.append(plan.variant.accuracy.value)
        left_j -= 1.0 + (2.0 if chosen[-1] == 0.9 else 0.2)
    assert 0.0 <= left_j < 2.0
    assert chosen.count(0.9) > 10


def test_memory_limits_what_runs_on_the_device() -> None:
    large, small = (replace(form, stated_bytes=size) for form, size in ((BIG, 2e6), (SMALL, 1e6)))
    facts = hand_made.facts(
        {form: {"device": [0.001] * 3, "edge": [0.001] * 3} for form in (small, large)},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell(up_bps=8e5)],
        deadline_s=1.0,
    )
    for memory, serving, form, away in (
        ("2 MB", "cell", large, False),
        ("1.9 MB", "cell", large, True),
        ("1.9 MB", None, small, False),
        ("0.9 MB", None, large, False),  # nothing fits: as if there were no limit
    ):
        plan = make("mcdnn", memory=memory).decide(
            hand_made.request(1.0), hand_made.seen(facts, serving)
        )
        assert (plan.variant, plan.device_cut == 0) == (form, away)


def test_weights_of_unknown_size_count_as_fitting() -> None:
    large = replace(BIG, stated_bytes=2e6)
    for other, form in ((SMALL, SMALL), (replace(SMALL, stated_bytes=3e6), large)):
        facts = hand_made.facts({each: {"device": [0.001] * 3} for each in (large, other)})
        seen = hand_made.seen(facts, None)
        # Known to be too large, the other one does not fit either: as if there were no limit.
        assert make("mcdnn", memory="1 MB").decide(hand_made.request(), seen).variant is form
    assert SMALL.weight_bytes is None


def test_without_budgets_it_is_on_time_at_least_energy() -> None:
    cheap = replace(SMALL, name="cheap", accuracy=BIG.accuracy)
    facts = hand_made.facts({BIG: {"device": [0.01] * 3}, cheap: {"device": [0.005] * 3}})
    plan = make("mcdnn").decide(hand_made.request(), hand_made.seen(facts, None))
    assert plan.variant is cheap


SMALLER = """
[models.net.variants.int8]
layers = [{ name = "a", output = "10 kB" }, { name = "b", output = "1 kB" }]
accuracy = { value = 0.5, known = "assumed", source = "a test" }

[models.net.variants.int8.costs.x86-core]
known = "assumed"
source = "a test"
seconds = ["2 ms", "3 ms"]

[models.net.variants.int8.costs.t4]
known = "assumed"
source = "a test"
seconds = ["1 ms", "1 ms"]

[devices.car]
"""


@pytest.fixture
def street(tmp_path: Path) -> Scenario:
    """Return tests/small.toml with a smaller form, steady run times, and prices for servers.

    Sending takes 96 mJ, computing 300 or, of the smaller form, 30.
    """
    text = (Path(__file__).parents[1] / "small.toml").read_text()
    text = text.replace("[devices.car]\n", SMALLER).replace('service = "exponential"\n', "")
    text = text.replace('radio_power = "1 W"', 'radio_power = "4 W"')
    text = text.replace('hardware = "t4"\n', 'hardware = "t4"\nprice_per_hour = 3.6\n')
    (tmp_path / "street.toml").write_text(text)
    return load(tmp_path / "street.toml", ['duration="60 s"', "devices.car.count=3"])


@pytest.mark.parametrize(
    ("options", "measure", "rate"),
    [
        ({"power": "0.2 W"}, "energy_j", 0.2),
        ({"power": "0.4 W", "horizon": "1 s"}, "energy_j", 0.4),
        ({"power": "1 W", "money": 0.05}, "money", 0.05 / 3600),
    ],
)
def test_a_device_of_the_world_never_spends_more(
    street: Scenario, options: dict[str, Any], measure: str, rate: float
) -> None:
    spent = {}
    free = run(street, choose({"name": "mcdnn"}), 1, 0).outcomes
    kept = run(street, choose({"name": "mcdnn", **options}), 1, 0).outcomes
    for name, outcomes in (("free", free), ("kept", kept)):
        for device in {o.request.device for o in outcomes}:
            mine = sorted(
                (o for o in outcomes if o.request.device == device), key=lambda o: o.request.born_s
            )
            sums = np.cumsum([getattr(o, measure) for o in mine])
            spent[name, device] = sums[-1]
            if name == "kept":
                least = min(o.energy_j for o in mine) if measure == "energy_j" else 0.0
                since_s = np.array([o.request.born_s - mine[0].request.born_s for o in mine])
                # The first finds nothing there, and takes the least; that is paid back.
                assert (sums <= rate * since_s + least + 1e-9).all()
                assert (sums <= rate * since_s + 1e-9)[since_s > 1.0].all()
                assert sums[-1] > 0.75 * rate * since_s[-1]  # and most is made use of
    assert sum(j for (name, _), j in spent.items() if name == "free") > 1.1 * sum(
        j for (name, _), j in spent.items() if name == "kept"
    )
    accuracy = [np.mean([o.plan.variant.accuracy.value for o in each]) for each in (free, kept)]
    assert accuracy[0] > accuracy[1]
