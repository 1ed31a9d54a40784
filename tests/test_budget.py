"""Accounts that accrue: never overdrawn, and spent evenly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.planning.budget import SMOOTHING, Account

GAPS = st.lists(st.floats(0, 10), min_size=1, max_size=60)


@given(gaps=GAPS, rate=st.floats(0, 100), horizon_s=st.floats(0, 1e3), data=st.data())
def test_who_spends_no_more_than_he_may_never_overtakes_the_budget(
    gaps: list[float], rate: float, horizon_s: float, data: st.DataObject
) -> None:
    account, now, spent = Account(5.0, 5.0), Fraction(5), Fraction(0)
    for gap_s in gaps:
        now += Fraction(gap_s)
        account.asks(float(now))
        may = account.may_spend(rate, account.joules, horizon_s)
        assert may >= 0.0
        paid = data.draw(st.floats(0, 1)) * may
        account.joules += paid
        spent += Fraction(paid)
        assert float(spent) <= rate * float(now - 5) * (1 + 1e-9) + 1e-9


def test_what_may_be_spent_by_hand() -> None:
    account = Account(0.0, 0.0)
    account.asks(2.0)
    # 6 J have come in; in two seconds 6 more and a fifth of the savings: bounded by what is there.
    assert account.may_spend(3.0, 0.0, 10.0) == pytest.approx(6.0)
    assert account.may_spend(3.0, 5.0, 10.0) == pytest.approx(1.0)
    assert account.may_spend(3.0, 7.0, 10.0) == 0.0
    for now in range(4, 102, 2):
        account.asks(float(now))
    # 300 J have come in, 200 are left: 6 in a gap, and a fifth of 200.
    assert account.may_spend(3.0, 100.0, 10.0) == pytest.approx(46.0)
    assert account.may_spend(3.0, 100.0, 1000.0) == pytest.approx(6.4)
    assert account.may_spend(0.0, 0.0, 10.0) == 0.0


def test_who_asks_more_often_may_spend_less() -> None:
    seldom, often = Account(0.0, 0.0), Account(0.0, 0.0)
    for tick in range(1, 101):
        often.asks(tick / 10)
        if tick % 10 == 0:
            seldom.asks(tick / 10)
    shares = [each.may_spend(1.0, 10.0 - 0.5, 1e6) for each in (seldom, often)]
    assert shares == pytest.approx([0.5, 0.1], rel=1e-4)


def test_the_gap_is_a_mean_at_first_and_then_forgets() -> None:
    account = Account(0.0, 0.0)
    for now in (1.0, 4.0):
        account.asks(now)
    assert account.gap_s == pytest.approx(2.0)
    for now in range(104, 10_104, 100):
        account.asks(float(now))
    assert account.gap_s == pytest.approx(100.0, rel=(1 - SMOOTHING) ** 90)
