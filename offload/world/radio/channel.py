"""What chance adds to the mean path loss on a device's way: line of sight, shadowing, fading.

Correlation is over the way travelled, not over the place: a device that comes back to a place does not
meet its old shadow there, and two devices share none.
"""

from dataclasses import dataclass

import numpy as np

from offload.world.radio.models import PathLoss
from offload.world.radio.pathloss import Floats
from offload.world.radio.way import Way

KNOTS = 4  # of a field in the distance over which its correlation falls to 1/e
TERMS = 64  # of the autoregression's sum that count; the first one left out weighs e**-16


@dataclass(frozen=True, slots=True)
class Fading:
    """Fading in blocks: one power for a coherence time, independent of the next.

    `rician_k` is the power of the direct path over that of all others; 0 is Rayleigh fading.
    """

    coherence_s: float
    rician_k: float = 0.0

    def __post_init__(self) -> None:
        if not self.coherence_s > 0 or not self.rician_k >= 0:
            msg = "a coherence time must be positive and a Rician factor not negative"
            raise ValueError(msg)


def field(way: Way, correlation_m: float, generator: np.random.Generator) -> Floats:
    """Return a Gaussian field of unit variance along a way, correlated as exp(-d / correlation_m).

    The first-order autoregression of Gudmundson (1991) at knots a quarter of `correlation_m` apart,
    written as the sum that it is; straight lines between them, scaled so that the variance stays one.
    How finely the way is sampled changes no value: the generator is asked for one block, whose size
    the length of the way decides.
    """
    place = way.travelled_m * (KNOTS / correlation_m)
    knot = place.astype(np.intp)
    last = int(way.length_m * (KNOTS / correlation_m)) + 2  # one to spare, for rounding
    kept = np.exp(-1 / KNOTS)
    weights = np.sqrt(1 - kept**2) * kept ** np.arange(TERMS)
    knots = np.convolve(generator.standard_normal(last + TERMS), weights, "valid")
    share = place - knot
    scale = np.sqrt(1 - 2 * share * (1 - share) * (1 - kept))
    values: Floats = ((1 - share) * knots[knot] + share * knots[knot + 1]) / scale
    return values


def losses_db(
    model: PathLoss,
    way: Way,
    d2d_m: Floats,
    site_m: float,
    device_m: float,
    frequency_hz: float,
    generator: np.random.Generator,
) -> Floats:
    """Return the path loss at every sample of a way, shadowing included, in dB.

    There is a line of sight where a uniform number is below its probability. That number is the normal
    distribution function of a field with `state_correlation_m`: the share of places with a line of
    sight is the model's, and neighbouring places mostly agree. The shadows with and without are two
    further fields, independent, each with its deviation and its correlation distance.
    """
    from scipy.special import ndtr

    uniform = ndtr(field(way, model.state_correlation_m, generator))
    clear = field(way, model.los_correlation_m, generator)
    hidden = field(way, model.obstructed_correlation_m, generator)
    sight = uniform < model.los_probability(d2d_m, device_m)
    geometry = (d2d_m, site_m, device_m, frequency_hz)
    los_db = model.los(*geometry) + _los_sigma(model, *geometry) * clear
    obstructed_db = model.obstructed(*geometry) + model.obstructed_sigma_db * hidden
    if model.blockage is not None:
        mean_db, sigma_db = model.blockage(d2d_m, site_m, device_m)
        vehicle = field(way, model.obstructed_correlation_m, generator)
        obstructed_db += np.maximum(0.0, mean_db + sigma_db * vehicle)
    return np.where(sight, los_db, obstructed_db)


def _los_sigma(
    model: PathLoss, d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float
) -> Floats | float:
    if model.far_m is None or model.far_sigma_db is None:
        return model.los_sigma_db
    far = d2d_m > model.far_m(site_m, device_m, frequency_hz)
    return np.where(far, model.far_sigma_db, model.los_sigma_db)


def fading_gains(blocks: int, rician_k: float, generator: np.random.Generator) -> Floats:
    """Return the power gains of coherence blocks: mean 1, exponential where `rician_k` is 0."""
    parts = generator.standard_normal((2, blocks)) * np.sqrt(0.5 / (rician_k + 1))
    parts[0] += np.sqrt(rician_k / (rician_k + 1))
    gains: Floats = (parts**2).sum(axis=0)
    return gains
