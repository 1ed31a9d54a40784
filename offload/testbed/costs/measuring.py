"""Measures what a testbed's messages, idleness and company cost, and says how well it knows."""

import datetime as dt
import os
import platform
import ssl
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offload.dnn import machine
from offload.streams import Streams
from offload.testbed import certificates
from offload.testbed.costs import fits, hops, working
from offload.testbed.costs.blocks import Look
from offload.testbed.costs.deciding import BIRTHS, Deciding
from offload.testbed.costs.hops import DELAY_S, SHIPPED_GAP_S, Hops
from offload.testbed.costs.peer import DEVICE, NAME, Peer, PeerError, peer, pinned, spins

FORMAT = 1
HARDWARE = "x86-core"

Say = Callable[[str], None]
Picks = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Effort:
    """How often each thing is measured: passes over all messages, pairs of handshakes, and so on.

    What is `quick` sets nothing aside, and sends fewer kinds of messages.
    """

    messages: int = 20
    handshakes: int = 40
    idle: int = 32
    pairs: int = 24
    decisions: int = 16
    quick: bool = False

    def looks(self, *looks: Look) -> tuple[Look, ...]:
        """Return who looks around each block."""
        return () if self.quick else looks

    def pieces(self, networks: Sequence[str]) -> int:
        """Return how often `measure` says how far it is."""
        return self.messages + self.idle + self.pairs * len(networks) + self.decisions + 1


