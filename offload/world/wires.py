"""What a wire adds to a message: the delay of its length, and what losses cost."""

import math
from typing import NamedTuple

from offload.networks import Figure

PACKET_BYTES = 1500.0

_SPEEDTEST = (
    "our fit of latency over distance to the Speedtest runs in the artifact of SIGCOMM 2021's 5G study "
    "(Minneapolis; standing still, one or two near servers: on the optimistic side)"
)
# Round trips of mobile networks: what they take to a server next door, and what each metre adds.
ROUND_TRIPS: dict[str, tuple[Figure, Figure]] = {
    name: (Figure(base_ms / 1e3, "published", _SPEEDTEST), Figure(km_ms / 1e6, "published", _SPEEDTEST))
    for name, base_ms, km_ms in (
        ("t-mobile-nsa-low", 18.0, 0.0222),
        ("t-mobile-sa-low", 30.8, 0.0194),
        ("verizon-lte", 26.9, 0.0275),
        ("verizon-nsa-low", 23.2, 0.0264),
        ("verizon-nsa-mmwave", 23.2, 0.0216),
    )
}
# Twice the 0.01 ms a km of a straight fibre: cables make detours, and every router takes its time.
WAN_S_PER_M = Figure(0.025e-6, "assumed", "the middle of these fits, 0.02 to 0.03 ms of round trip a km")


def round_trip_s(distance_m: float, base_s: float = 0.0, s_per_m: float = WAN_S_PER_M.value) -> float:
    """Return the seconds to a server and back, at a distance in metres: base + distance x slope."""
    return base_s + distance_m * s_per_m


class Delivery(NamedTuple):
    """What became of a message: sendings until all had arrived, or as many as allowed; delay added."""

    sendings: int
    arrived: bool
    delay_s: float


def sendings(quantile: float, loss: float, packets: int = 1) -> int:
    """Return how often must be sent until every one of `packets` has arrived.

    Each time what is missing is sent again, and each packet is lost with probability `loss` (in [0, 1)),
    independently: P(at most k sendings) = (1 - loss^k)^packets, geometric for one packet. The answer is
    its inverse at `quantile` (in [0, 1), uniform), so one number of a request's Fate decides.
    """
    if loss <= 0.0 or quantile <= 0.0:
        return 1
    # The least k with loss^k <= 1 - quantile^(1 / packets).
    missing = -math.expm1(math.log(quantile) / packets)
    return max(1, math.ceil(math.log(missing) / math.log(loss)))


def deliver(
    quantile: float, loss: float, timeout_s: float, packets: int = 1, most: int | None = None
) -> Delivery:
    """Return what losses do to a message, by `sendings`; each after the first comes `timeout_s` later.

    That is the sender's timeout, or a round trip where the receiver asks for what is missing. With
    `most` sendings allowed, a message that would need more fails when the last has timed out.
    """
    needed = sendings(quantile, loss, packets)
    if most is not None and needed > most:
        return Delivery(most, arrived=False, delay_s=most * timeout_s)
    return Delivery(needed, arrived=True, delay_s=(needed - 1) * timeout_s)


def of_message(quantile: float, loss: float, timeout_s: float, size_bytes: float) -> tuple[float, float]:
    """Return the bytes sent, on average, and the delay added, at a quantile of a uniform number.

    The digits after the sixth decide, since the first decide how much a wire jitters.
    """
    again = deliver(quantile * 1e6 % 1.0, loss, timeout_s, packets_of(size_bytes))
    return bytes_sent(size_bytes, loss), again.delay_s


def mean_delay_s(loss: float, timeout_s: float, size_bytes: float) -> float:
    """Return the mean delay that losses add to a message: timeout x sum over k of P(more than k)."""
    packets, total, more = packets_of(size_bytes), 0.0, loss
    while more > 1e-12:
        total += -math.expm1(packets * math.log1p(-more))
        more *= loss
    return timeout_s * total


def packets_of(size_bytes: float) -> int:
    """Return how many packets of 1500 bytes a message takes; one at least."""
    return max(1, math.ceil(size_bytes / PACKET_BYTES))


def bytes_sent(size_bytes: float, loss: float) -> float:
    """Return the bytes sent, on average, until all packets have arrived: size / (1 - loss)."""
    return size_bytes / (1.0 - loss)
