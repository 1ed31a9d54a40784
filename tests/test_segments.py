"""Paths over segments against all of them, and what more than two cuts gain on measured networks."""

import itertools
import random
from collections.abc import Sequence
from math import inf

import pytest

from offload.algorithms.segments import extra_gain, once, shortest
from offload.dnn.profiles import read
from offload.networks import Profile
from tests import hand_made


def seconds(
    places: Sequence[bool], device: list[float], server: list[float], up: list[float], down: list[float]
) -> float:
    """Return the seconds of one way through."""
    total, was = 0.0, False
    for segment, away in enumerate([*places, False]):
        if away != was:
            total += up[segment] if away else down[segment]
        if segment < len(places):
            total += server[segment] if away else device[segment]
        was = away
    return total


def drawn(seed: int) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return random segments and crossings."""
    rng = random.Random(seed)
    count = rng.randint(1, 8)
    device, server = ([rng.random() * most for _ in range(count)] for most in (3, 2))
    up, down = ([rng.random() for _ in range(count + 1)] for _ in range(2))
    return device, server, up, down


def test_the_path_is_the_shortest_of_all() -> None:
    came_back = 0
    for seed in range(400):
        costs = drawn(seed)
        ways = list(itertools.product([False, True], repeat=len(costs[0])))
        least_s, places = shortest(*costs)
        assert least_s == pytest.approx(min(seconds(way, *costs) for way in ways), rel=1e-12)
        assert seconds(places, *costs) == pytest.approx(least_s, rel=1e-12)
        came_back += any(a and not b for a, b in itertools.pairwise(places))
    assert came_back > 100


def test_once_away_it_is_neurosurgeon() -> None:
    for seed in range(400):
        device, server, up, down = drawn(seed)
        count = len(device)
        at_cut = [sum(device[:cut]) + up[cut] + sum(server[cut:]) + down[-1] for cut in range(count)]
        least_s, places = once(device, server, up, down)
        assert least_s == pytest.approx(min([*at_cut, sum(device)]), rel=1e-12)
        assert list(places) == sorted(places)
        assert shortest(device, server, up, [*[inf] * count, down[-1]]) == (least_s, places)
        gain = extra_gain(device, server, up, down)
        assert gain == pytest.approx(1 - shortest(device, server, up, down)[0] / least_s)
        assert gain >= 0


def test_coming_back_by_hand() -> None:
    # The middle is quick at the server, the ends on the device; sending takes 1.
    found = shortest([1, 9, 1], [9, 1, 9], [1, 1, 1, 1], [1, 1, 1, 1])
    assert found == (5, (False, True, False))
    assert once([1, 9, 1], [9, 1, 9], [1, 1, 1, 1], [1, 1, 1, 1]) == (11, (False, False, False))


def measured(profile: Profile, times: float, up_bps: float, down_bps: float) -> tuple[list[float], ...]:
    """Return a network in segments between its cuts, the device so many times slower, 2 ms of delay."""
    cuts, layers_s = profile.variant.cuts, profile.layers_s[1]
    server = [sum(layers_s[a.after : b.after]) for a, b in itertools.pairwise(cuts)]
    sizes = [60e3, *(cut.payload_bytes for cut in cuts[1:])]
    up, down = ([8 * size / rate + 0.002 for size in sizes] for rate in (up_bps, down_bps))
    return [times * each for each in server], server, up, down


def test_more_than_two_cuts_hardly_ever_gain_on_measured_networks() -> None:
    again = 0
    best: dict[str, float] = {}
    for name in ("vgg16.fp32", "resnet18.int8", "resnet50.fp32", "mobilenetv2.fp32", "deeplabv3.fp32",
                 "densenet121.fp32", "vit-b16.fp32"):  # fmt: skip
        profile = read(hand_made.ROOT / "data" / "profiles" / f"{name}.x86-core.json")
        for times, rate, ratio in itertools.product((2, 10, 30), (3e5, 2e6, 1e7, 1e8), (1, 10)):
            costs = measured(profile, times, rate, rate * ratio)
            best[name] = max(best.get(name, 0.0), extra_gain(*costs))
            _, places = shortest(*costs)
            again += sum(b and not a for a, b in itertools.pairwise((False, *places))) > 1
    # Nobody leaves the device twice. To end there pays where the answer is larger than what makes it.
    assert again <= 2
    assert 0.5 < best.pop("deeplabv3.fp32") < 1
    assert 0 < best.pop("resnet18.int8") < 0.25
    assert max(best.values()) < 0.06
