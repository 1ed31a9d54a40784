"""The nouns about neural networks: their layers and cuts, their forms, what these cost and answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Known = Literal["measured", "rescaled", "published", "assumed"]

TYPE_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}


def freeze(noun: Any, *fields: str) -> None:  # noqa: ANN401 - a noun of any kind
    """Make mappings of a frozen noun such that nobody who is shown it can change them."""
    for name in fields:
        held = getattr(noun, name)
        if not isinstance(held, MappingProxyType):
            object.__setattr__(noun, name, MappingProxyType(held))


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and how it is known."""

    value: float
    known: Known
    source: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator of a network, in the order in which it runs, for a batch of one.

    `kind` is its operator class: conv, pointwise, depthwise, linear, attention, pool, norm,
    activation, elementwise, concat, quantize, view or other. A multiply-accumulate counts as two
    FLOPs.

    `takes` tells whose values it takes, rising: layers by their numbers from 1, and 0 for the network's
    input; None where nobody wrote that down. A layer whose `output_bytes` are 0 makes no tensor but a
    size, say, and can be parted from nobody who takes that.
    """

    name: str
    op: str
    kind: str
    flops: int
    parameters: int
    input_elements: int
    output_elements: int
    output_bytes: int
    takes: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where a network may be divided.

    `after` layers have run; every value that is needed later, `tensors` of them, crosses:
    `payload_bytes` raw in the variant's own type. `before_bytes` and `after_bytes` are the peak memory
    of the two parts for a batch of one, weights included, computed from the graph.
    """

    after: int
    payload_bytes: int
    tensors: int
    before_bytes: int = 0
    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Coded:
    """What crosses a cut once a codec has made it smaller: mean bytes, and what coding costs.

    `encode_share` and `decode_share` are seconds over those of the whole network at batch 1 on the
    same machine, so that they can be carried over to another.
    """

    payload_bytes: float
    encode_share: float
    decode_share: float
    known: Known
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Measured answers to the same test images in their order, for each exit; the last is the end.

    `right[exit][image]` is 1 where the answer is right, `confidence[exit][image]` the largest class
    probability in 255ths, rounded down.
    """

    data: str
    right: tuple[bytes, ...]
    confidence: tuple[bytes, ...]

    @property
    def images(self) -> int:
        """How many test images there are."""
        return len(self.right[-1])


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One form of a network (fp32, int8, ...): its graph, its cuts, and how accurate it is.

    `cuts` start with the input (nothing run yet) and end with the result (all run); each holds the
    layers of the one before it and more, so any two of them nest. `exits` are the cuts at which its
    answers are known, the last of all included; none are listed where that is the only one.
    `codecs[name, cut]` tell what a codec makes of what crosses, `answers[codec, cut]` who is right then;
    (None, 0) for raw values at any cut. `stated_bytes` are those of its weights where somebody states
    them. Compared by identity.
    """

    model: str
    name: str
    precision: str
    task: str
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...] = field(repr=False)
    cuts: tuple[Cut, ...] = field(repr=False)
    accuracy: Figure | None = field(default=None, repr=False)
    runtime: str = field(default="eager", repr=False)
    exits: tuple[int, ...] = field(default=(), repr=False)
    codecs: Mapping[tuple[str, int], Coded] = field(default_factory=dict, repr=False)
    answers: Mapping[tuple[str | None, int], Answers] = field(default_factory=dict, repr=False)
    stated_bytes: float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        freeze(self, "codecs", "answers")

    @property
    def takes(self) -> tuple[tuple[int, ...], ...]:
        """Whose values each layer takes; empty where nobody wrote it down: no chain is assumed."""
        found = tuple(layer.takes for layer in self.layers if layer.takes is not None)
        return found if len(found) == len(self.layers) else ()

    @property
    def weight_bytes(self) -> float | None:
        """How much memory its weights take; None if nobody knows.

        As stated, else its parameters in the type of its precision. That leaves out the few that an
        int8 network keeps in fp32 (biases, scales), and all values that are computed.
        """
        if self.stated_bytes is not None:
            return self.stated_bytes
        parameters = sum(layer.parameters for layer in self.layers)
        known = parameters and self.precision in TYPE_BYTES
        return parameters * TYPE_BYTES[self.precision] if known else None

    @property
    def label(self) -> str:
        """The name under which tables and rows show it: `mobilenetv2:int8`."""
        return f"{self.model}:{self.name}"

    @property
    def last(self) -> int:
        """The cut after the last layer: all has run."""
        return len(self.cuts) - 1

    @property
    def leaves_early(self) -> bool:
        """Whether it has an exit before the end, and how sure it is there was measured."""
        return len(self.exits) > 1 and (None, 0) in self.answers


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What one variant costs on one kind of hardware.

    `layers_s[b]` holds the seconds of each layer in a batch of `b`; they sum to the mean end-to-end
    time. `raw_sum_s[b]` is what the layers summed to before they were scaled to that mean.
    `spread` are evenly spaced quantiles, from 0 to 1, of one run's time over its mean; `service` may
    name a distribution instead, `cv` being the coefficient of variation of a log-normal. `second_s` is
    a second opinion on how one run's time falls on the layers, where the first is not measured here.
    """

    variant: Variant
    hardware: str
    known: Known
    source: str
    layers_s: Mapping[int, tuple[float, ...]] = field(repr=False)
    spread: tuple[float, ...] = field(default=(1.0,), repr=False)
    service: Literal["quantiles", "exponential", "log-normal"] = "quantiles"
    cv: float = 0.0
    residual: float | None = None
    error: str = ""
    raw_sum_s: Mapping[int, float] = field(default_factory=dict, repr=False)
    second_s: tuple[float, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        freeze(self, "layers_s", "raw_sum_s")

    def seconds(self, first: int, last: int, batch: float = 1) -> float:
        """Return the mean seconds from cut `first` to cut `last` for a batch of `batch`.

        Between batch sizes that were measured it interpolates; beyond the largest it extends the
        last slope, and below the smallest it takes the smallest.
        """
        begin, end = self.variant.cuts[first].after, self.variant.cuts[last].after
        if batch in self.layers_s:
            return sum(self.layers_s[int(batch)][begin:end])
        sizes = sorted(self.layers_s)
        if len(sizes) == 1 or batch < sizes[0]:
            # One measured size: a batch is that many runs, the cautious reading.
            return sum(self.layers_s[sizes[0]][begin:end]) * max(1.0, batch / sizes[0])
        high = next((size for size in sizes if size >= batch), sizes[-1])
        low = sizes[max(0, sizes.index(high) - 1)]
        at_low, at_high = (sum(self.layers_s[size][begin:end]) for size in (low, high))
        return at_low + (at_high - at_low) * (batch - low) / (high - low)