QUICK = Effort(messages=3, handshakes=4, idle=3, pairs=2, decisions=1, quick=True)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval over blocks, and how many runs it rests on."""

    value: float
    low: float
    high: float
    runs: int
    excluded_share: float


@dataclass(slots=True)
class Found:
    """What was measured: figures by the path of their key, and what stands beside them."""

    figures: dict[str, Figure] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def add(
        self,
        keys: Sequence[str],
        blocks: int,
        of: Callable[[Picks], fits.Floats],
        chance: np.random.Generator,
        runs: int,
        excluded: float,
    ) -> None:
        """Compute figures from the numbers of the blocks that make them, and their intervals."""
        values = of(np.arange(blocks))
        between = fits.interval(blocks, of, chance)
        for key, value, (low, high) in zip(keys, values.tolist(), between, strict=True):
            self.figures[key] = Figure(value, low, high, runs, excluded)


HOP_KEYS = ("message_s", "per_byte_s")
TLS = "security.mutual-tls."


@dataclass(frozen=True, slots=True)
class Session:
    """One measuring: how much, by what chance, whom it tells, and what it has found."""

    effort: Effort
    chance: np.random.Generator
    say: Say
    found: Found


def two_cores(cores: Sequence[int] | None) -> tuple[int, int]:
    """Return the cores to use: those given, or the first two there are. Raises PeerError."""
    may = sorted(os.sched_getaffinity(0))
    chosen = list(cores) if cores is not None else may[:2]
    if len(set(chosen)) != 2 or not set(chosen) <= set(may):
        told = ",".join(map(str, may))
        msg = f"two different cores are needed, of those this process may run on: {told}"
        raise PeerError(msg)
    return chosen[0], chosen[1]


def measure(
    networks: Sequence[str], cores: tuple[int, int], effort: Effort, say: Say = lambda _: None
) -> Found:
    """Measure everything. Raises PeerError, TooBusyError.

    Messages go from a process on the first core to one on the second; what is timed after idle gaps, and
    decisions, is on the first.
    """
    chance = Streams(0, 0).generator("testbed", "costs")
    session = Session(effort, chance, say, Found())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificates.init(folder, [NAME], [DEVICE], days=1)
        machine.prepare(1)
        with pinned(cores[1]):
            car = stack.enter_context(peer(cores[0], folder, networks))
        with pinned(cores[0]):
            edge = stack.enter_context(peer(cores[1], folder, networks))
            _messages(session, edge, folder)
            _decisions(session)
        with pinned(cores[1]):
            _idle_gaps(session, car)
            _company(session, (car, edge))
        _where(session.found.details, car.told, cores)
    return session.found


def _messages(session: Session, edge: Peer, folder: Path) -> None:
    effort, chance, found = session.effort, session.chance, session.found
    sent = Hops(edge, folder, effort.looks(spins, edge.spin), chance, quick=effort.quick)
    for number in range(effort.messages):
        sent.go_once(number)
        session.say(f"messages, pass {number + 1}")
    for _ in range(effort.handshakes):
        sent.shake_hands()
    session.say("handshakes")
    sizes, more = sent.wire_bytes()
    sent.close()
    samples = hops.table(sent.cells, sent.blocks.kept())
    _hop(session, sent, samples)
    _handshake(session, sent)
    wire = fits.line(np.array(sizes, float), np.array(more, float))
    for key, value in zip(("message_bytes", "bytes_per_byte"), wire, strict=True):
        found.figures[TLS + key] = Figure(value, value, value, len(sizes), 0.0)
    found.details["hop"] = _hop_details(sent.cells, samples)
    found.details["wire_bytes"] = {"message_bytes": sizes, "more_over_tls": more}


def _hop(session: Session, sent: Hops, samples: fits.Floats) -> None:
    """Fit what a message takes as shipped, plain, and what TLS adds to that."""
    kinds = sent.cells

    def plain(cell: hops.Cell) -> bool:
        return cell.shipped and not cell.secure

    def either(cell: hops.Cell) -> bool:
        return cell.shipped

    def add(before: str, wanted: Callable[[hops.Cell], bool], of: Any) -> None:  # noqa: ANN401
        session.found.add(
            [before + key for key in HOP_KEYS],
            len(samples),
            lambda picks: of(kinds, wanted, fits.medians(samples[picks])),
            session.chance,
            int(np.isfinite(samples[:, [wanted(kind) for kind in kinds]]).sum()),
            sent.blocks.excluded(),
        )

    add("hop.", plain, hops.hop_of)
    add(TLS, either, hops.security_of)


def _handshake(session: Session, sent: Hops) -> None:
    shakes = np.array(sent.handshakes.kept())
    session.found.add(
        [TLS + "handshake_s"],
        len(shakes),
        lambda picks: np.diff(np.median(shakes[picks], axis=0)),
        session.chance,
        len(shakes),
        sent.handshakes.excluded(),
    )
    medians = np.median(shakes, axis=0).tolist()
    session.found.details["handshake_s"] = dict(zip(("plain", "tls"), medians, strict=True))


def _hop_details(kinds: Sequence[hops.Cell], samples: fits.Floats) -> dict[str, Any]:
    """Return what every kind of link gave, shipped or not."""
    medians = fits.medians(samples)
    groups = sorted({(cell.secure, cell.rate_bps, cell.gap_s) for cell in kinds}, key=str)
    return {
        "shipped": f"shaped links, {DELAY_S:g} s delay, {SHIPPED_GAP_S:g} s gap; medians; body's bytes",
        "message_and_head_bytes": hops.overhead(),
        "fits": [
            {"secure": group[0], "rate_bps": group[1], "gap_s": group[2]}
            | dict(zip(HOP_KEYS, hops.hop_of(kinds, hops.is_of(group), medians).tolist(), strict=True))
            for group in groups
        ],
        "cells": hops.told(kinds, samples),
    }


def _decisions(session: Session) -> None:
    deciding = Deciding(session.effort.looks(spins))
    for number in range(session.effort.decisions):
        deciding.go_once()
        session.say(f"decisions, block {number + 1}")
    kept = np.array(deciding.blocks.kept())
    session.found.add(
        ["decide_s"],
        len(kept),
        lambda picks: np.array([np.median(kept[picks])]),
        session.chance,
        kept.size,
        deciding.blocks.excluded(),
    )
    session.found.details["decide_s"] = {
        "of": "timer, observation, the policy local (its plan was found before), hand-off to a thread",
        "births_of_a_block": BIRTHS,
        "p95_s": float(np.percentile(kept, 95)),
    }


def _idle_gaps(session: Session, car: Peer) -> None:
    gaps_s = working.GAPS_S[::3] if session.effort.quick else working.GAPS_S
    works = [
        working.Idling(car, work, session.effort.looks(spins, car.spin), session.chance, gaps_s)
        for work in car.networks
    ]
    for number in range(session.effort.idle):
        for each in works:
            each.go_once()
        session.say(f"idle gaps, pass {number + 1}")
    curves = {each.work: each.curve() for each in works}
    blocks = min(len(seconds) for _, seconds in curves.values())

    def fit(picks: Picks) -> fits.Floats:
        each = [(gaps, fits.ratios(seconds[picks], 0)) for gaps, seconds in curves.values()]
        return np.array(fits.idling(*(np.concatenate(part) for part in zip(*each, strict=True))))

    runs = blocks * len(works) * len(gaps_s)
    excluded = float(np.mean([each.blocks.excluded() for each in works]))
    session.found.add(
        ["after_idle.slower", "after_idle.within_s"], blocks, fit, session.chance, runs, excluded
    )
    session.found.details["after_idle"] = [
        {"work": work, "gap_s": gaps.tolist(), "median_s": np.median(seconds, axis=0).tolist()}
        | {"ratio": (ratio := fits.ratios(seconds, 0)).tolist(), "blocks": len(seconds)}
        | {"more_s": ((ratio - 1) * np.median(seconds[:, 0])).tolist()}
        | {"interval": fits.interval(len(seconds), _ratios(seconds), session.chance)}
        | dict(zip(("slower", "within_s"), fits.idling(gaps, ratio), strict=True))
        for work, (gaps, seconds) in curves.items()
    ]


def _ratios(seconds: fits.Floats) -> Callable[[Picks], fits.Floats]:
    return lambda picks: fits.ratios(seconds[picks], 0)


def _company(session: Session, peers: tuple[Peer, Peer]) -> None:
    works = [
        working.Beside(peers, work, session.effort.looks(*(each.spin for each in peers)))
        for work in peers[0].networks[::2]
    ]
    for number in range(session.effort.pairs):
        for each in works:
            each.go_once(number)
            session.say(f"beside another, pair {number + 1}")
    kept = [np.array(each.blocks.kept()) for each in works]
    blocks = min(map(len, kept))

    def slower(picks: Picks) -> fits.Floats:
        return np.array([np.mean([np.median(ratios[picks]) for ratios in kept]) - 1])

    session.found.add(
        ["co_location.slower"],
        blocks,
        slower,
        session.chance,
        sum(map(len, kept)) * working.RUNS,
        float(np.mean([each.blocks.excluded() for each in works])),
    )
    session.found.details["co_location"] = [
        {"work": each.work, "slower": float(np.median(ratios)) - 1, "pairs": len(ratios)}
        for each, ratios in zip(works, kept, strict=True)
    ]


def _where(details: dict[str, Any], told: str, cores: tuple[int, int]) -> None:
    details["machine"] = {
        "told": told,
        "kernel": platform.release(),
        "tls": ssl.OPENSSL_VERSION,
        "cores": list(cores),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
