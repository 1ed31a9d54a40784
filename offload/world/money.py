"""What a request costs in money."""

from collections.abc import Iterable


def price(
    computed: Iterable[tuple[float, float]] = (), carried: Iterable[tuple[float, float]] = ()
) -> float:
    """Return a request's price: the sum of seconds x price a second, and of bytes x price a byte.

    `computed` holds a pair for each node that served it, `carried` one for each link that it crossed,
    in one currency. Waiting is not computing: what queues costs nothing.

    >>> price(computed=[(0.02, 5e-5)], carried=[(60_000, 1e-9), (60_000, 2e-9)])
    0.000181
    """
    return sum(amount * each for legs in (computed, carried) for amount, each in legs)
