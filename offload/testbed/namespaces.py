"""Links shaped by the kernel: a network namespace a process, a veth pair and `tc` a link; as root."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import islice
from pathlib import Path

from offload.entities import OffloadError
from offload.testbed.link import Shape

FOLDER = Path("/run/netns")
ADDRESSES = IPv4Network("10.201.0.0/16")  # seen within the namespaces only
QUEUE_PACKETS, QUEUE_BYTES = 1_000_000, 256_000_000  # so that a link loses nothing
BURST_S, LEAST_BURST_BYTES = 0.0001, 1600  # an idle link lets so much through at once: a packet
_NEW_NET = 0x40000000  # CLONE_NEWNET of setns


class NamespacesError(OffloadError):
    """Links that the kernel cannot shape here, with the reason."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A link between two places: how it is shaped on the way from the first, and on the way back."""

    first: str
    second: str
    there: Shape
    back: Shape
    jitter_s: float = 0.0  # drawn by the kernel for each packet, from no seed


@dataclass(frozen=True, slots=True)
class Spaces:
    """Namespaces that exist now."""

    mark: str
    addresses: dict[tuple[str, str], str]  # of the first place, as the second reaches it

    def of(self, place: str) -> Path:
        """Return the namespace of a place, to `enter`."""
        return FOLDER / f"{self.mark}{place}"


def enter(space: Path) -> None:
    """Move this thread, and those that it will start, to a namespace. Raises NamespacesError."""
    with space.open("rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _NEW_NET):
            msg = f"{space.name}: setns: {os.strerror(ctypes.get_errno())}"
            raise NamespacesError(msg)


@contextmanager
def namespaces(pairs: Sequence[Pair]) -> Iterator[Spaces]:
    """Yield namespaces with these links between them; they are removed whatever happens.

    What a process that was killed left behind is removed, too. The kernel counts the headers of packets:
    at 1500 bytes a packet a link carries 4.6 % fewer bytes than its rate says; without a delay, an idle
    one lets the first packet through at once. Raises NamespacesError.
    """
    if os.geteuid() != 0:
        msg = "only root may make network namespaces; shape in user space, which needs no privileges"
        raise NamespacesError(msg)
    missing = [name for name in ("ip", "tc") if shutil.which(name) is None]
    if missing:
        msg = f"no command {' and '.join(missing)}; install iproute2, or shape in user space"
        raise NamespacesError(msg)
    for left in FOLDER.glob("offload-*-*"):
        if not Path("/proc", left.name.split("-")[1]).exists():
            _run(["ip", "netns", "delete", left.name])
    mark = f"offload-{os.getpid()}-"
    try:
        for command in commands(mark, pairs):
            _run(command)
        yield Spaces(mark, addresses(pairs))
    finally:
        for made in FOLDER.glob(f"{mark}*"):
            with suppress(NamespacesError):  # whoever comes next tries again
                _run(["ip", "netns", "delete", made.name])


def addresses(pairs: Sequence[Pair]) -> dict[tuple[str, str], str]:
    """Return the address of each place for each other that a link joins it with."""
    found = {}
    for pair, net in zip(pairs, islice(ADDRESSES.subnets(new_prefix=30), len(pairs)), strict=True):
        first, second = map(str, net.hosts())
        found[pair.first, pair.second], found[pair.second, pair.first] = first, second
    return found


def commands(mark: str, pairs: Sequence[Pair]) -> Iterator[list[str]]:
    """Yield the commands that make the namespaces, the links between them and how these are shaped."""
    places = dict.fromkeys(place for pair in pairs for place in (pair.first, pair.second))
    for place in places:
        yield ["ip", "netns", "add", mark + place]
    found = addresses(pairs)
    for number, pair in enumerate(pairs):
        here, there, name = mark + pair.first, mark + pair.second, f"link{number}"
        yield f"ip -n {here} link add {name} type veth peer name {name} netns {there}".split()
        for at, to, shape in (
            (pair.first, pair.second, pair.there),
            (pair.second, pair.first, pair.back),
        ):
            space = mark + at
            yield ["ip", "-n", space, "address", "add", f"{found[at, to]}/30", "dev", name]
            yield ["ip", "-n", space, "link", "set", name, "up"]
            if shaping := discipline(shape, pair.jitter_s):
                yield ["tc", "-n", space, "qdisc", "add", "dev", name, "root", *shaping]


def discipline(shape: Shape, jitter_s: float = 0.0) -> list[str]:
    """Return the queueing discipline of a shape: a token bucket for a rate alone, else netem."""
    rate = [] if shape.rate_bps is None else ["rate", f"{shape.rate_bps:.0f}bit"]
    if shape.delay_s or jitter_s:
        delay = f"delay {shape.delay_s * 1e6:.0f}us {jitter_s * 1e6:.0f}us"
        return ["netem", "limit", str(QUEUE_PACKETS), *delay.split(), *rate]
    if shape.rate_bps is None:
        return []
    burst = max(LEAST_BURST_BYTES, int(shape.rate_bps / 8 * BURST_S))
    return ["tbf", *rate, "burst", str(burst), "limit", str(QUEUE_BYTES)]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        if "qdisc kind is unknown" in why:
            why = f"this kernel has no {command[command.index('root') + 1]} (module sch_netem, sch_tbf)"
        msg = f"{' '.join(command)}: {why}; shape in user space instead"
        raise NamespacesError(msg)
