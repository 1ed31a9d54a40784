"""A network as a graph of layers and values, and what it costs to run some of it on the device."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

from offload.networks import Variant


@dataclass(frozen=True, eq=False)
class Dag:
    """Who takes whose values, and their bytes: layer k, counted from 1, makes value k; 0 is the input.

    `takes[k - 1]` are the values that layer k takes, all smaller than k. What must not be sent has
    infinite bytes.
    """

    takes: tuple[tuple[int, ...], ...]
    value_bytes: tuple[float, ...]

    @cached_property
    def takers(self) -> tuple[tuple[int, ...], ...]:
        """The layers that take each value."""
        found: list[list[int]] = [[] for _ in self.value_bytes]
        for layer, taken in enumerate(self.takes, 1):
            for value in taken:
                found[value].append(layer)
        return tuple(map(tuple, found))

    def is_down_set(self, ran: Collection[int]) -> bool:
        """Tell whether nothing of these layers takes the value of a layer that is not among them."""
        return all(value == 0 or value in ran for layer in ran for value in self.takes[layer - 1])

    def sent(self, ran: Collection[int]) -> list[int]:
        """Return the values that leave the device where it runs these layers, each once."""
        return [
            value for value in (0, *sorted(ran)) if any(taker not in ran for taker in self.takers[value])
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """Seconds of each layer on the device and at the server, and of each byte between them.

    Infinite where a layer must not run there. The input is always on the device.
    """

    device_s: Sequence[float]
    server_s: Sequence[float]
    s_per_byte: float

    def weighted(self, device: float, server: float) -> "Costs":
        """Return the same with computing weighted against sending."""
        return Costs(
            [device * each for each in self.device_s],
            [server * each for each in self.server_s],
            self.s_per_byte,
        )


def of(variant: Variant, input_bytes: float) -> Dag | None:
    """Return a network as a graph, its input encoded in so many bytes; None if its edges are unknown.

    The input counts as encoded whenever it is sent. (Behind the first layer it crosses a listed cut
    raw, where it is still needed; of the shipped networks only `bert-base` has such cuts.)
    """
    if not variant.takes:
        return None
    sizes = (float(layer.output_bytes or inf) for layer in variant.layers)
    return Dag(variant.takes, (input_bytes, *sizes))


def stages(dag: Dag, costs: Costs, ran: Collection[int]) -> tuple[float, float, float]:
    """Return seconds on the device, of sending and at the server, if the device runs these layers."""
    layers = range(1, len(dag.takes) + 1)
    return (
        sum(costs.device_s[layer - 1] for layer in layers if layer in ran),
        sum(costs.s_per_byte * dag.value_bytes[value] for value in dag.sent(ran)),
        sum(costs.server_s[layer - 1] for layer in layers if layer not in ran),
    )
