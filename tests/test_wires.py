"""Losses against their distribution and a sender that tries; delays of a distance."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.streams import Streams
from offload.world.wires import (
    ROUND_TRIPS,
    WAN_S_PER_M,
    Delivery,
    bytes_sent,
    deliver,
    mean_delay_s,
    of_message,
    packets_of,
    round_trip_s,
    sendings,
)

LOSSES = st.floats(0.001, 0.95)


@given(st.floats(0, 0.999999), LOSSES, st.integers(1, 300))
def test_sendings_invert_their_distribution(quantile: float, loss: float, packets: int) -> None:
    # The least k at which enough have arrived; at a step of the distribution rounding decides.
    count = sendings(quantile, loss, packets)
    assert (1 - loss**count) ** packets >= quantile - 1e-9
    if count > 1:
        assert (1 - loss ** (count - 1)) ** packets < quantile + 1e-9


@pytest.mark.parametrize(("loss", "packets"), [(0.3, 1), (0.05, 40), (0.6, 7)])
def test_sendings_are_as_many_as_a_sender_needs_who_tries(loss: float, packets: int) -> None:
    generator = Streams(1, 0).generator("wire", str(packets))
    n = 4000
    drawn = np.array([sendings(u, loss, packets) for u in generator.random(n).tolist()])
    tried = []
    for _ in range(n):
        missing, count = packets, 0
        while missing:
            missing = generator.binomial(missing, loss)
            count += 1
        tried.append(count)
    for k in range(1, 6):
        ours, theirs = (drawn <= k).mean(), (np.array(tried) <= k).mean()
        assert abs(ours - theirs) <= 3.3 * math.sqrt(0.5 / n)  # at most, for two shares of n
        exact = (1 - loss**k) ** packets
        assert abs(ours - exact) <= 3.3 * math.sqrt(exact * (1 - exact) / n) + 1e-9


def test_by_hand() -> None:
    # Half are lost: one sending up to the median, two up to 3/4, three up to 7/8.
    assert [sendings(u, 0.5) for u in (0.0, 0.49, 0.51, 0.74, 0.76, 0.87, 0.88)] == [1, 1, 2, 2, 3, 3, 4]
    assert sendings(0.999999, 0.0) == 1
    assert sendings(math.nextafter(1, 0), 0.5) == 53  # 1 - u = 2^-53
    # A frame of 40 packets at 1 % loss arrives at once in 0.99^40 = 67 of 100 cases.
    assert (sendings(0.66, 0.01, 40), sendings(0.68, 0.01, 40)) == (1, 2)
    assert sendings(1e-300, 0.5, 1000) > 1  # with 1000 packets, at once is less likely still


@given(st.floats(0, 0.999), st.floats(0, 0.999), LOSSES, st.integers(1, 50))
def test_bad_luck_never_helps(a: float, b: float, loss: float, packets: int) -> None:
    low, high = sorted((a, b))
    assert sendings(low, loss, packets) <= sendings(high, loss, packets)
    assert sendings(low, loss, packets) <= sendings(low, loss, packets + 1)
    assert sendings(low, loss * 0.9, packets) <= sendings(low, loss, packets)


def test_each_sending_after_the_first_costs_a_timeout() -> None:
    assert deliver(0.4, 0.5, 0.02) == Delivery(1, True, 0.0)
    assert deliver(0.76, 0.5, 0.02) == Delivery(3, True, 0.04)
    assert deliver(0.76, 0.5, 0.02, most=3) == Delivery(3, True, 0.04)
    # It gives up when the second, too, has timed out.
    assert deliver(0.76, 0.5, 0.02, most=2) == Delivery(2, False, 0.04)


def test_the_mean_delay_is_that_of_the_geometric_distribution() -> None:
    quantiles = (np.arange(20_000) + 0.5) / 20_000
    mean = np.mean([deliver(u, 0.2, 1.0).delay_s for u in quantiles.tolist()])
    assert mean == pytest.approx(0.2 / 0.8, rel=0.01)


def test_distance() -> None:
    assert round_trip_s(1e6, base_s=0.01) == pytest.approx(0.035)  # 1000 km add 25 ms
    assert WAN_S_PER_M.known == "assumed"
    base, slope = ROUND_TRIPS["verizon-lte"]
    assert round_trip_s(500e3, base.value, slope.value) == pytest.approx(26.9e-3 + 13.75e-3)
    for base, slope in ROUND_TRIPS.values():
        # In a straight fibre (two thirds of light's speed) a km there and back takes 0.01 ms.
        assert slope.value > 0.01e-6
        assert 0.01 < base.value < 0.05
        assert {base.known, slope.known} == {"published"}


def test_packets_and_bytes() -> None:
    assert [packets_of(size) for size in (0, 1, 1500, 1501, 60_000)] == [1, 1, 1, 2, 40]
    assert bytes_sent(60_000, 0.25) == 80_000


@pytest.mark.parametrize(("loss", "size"), [(0.3, 100.0), (0.01, 1e6), (0.5, 4000.0)])
def test_the_mean_delay_is_that_of_many_messages(loss: float, size: float) -> None:
    quantiles = np.random.default_rng(1).random(20_000)
    delays = [of_message(float(q), loss, 0.1, size)[1] for q in quantiles]
    half = 4 * np.std(delays) / np.sqrt(len(delays))
    assert abs(np.mean(delays) - mean_delay_s(loss, 0.1, size)) < half
