"""Ways to tell from published latencies what other networks cost, and how far off each of them is.

Whole networks are published, for hardware that is not at hand. A method is fitted to those and tells
the seconds of another network; its error is that of telling each of them from the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from offload.networks import Variant

Floats = npt.NDArray[np.float64]

# Choosing a method inside each fold fits three coefficients to two networks fewer. With fewer than six
# there is one factor, and nothing to say of its error.
FEWEST = 6
# Folded, fused or free where networks are deployed.
IGNORED = ("norm", "activation", "view", "quantize", "other")
ON_CHIP_MILLION = 8.0  # an Edge TPU keeps 8 MB of parameters on its chip, one byte each


@dataclass(frozen=True, slots=True)
class Network:
    """What a method may know of a network.

    `measured_s` are its seconds on the machine where all were measured, 0 if they were not;
    `latency_s` is what was published, 0 for one that is to be told.
    """

    graph: Variant
    measured_s: float
    latency_s: float = 0.0


# Seconds of each layer of a network, which sum to its own.
Predict = Callable[[Network], Floats]


@dataclass(frozen=True, slots=True)
class Method:
    """How to fit, the kinds of hardware that it is open to, and whether it tells layers apart."""

    fit: Callable[[Sequence[Network]], Predict]
    kinds: tuple[str, ...] = ("cpu", "gpu", "accelerator")
    tells_layers: bool = True


def measured_seconds(networks: Sequence[Network]) -> Predict:
    """One factor x the seconds measured elsewhere."""
    return _one_factor(networks, lambda network: np.array([network.measured_s]))


def macs(networks: Sequence[Network]) -> Predict:
    """One factor x multiply-accumulates."""
    return _one_factor(networks, lambda network: _work(network.graph)[:, :2].sum(axis=1))


def _one_factor(networks: Sequence[Network], count: Predict) -> Predict:
    ratios = [network.latency_s / count(network).sum() for network in networks]
    factor = float(np.exp(np.mean(np.log(ratios))))
    return lambda network: factor * count(network)


def roofline(networks: Sequence[Network]) -> Predict:
    """Sum over layers of max(k MACs, beta elements), k apart for pointwise and linear layers.

    Elements are those in, out and in weights. Least squares of log ratios; the coefficients are
    effective ones for one device and runtime, no constants of its hardware.
    """
    from scipy.optimize import least_squares

    work = [_work(network.graph) for network in networks]
    rows, begins = np.concatenate(work), np.cumsum([0, *map(len, work[:-1])])
    published = _published(networks)

    def parts(logs: Floats) -> Floats:
        return np.add.reduceat(_bound(rows, np.exp(logs)), begins)

    def misses(logs: Floats) -> Floats:
        found: Floats = np.log(parts(logs).sum(axis=1) / published)
        return found

    def slopes(logs: Floats) -> Floats:
        each = parts(logs)
        found: Floats = each / each.sum(axis=1, keepdims=True)
        return found

    rate = np.exp(np.mean(np.log([s / w[:, :2].sum() for s, w in zip(published, work, strict=True)])))
    starts = [
        np.log([rate, rate * share, rate * small]) for share in (0.3, 1.0) for small in (0.01, 0.1)
    ]
    fits = [least_squares(misses, start, jac=slopes, method="lm") for start in starts]
    best = np.exp(min(fits, key=lambda fit: float(fit.cost)).x)
    return lambda network: _bound(_work(network.graph), best).sum(axis=1)


def accelerator(networks: Sequence[Network]) -> Predict:
    """A rate for MACs, a time for each op, and one for parameters beyond those that the chip holds.

    Seconds = a GMAC + b ops + c max(0, million parameters - 8); least squares of relative errors over
    coefficients that are not negative.
    """
    from scipy.optimize import nnls

    counted = np.array([_ops(network.graph).sum(axis=0) for network in networks])
    best, _ = nnls(counted / _published(networks)[:, None], np.ones(len(networks)))
    return lambda network: _ops(network.graph) @ best


METHODS = {
    "measured seconds": Method(measured_seconds, tells_layers=False),
    "MACs": Method(macs),
    "roofline": Method(roofline, ("cpu", "gpu")),
    "MACs + ops + overflow": Method(accelerator, ("accelerator",)),
}


@dataclass(frozen=True, slots=True)
class Error:
    """How far off published networks were told from the others, as shares of what was published."""

    misses: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over networks."""
        return float(np.mean(self.misses))

    @property
    def median(self) -> float:
        """The median over networks."""
        return float(np.median(self.misses))

    @property
    def largest(self) -> float:
        """The network that was told worst."""
        return max(self.misses)


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Which method tells networks of some hardware, and how far off it is.

    `errors[method]` are those of telling each network from the others, for every method that can; the
    `chosen` one has the least mean among those `open_to` this kind of hardware. `nested` is the error
    if that choice, too, is made anew without the network. Both are unknown where there are too few.
    """

    networks: tuple[Network, ...]
    chosen: str
    open_to: tuple[str, ...]
    errors: dict[str, Error]
    nested: Error | None

    @property
    def error(self) -> str:
        """What to print beside every figure that rests on it."""
        if self.nested is None:
            return "error unknown"
        return (
            f"mean {self.nested.mean:.0%}, max {self.nested.largest:.0%}, choice of method left out too,"
            f" {len(self.networks)} networks"
        )

    @property
    def told(self) -> str:
        """How networks are told."""
        if self.chosen == "measured seconds":
            return f"one factor x measured seconds ({self.networks[0].graph.precision})"
        return "one factor x MACs" if self.chosen == "MACs" else self.chosen

    def table(self) -> list[tuple[str, Error | None, str]]:
        """Return each method, its error, and whether it is used or not open to this hardware.

        Last comes the error that is printed with figures, which leaves the choice out too.
        """
        if self.nested is None:
            return [(self.chosen, None, "used")]
        rows = [
            (name, error, "used" if name == self.chosen else "" if name in self.open_to else "not open")
            for name, error in self.errors.items()
        ]
        return [*rows, ("choice left out too", self.nested, "printed")]

    def predict(self, network: Network) -> float:
        """Return the seconds of another network."""
        return float(_fitted(self.chosen, self.networks)(network).sum())

    def layers(self, network: Network) -> Floats | None:
        """Return the seconds of its layers by the best method that tells them apart, if any does."""
        names = [name for name in self.open_to if METHODS[name].tells_layers and name in self.errors]
        if not names:
            return None
        best = min(names, key=lambda name: self.errors[name].mean)
        return _fitted(best, self.networks)(network)


@lru_cache(maxsize=64)
def judge(kind: str, networks: tuple[Network, ...]) -> Judgement | None:
    """Choose a method for hardware of this kind, on which these networks are known; None without any.

    Which methods are open to which kind was settled knowing such errors, so these are a little kind.
    """
    networks = tuple(network for network in networks if _work(network.graph)[:, :2].any())
    if not networks:
        return None
    timed = all(network.measured_s > 0 for network in networks)
    able = [name for name in METHODS if timed or name != "measured seconds"]
    open_to = tuple(name for name in able if kind in METHODS[name].kinds)
    if len(networks) < FEWEST:
        return Judgement(networks, open_to[0], open_to, {}, None)
    folds = [(each, _without(each, networks)) for each in networks]
    nested = Error(tuple(_miss(_least(open_to, rest), rest, left_out) for left_out, rest in folds))
    errors = {name: _leave_one_out(name, networks) for name in able}
    return Judgement(networks, _least(open_to, networks), open_to, errors, nested)


def _least(names: Sequence[str], networks: tuple[Network, ...]) -> str:
    return min(names, key=lambda name: _leave_one_out(name, networks).mean)


def _leave_one_out(name: str, networks: tuple[Network, ...]) -> Error:
    return Error(tuple(_miss(name, _without(each, networks), each) for each in networks))


def _miss(name: str, rest: tuple[Network, ...], left_out: Network) -> float:
    found = float(_fitted(name, rest)(left_out).sum())
    return abs(found / left_out.latency_s - 1)


def _without(one: Network, networks: tuple[Network, ...]) -> tuple[Network, ...]:
    return tuple(network for network in networks if network is not one)


@lru_cache(maxsize=4096)  # leaving two out in either order is one fit
def _fitted(name: str, networks: tuple[Network, ...]) -> Predict:
    return METHODS[name].fit(networks)


def _published(networks: Sequence[Network]) -> Floats:
    return np.array([network.latency_s for network in networks])


@lru_cache(maxsize=512)
def _work(graph: Variant) -> Floats:
    """Rows of (GMAC in convolutions, GMAC in pointwise and linear layers, million elements)."""
    rows = [
        (
            layer.flops / 2e9 if layer.kind in ("conv", "depthwise") else 0.0,
            layer.flops / 2e9 if layer.kind in ("pointwise", "linear", "attention") else 0.0,
            (layer.input_elements + layer.output_elements + layer.parameters) / 1e6,
        )
        if layer.kind not in IGNORED
        else (0.0, 0.0, 0.0)
        for layer in graph.layers
    ]
    return np.array(rows).reshape(-1, 3)


def _bound(work: Floats, coefficients: Floats) -> Floats:
    """Return each layer's seconds, in the column of the coefficient that bounds it."""
    seconds = work * coefficients
    computes = seconds[:, :2].sum(axis=1) >= seconds[:, 2]
    seconds[computes, 2] = 0.0
    seconds[~computes, :2] = 0.0
    return seconds


@lru_cache(maxsize=512)
def _ops(graph: Variant) -> Floats:
    """Rows of (GMAC, 1 for an op that counts, its share of the million parameters beyond the chip)."""
    work = _work(graph)
    parameters = np.array([layer.parameters for layer in graph.layers]) / 1e6
    beyond = max(0.0, 1 - ON_CHIP_MILLION / max(parameters.sum(), 1e-9))
    counts = work.any(axis=1)
    return np.column_stack([work[:, :2].sum(axis=1), counts, parameters * beyond])
