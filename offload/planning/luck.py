"""What a request's luck makes of its plans: one run's time, drawn by a quantile."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from offload.entities import Facts, Luck
from offload.networks import Profile
from offload.planning.columns import Columns, Floats


def lucky_device(table: Columns, facts: Facts, luck: Luck) -> tuple[Floats, Floats]:
    """Return each row's seconds on the device, and its joules, with this request's own quantile."""
    places = ["device" if row.on_device else None for row in table.rows]
    device_s = table.device_s * _factors(table, facts, places, luck.device)
    return device_s, table.energy_j + facts.hardware.marginal_w * (device_s - table.device_s)


def lucky_servers(table: Columns, facts: Facts, luck: Luck) -> tuple[Floats, Floats]:
    """Return each row's seconds at the edge and in the cloud, with this request's own quantiles."""
    edges, clouds = [row.edge for row in table.rows], [row.cloud for row in table.rows]
    edge_s = table.edge_s * _factors(table, facts, edges, luck.edge)
    return edge_s, table.cloud_s * _factors(table, facts, clouds, luck.cloud)


def _factors(table: Columns, facts: Facts, places: Sequence[str | None], quantile: float) -> Floats:
    return np.array([
        factor(facts.profiles[place][row.variant], quantile) if place else 1.0
        for place, row in zip(places, table.rows, strict=True)
    ])  # fmt: skip


def factor(profile: Profile, quantile: float) -> float:
    """Return one run's time over its mean, at this quantile of the profile's spread."""
    if profile.service == "exponential":
        return exponential(quantile)
    if profile.service == "log-normal":
        sigma_squared = math.log1p(profile.cv**2)
        z = NormalDist().inv_cdf(quantile) if quantile > 0 else -8.0
        return math.exp(math.sqrt(sigma_squared) * z - sigma_squared / 2)
    spread = profile.spread
    last = len(spread) - 1
    place = quantile * last
    low = int(place)
    if low >= last:
        return spread[-1]
    return spread[low] + (spread[low + 1] - spread[low]) * (place - low)


def exponential(quantile: float) -> float:
    """Return the quantile of an exponential of mean one."""
    return -math.log1p(-quantile)
