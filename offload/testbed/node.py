"""The process of an edge server or a cloud: takes requests, computes its part of them, sends them on."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from offload.entities import Node
from offload.testbed import process
from offload.testbed.certificates import Identity
from offload.testbed.channel import Address, Channel
from offload.testbed.door import ANYWHERE, LOOPBACK, Door
from offload.testbed.link import Link, Shape
from offload.testbed.log import LOG
from offload.testbed.message import Answer, Ask, Cause, MessageError, Said, Stamp, State
from offload.testbed.parts import RAW, Key, Parts
from offload.testbed.peer import Peer
from offload.testbed.waiting import Job, Waiting

MOST_PARTS, MOST_ASKED = 500, 100  # kept beside those foreseen: of all, and for one neighbour


@dataclass(frozen=True, slots=True)
class Way:
    """How what is sent to a neighbour is shaped, the mean of its jitter, and the name of that chance."""

    shape: Shape
    jitter_s: float = 0.0
    stream: str = ""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What a node's process must know.

    `ways` lead to neighbours, of which `fellows` are nodes, and `sites` those of them that devices use;
    `next_hop` tells which of them is on the way to a node; `space` is its network namespace.
    """

    node: Node
    folder: Path
    seed: int
    core: int | None
    port: int
    ways: Mapping[str, Way]
    fellows: frozenset[str]
    next_hop: Mapping[str, str]
    most_bytes: int
    parts: tuple[Key, ...]
    log: Path | None = None
    sites: frozenset[str] = frozenset()
    space: Path | None = None


def main(spec: NodeSpec, control: Connection) -> None:
    """Be a node until the other end of the control pipe says or goes: what a process runs."""

    def live() -> None:
        process.begin(spec.core, spec.log, spec.space)
        Server(spec, control).run()

    process.tell_failure(control, live)


Origin = tuple[Link, str, list[Stamp]]  # who hears the answer, who was asked, and what was stamped


