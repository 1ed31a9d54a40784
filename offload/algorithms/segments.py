"""The quickest way through a chain of segments that may change between device and server at any cut."""

from collections.abc import Sequence
from math import inf


def shortest(
    device_s: Sequence[float], server_s: Sequence[float], up_s: Sequence[float], down_s: Sequence[float]
) -> tuple[float, tuple[bool, ...]]:
    """Return the least seconds from the input to the answer, and which segments run at the server.

    JointDNN (Eshratifar, Abrishami, Pedram, arXiv 1801.08618): the shortest path in a graph of two
    rows, device and server, with a link up and a link down at each cut. Segment k lies between cuts k
    and k + 1; `up_s[k]` and `down_s[k]` are the seconds of sending what crosses cut k, so each has one
    entry more than there are segments. Input and answer are on the device. The paper measures runs of
    layers together; here the seconds of a run are the sum of its layers, so two rows suffice: O(N).
    """
    at_device, at_server = 0.0, inf
    came: list[tuple[bool, bool]] = []  # for each row: whether it was at the server before
    for segment, (here_s, there_s) in enumerate(zip(device_s, server_s, strict=True)):
        home_s, out_s = at_server + down_s[segment], at_device + up_s[segment]
        came.append((home_s < at_device, at_server <= out_s))
        at_device, at_server = min(at_device, home_s) + here_s, min(at_server, out_s) + there_s
    home_s = at_server + down_s[-1]
    places = [home_s < at_device]
    for before in reversed(came):
        places.append(before[places[-1]])
    return min(at_device, home_s), tuple(places[-2::-1])


def once(
    device_s: Sequence[float], server_s: Sequence[float], up_s: Sequence[float], down_s: Sequence[float]
) -> tuple[float, tuple[bool, ...]]:
    """Return the same if only the answer may come back: what Neurosurgeon finds (ASPLOS 2017)."""
    one_way = [*[inf] * len(device_s), down_s[-1]]
    return shortest(device_s, server_s, up_s, one_way)


def extra_gain(
    device_s: Sequence[float], server_s: Sequence[float], up_s: Sequence[float], down_s: Sequence[float]
) -> float:
    """Return the share of the latency that coming back and leaving again saves."""
    return 1 - shortest(device_s, server_s, up_s, down_s)[0] / once(device_s, server_s, up_s, down_s)[0]
