"""Prices of requests."""

import pytest

from offload.world.money import price


def test_a_price_sums_nodes_and_links() -> None:
    assert price() == 0
    assert price(computed=[(2.0, 0.5)]) == 1.0
    assert price([(2.0, 0.5), (1.0, 3.0)], [(1000.0, 0.001), (0.0, 9.0)]) == pytest.approx(5.0)