class Server:
    """A node: whoever connects is heard in a thread of its own, and this one computes."""

    def __init__(self, spec: NodeSpec, control: Connection) -> None:
        self.spec, self.name = spec, spec.node.name
        self.control = control
        self.identity = Identity(spec.folder, self.name)
        self.variants = {key.variant for key in spec.parts}
        self.known = set(spec.parts)  # with those that were asked for
        self.asked: Counter[str] = Counter()  # how many of them by whom
        self.waiting = Waiting(spec.node)
        self.parts: Parts = process.parts(spec.folder)
        self.links: dict[str, Link] = {}  # to those who have connected
        self.origins: dict[tuple[str, int, int], Origin] = {}  # of what was sent on
        self.newest: dict[str, int] = {}  # when the last report of a node was made, in ns
        self.lock = threading.Lock()
        self.peers: dict[str, Peer] = {}
        self.work_s = 0.0  # of one request, as of late

    def run(self) -> None:
        """Prepare, open the door, and compute until told to stop."""
        self.parts.prepare(self.spec.parts, range(1, self.spec.node.batch_max + 1))
        host = LOOPBACK if self.spec.space is None else ANYWHERE  # there only neighbours are anywhere
        door = Door(self.name, self.identity, self._take, self.spec.port, host)
        self.control.send(("ready", door.address))
        process.thread(self._obey, "control")
        process.thread(self._report, "reports")
        while jobs := self.waiting.take():
            self._serve(jobs)
        door.close()
        for peer in self.peers.values():
            peer.close()

    def _obey(self) -> None:
        """Answer what the parent asks; stop when it says so or is no more."""
        process.obey(self.control, {"spin": process.spin, "meet": self._meet})
        self.waiting.close()

    def _meet(self, those: Mapping[str, Address]) -> None:
        """Connect to neighbours."""
        for name, address in those.items():
            self.peers[name] = Peer(
                name, address, self.identity.client(), self._way(name).shape, self._jitter(name),
                partial(self._met, name), partial(self._lost, name),
            )  # fmt: skip

    def _met(self, name: str, said: Said, body: memoryview) -> None:
        """Take what a neighbour says to which this node has connected: it may ask, too."""
        peer = self.peers.get(name)
        link = None if peer is None else peer.link
        if link is not None and isinstance(said, Ask):
            self._asked(said, body, link)
        else:
            self._heard(name, said, body)

    def _way(self, name: str) -> Way:
        return self.spec.ways.get(name, Way(Shape()))

    def _jitter(self, name: str) -> Iterator[float] | None:
        return process.jitter(self._way(name).jitter_s, self.spec.seed, self._way(name).stream)

    def _take(self, channel: Channel) -> None:
        """Hear who has connected, until that ends; a connection of the same name before it ends now."""
        peer = channel.peer
        link = Link(channel, self._way(peer).shape, self._jitter(peer))
        with self.lock:
            before, self.links[peer] = self.links.get(peer), link
        if before is not None:
            before.channel.close()
        channel.most_bytes = self.spec.most_bytes
        fellow = peer in self.spec.fellows
        try:
            while True:
                said, body = channel.receive()
                if fellow and not isinstance(said, Ask):
                    self._heard(peer, said, body)
                else:
                    self._asked(said, body, link)
        finally:
            link.close()
            with self.lock:
                if self.links.get(peer) is link:
                    del self.links[peer]
                self.origins = {k: v for k, v in self.origins.items() if v[0] is not link}
            if fellow:
                self._lost(peer)

    def _asked(self, said: Said, body: memoryview, link: Link) -> None:
        now, peer = time.monotonic_ns(), link.channel.peer
        if not isinstance(said, Ask):
            msg = f"{peer}: says what only nodes say"
            raise MessageError(msg)
        if link.full:
            msg = f"{peer}: asks for more than it takes"
            raise MessageError(msg)
        if said.pad > len(body):
            msg = f"{peer}: a message with more padding than bytes"
            raise MessageError(msg)
        if said.device != peer and peer not in self.spec.fellows:
            msg = f"{peer}: asks in the name of another"
            raise MessageError(msg)
        if said.stops[0].node == self.name:
            stop = said.stops[0]
            if not self._knows(Key(said.variant, stop.first, stop.last), peer):
                LOG.warning("%s: refused: asks for a part that is not run here", peer)
                self._refuse(said, link, "malformed", now)
            elif not self.waiting.put(Job(said, body, link, now)):
                self._refuse(said, link, "shed", now)
        else:
            self._pass_on(said, body, link, Stamp(self.name, now, now, now, 0))

    def _knows(self, key: Key, peer: str) -> bool:
        """Tell whether a part may be asked for: one that nobody foresaw is made then, and kept."""
        with self.lock:
            if key in self.known:
                return True
            if key.variant not in self.variants:
                return False
            if not key.first < key.last < self.parts.cuts(key.variant):
                return False
            if self.asked.total() >= MOST_PARTS or self.asked[peer] >= MOST_ASKED:
                return False
            self.asked[peer] += 1
            self.known.add(key)
            return True

    def _refuse(self, ask: Ask, link: Link, cause: Cause, received_ns: int) -> None:
        now = time.monotonic_ns()
        stamps = [*ask.stamps, Stamp(self.name, received_ns, now, now, 0)]
        link.send(Answer(ask.id, ask.attempt, ask.device, cause, stamps[:16]))

    def _pass_on(self, ask: Ask, body: bytes | memoryview, back: Link, stamp: Stamp) -> None:
        """Send a request to the next node on its way; its answer will come back by this one.

        But where it goes back to whom it came from, that one hears the answer; and where it was before,
        whoever sent it here first does.
        """
        there, came_from = self.spec.next_hop.get(ask.stops[0].node, ""), back.channel.peer
        key = ask.device, ask.id, ask.attempt
        on = Ask(
            ask.id, ask.attempt, ask.device, ask.variant, ask.stops, ask.due_ns, ask.deadline_ns,
            ask.priority, ask.pad, [*ask.stamps, stamp][:16],
        )  # fmt: skip
        with self.lock:
            before = self.origins.get(key)
            taken = before is not None and before[1] != came_from
            if not taken:
                self.origins.pop(key, None)
                if before is not None:
                    back = before[0]
                if there != came_from:
                    self.origins[key] = back, there, on.stamps
        if taken:  # the answer to another's request would go to whoever asks in its name
            self._refuse(ask, back, "malformed", stamp.received_ns)
        elif cause := self._send_to(there, on, body):
            with self.lock:
                mine = self.origins.pop(key, None) is not None or there == came_from
            if mine:  # else those who waited have been told
                self._refuse(on, back, cause, stamp.done_ns)

    def _send_to(self, there: str, said: Said, body: bytes | memoryview = b"") -> Cause:
        """Send something to a neighbour, whoever of the two has connected; or tell why it cannot be."""
        with self.lock:
            link = self.peers[there].link if there in self.peers else self.links.get(there)
        if link is None:
            return "node-down"
        if link.full:
            return "shed"
        link.send(said, body)
        return ""

    def _heard(self, peer: str, said: Said, body: memoryview) -> None:
        """Hand on what a node says: an answer that is its to give to who asked, reports to all.

        A report is that of the neighbour itself, or of a node to which it is the way.
        """
        if isinstance(said, Answer):
            key = said.device, said.id, said.attempt
            with self.lock:
                origin = self.origins.get(key)
                if origin is None or origin[1] != peer:
                    return
                del self.origins[key]
            now = time.monotonic_ns()
            stamps = [*said.stamps, Stamp(self.name, now, now, now, 0)]
            origin[0].send(Answer(said.id, said.attempt, said.device, said.cause, stamps[:16]), body)
        elif isinstance(said, State) and peer in {said.node, self.spec.next_hop.get(said.node)}:
            known_ns = self.newest.get(said.node, 0)
            self.newest[said.node] = max(known_ns, said.sent_ns)
            if said.sent_ns > known_ns:  # else it has come another way before
                self._tell(said)

    def _lost(self, name: str) -> None:
        """Tell those whose requests were sent on to a neighbour that is gone."""
        with self.lock:
            gone = [key for key, (_, there, _) in self.origins.items() if there == name]
            lost = [(key, self.origins.pop(key)) for key in gone]
        for (device, id_, attempt), (back, _, stamps) in lost:
            back.send(Answer(id_, attempt, device, "node-down", stamps))

    def _serve(self, jobs: list[Job]) -> None:
        """Compute a batch and send each answer on its way."""
        begun_ns = time.monotonic_ns()
        good, inputs = [], []
        for job in jobs:
            if job.ask.due_ns and begun_ns > job.ask.due_ns:
                self._refuse(job.ask, job.back, "late", job.received_ns)
                continue
            try:
                end = len(job.body) - job.ask.pad
                inputs.append(self.parts.decode(Key(*job.key), job.body[:end]))
                good.append(job)
            except Exception as error:  # noqa: BLE001 - whatever torch makes of it, the node serves on
                LOG.warning("%s: refused: %s", job.back.channel.peer, error)
                self._refuse(job.ask, job.back, "malformed", job.received_ns)
        if not good:
            return
        try:
            outputs = [RAW.encode(each) for each in self.parts.run(Key(*good[0].key), inputs)]
        except Exception as error:  # noqa: BLE001 - as above
            LOG.warning("%s: refused: %s", good[0].back.channel.peer, error)
            for job in good:
                self._refuse(job.ask, job.back, "malformed", job.received_ns)
            return
        done_ns = time.monotonic_ns()
        self.work_s = (done_ns - begun_ns) * 1e-9 / len(good)
        for job, output in zip(good, outputs, strict=True):
            ask = job.ask
            stamp = Stamp(self.name, job.received_ns, begun_ns, done_ns, len(good))
            if len(ask.stops) > 1:
                on = Ask(
                    ask.id, ask.attempt, ask.device, ask.variant, ask.stops[1:], ask.due_ns,
                    ask.deadline_ns, ask.priority, 0, ask.stamps,
                )  # fmt: skip
                self._pass_on(on, output, job.back, stamp)
            else:
                stamps = [*ask.stamps, stamp][:16]
                job.back.send(Answer(ask.id, ask.attempt, ask.device, "", stamps), output)

    def _report(self) -> None:
        """Say now and then how long one would wait here."""
        while not self.waiting.closed:
            time.sleep(self.spec.node.report_every_s)
            backlog_s = (len(self.waiting) + self.waiting.serving) * self.work_s
            self._tell(State(self.name, time.monotonic_ns(), backlog_s))

    def _tell(self, state: State) -> None:
        with self.lock:
            links = list(self.links.values())
        for link in links:
            if not link.full:
                link.send(state)
        for name in self.spec.sites & self.peers.keys():
            self._send_to(name, state)
