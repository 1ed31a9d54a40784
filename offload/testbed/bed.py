"""A testbed: the processes of a scenario's devices and nodes, and the plays that are played on them."""

import logging
import math
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from offload.entities import Cell, OffloadError, Outcome, Plan, Request, Wire
from offload.planning.columns import columns
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.scenario.setup import Setting
from offload.testbed import device, legs, node
from offload.testbed.channel import Address
from offload.testbed.coverage import why_not
from offload.testbed.device import DeviceSpec
from offload.testbed.legs import Done, Seen, unpacked
from offload.testbed.link import Shape
from offload.testbed.message import MOST_BODY_BYTES
from offload.testbed.node import NodeSpec, Way
from offload.testbed.parts import Key
from offload.testbed.timing import Timing

LOG = logging.getLogger("offload.testbed")
READY_S = 300.0  # within which a process must have its networks
SETTLE_S = 0.2  # from the order to play until the first birth may be
LOOK_EVERY_S = 0.1
HEADROOM_BYTES = 65_536

Take = Callable[[Outcome, Timing, Seen], None]


class TestbedError(OffloadError):
    """What a testbed cannot do, or a process of it that failed."""

    __test__ = False  # pytest takes it for a test by its name


@dataclass(slots=True)
class Member:
    """A process of the testbed and the pipe to it."""

    name: str
    process: BaseProcess
    control: Connection
    lives: int = 1
    address: Address = ("", 0)


class Testbed:
    """The devices, edge servers and clouds of a scenario as processes of this machine.

    A node that dies is started again at once, a device before the next play. `cores` pin processes: by
    their names, or "device", "edge" and "cloud". `folder` holds certificates and networks; without one
    they are made for the occasion. To be used in a `with`. Raises TestbedError where a scenario holds
    what no testbed does.
    """

    __test__ = False

    def __init__(
        self,
        scenario: Scenario,
        choice: Choice,
        folder: Path | None = None,
        *,
        seed: int | None = None,
        frames: str = "",
        shows: bool = False,
        cores: Mapping[str, int] | None = None,
        log: Path | None = None,
        weights: Mapping[str, Path] | None = None,
    ) -> None:
        self.scenario, self.choice = scenario, choice
        self.setting: Setting = scenario.setting(choice.overhead_s)
        if faults := list(why_not(scenario, self.setting, choice)):
            raise TestbedError("\n".join(f"{scenario.path}: {fault}" for fault in faults))
        self.folder = folder
        self.seed = scenario.file.seed if seed is None else seed
        self.frames, self.shows, self.log = frames, shows, log
        self.cores, self.weights = dict(cores or {}), dict(weights or {})
        self.plans = list(_plans(self.setting))
        self.members: dict[str, Member] = {}
        self.specs: dict[str, NodeSpec | DeviceSpec] = {}
        self.ports: dict[str, Address] = {}
        self.context = multiprocessing.get_context("spawn")
        self.stack = ExitStack()
        self.stopping = threading.Event()
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        try:
            self._prepare()
            names = [*self._nodes_in_order(), *(each.name for each in self.setting.devices)]
            for name in names:
                self._launch(name)
            for name in names:
                self._await(name)
            for name in names:
                self._introduce(name)
            threading.Thread(target=self._keep_alive, name="keeps nodes alive", daemon=True).start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop all processes."""
        self.stopping.set()
        with self.lock:
            members = list(self.members.values())
        for member in members:
            try:
                member.control.send(("stop", None))
            except (OSError, ValueError):
                continue
        for member in members:
            member.process.join(2.0)
            if member.process.is_alive():
                member.process.kill()
                member.process.join(5.0)
        self.stack.close()

    def spin(self) -> dict[str, float]:
        """Return the seconds of the sentinel loop in each process, one after the other."""
        return {name: self._ask(name, "spin", None) for name in list(self.members)}

    def process_id(self, name: str) -> int:
        """Return the id of a process."""
        return self.members[name].process.pid or 0

    def play(
        self, requests: Sequence[Request], take: Take | None = None
    ) -> list[tuple[Outcome, Timing]]:
        """Let requests be born, each at its `born_s` after the beginning; return what became of them.

        A row for each, in the order of births; `take` is told of each as soon as it is known.
        """
        order = sorted(requests, key=lambda each: (each.born_s, each.id))
        mine: dict[str, list[Request]] = {}
        for request in order:
            mine.setdefault(request.device, []).append(request)
        for name in mine:
            if not self.members[name].process.is_alive():
                self._start(name)
        found: dict[int, tuple[Outcome, Timing]] = {}

        def keep(done: Iterable[Done]) -> None:
            for outcome, timing, seen in done:
                if outcome.request.id not in found:
                    found[outcome.request.id] = outcome, timing
                    if take is not None:
                        take(outcome, timing, seen)

        begun_ns = time.monotonic_ns() + round(SETTLE_S * 1e9)
        for name, those in mine.items():
            self._tell(name, "play", (begun_ns, those, self.setting.drain_s))
        causes = self._hear(list(mine), keep)
        now_s = (time.monotonic_ns() - begun_ns) * 1e-9
        keep(_lost(each, causes[each.device], now_s) for each in order if each.id not in found)
        return [found[each.id] for each in order]

    def _hear(self, playing: list[str], keep: Callable[[Iterable[Done]], None]) -> dict[str, str]:
        """Take rows until all devices have played; return why rows are missing of each."""
        variants = {plan.variant.label: plan.variant for plan in self.plans}
        causes = dict.fromkeys(playing, "unfinished")
        while playing:
            for name in tuple(playing):
                member = self.members[name]
                try:
                    if member.control.poll(LOOK_EVERY_S / len(playing)):
                        kind, done = member.control.recv()
                        if kind == "failed":
                            raise TestbedError(done)
                        keep(unpacked(each, variants) for each in done)
                        if kind == "play":
                            playing.remove(name)
                except (EOFError, OSError):  # its end of the pipe is closed when it dies
                    LOG.warning("%s has died", name)
                    member.process.join(2.0)
                    causes[name] = "device-down"
                    playing.remove(name)
        return causes

    def _prepare(self) -> None:
        """Make certificates and networks where there are none, and say what each process must know."""
        from offload.testbed import networks
        from offload.testbed.certificates import init

        nodes, devices = list(self.setting.nodes), [each.name for each in self.setting.devices]
        if self.folder is None:
            self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="offload-")))
            init(self.folder, nodes, devices)
        variants = {plan.variant.label: plan.variant for plan in self.plans}
        wanted = [(variant.model, variant.name) for variant in variants.values()]
        networks.export(self.folder, wanted, weights=self.weights)
        for name in nodes:
            self.specs[name] = self._node_spec(name)
        for each in devices:
            self.specs[each] = self._device_spec(each)

    def _node_spec(self, name: str) -> NodeSpec:
        setting, here = self.setting, self.setting.nodes[name]
        ways, next_hop = {}, {}
        for wire in setting.wires.values():
            if name in wire.ends:
                (there,) = (end for end in wire.ends if end != name)
                stream = f"{wire.name} from {name}"
                ways[there] = Way(Shape(wire.rate_bps, _medium_s(wire)), wire.jitter_s, stream)
        for each in setting.devices:
            cell = _cell(setting, each.name)
            if cell is not None and setting.cells[cell].node == name:
                it = setting.cells[cell]
                ways[each.name] = Way(Shape(it.down_bps, _medium_s(it)))
        (facts, *_) = setting.facts
        for (begin, end), route in facts.routes.items():
            if begin == name and route:
                ends = setting.wires[route[0]].ends
                next_hop[end] = ends[1] if ends[0] == name else ends[0]
        return NodeSpec(
            here, self.folder or Path(), self.seed, self._core(name, here.kind), 0, ways,
            frozenset(ways) & frozenset(setting.nodes), next_hop, _most_bytes(setting),
            tuple(_parts_at(self.plans, name)), self.log,
        )  # fmt: skip

    def _device_spec(self, name: str) -> DeviceSpec:
        cell = _cell(self.setting, name)
        way, site = Way(Shape()), None
        if cell is not None:
            it = self.setting.cells[cell]
            way, site = Way(Shape(it.up_bps, _medium_s(it))), it.node
        return DeviceSpec(
            name, self.scenario, self.choice, self.folder or Path(), self.seed,
            self._core(name, "device"), site, cell, way, tuple(_parts_at(self.plans, None)),
            self.frames, self.shows, self.log,
        )  # fmt: skip

    def _core(self, name: str, kind: str) -> int | None:
        return self.cores.get(name, self.cores.get(kind))

    def _nodes_in_order(self) -> list[str]:
        """Those behind others first, so that who sends on knows where to."""
        order = sorted(self.setting.nodes.values(), key=lambda each: each.kind == "edge")
        return [each.name for each in order]

    def _start(self, name: str) -> None:
        """Start a process among others that are there. Raises TestbedError."""
        self._launch(name)
        self._await(name)
        self._introduce(name)

    def _launch(self, name: str) -> None:
        """Begin to start a process; a node that was there before keeps its port."""
        spec = self.specs[name]
        if isinstance(spec, NodeSpec):
            spec = replace(spec, port=self.ports[name][1] if name in self.ports else 0)
        main: Callable[..., None] = node.main if isinstance(spec, NodeSpec) else device.main
        mine, theirs = self.context.Pipe()
        process = self.context.Process(target=main, args=(spec, theirs), name=name, daemon=True)
        process.start()
        theirs.close()
        with self.lock:
            lives = self.members[name].lives + 1 if name in self.members else 1
            self.members[name] = Member(name, process, mine, lives)

    def _await(self, name: str) -> None:
        """Wait until a process has its networks, and if it is a node its port. Raises TestbedError."""
        member, until_s = self.members[name], time.monotonic() + READY_S
        while not member.control.poll(LOOK_EVERY_S):
            if time.monotonic() > until_s or self.stopping.is_set():
                msg = f"the process of {name} has not become ready in {READY_S:g} s"
                raise TestbedError(msg)
        told = self._hear_from(name)
        if told is not None:
            self.ports[name] = told

    def _introduce(self, name: str) -> None:
        """Tell a process where to connect to: a node to those before it, a device to its site."""
        spec = self.specs[name]
        if isinstance(spec, NodeSpec):
            order = self._nodes_in_order()
            those = [other for other in order[: order.index(name)] if other in spec.fellows]
        else:
            those = [] if spec.site is None else [spec.site]
        self._ask(name, "meet", {other: self.ports[other] for other in those})

    def _keep_alive(self) -> None:
        """Start a node again that has died."""
        while not self.stopping.wait(LOOK_EVERY_S):
            for name in self.setting.nodes:
                if not self.members[name].process.is_alive() and not self.stopping.is_set():
                    LOG.warning("%s has died; it is started again", name)
                    try:
                        self._start(name)
                    except TestbedError as error:
                        LOG.warning("%s", error)

    def _tell(self, name: str, order: str, given: object) -> None:
        try:
            self.members[name].control.send((order, given))
        except OSError as error:
            msg = f"{name}: its process is gone: {error}"
            raise TestbedError(msg) from error

    def _ask(self, name: str, order: str, given: object) -> Any:  # noqa: ANN401 - as it answers
        self._tell(name, order, given)
        return self._hear_from(name)

    def _hear_from(self, name: str) -> Any:  # noqa: ANN401 - as above
        try:
            kind, told = self.members[name].control.recv()
        except (EOFError, OSError) as error:
            msg = f"{name}: its process is gone"
            raise TestbedError(msg) from error
        if kind == "failed":
            raise TestbedError(told)
        return told


def _cell(setting: Setting, name: str) -> str | None:
    """Return the cell that serves a device that stands still; None if it has none."""
    (found,) = (each for each in setting.devices if each.name == name)
    return found.place.seen(0.0)[1]


def _medium_s(link: Cell | Wire) -> float:
    """Return the delay to make: what a message takes besides, it takes here without being asked to."""
    return link.delay_s - link.toll.message_s


def _plans(setting: Setting) -> Iterable[Plan]:
    """Every plan that a policy may choose, of every device."""
    for each in setting.devices:
        for facts in setting.facts:
            if facts.group == each.group:
                yield from columns(facts, _cell(setting, each.name)).plans


def _parts_at(plans: Iterable[Plan], name: str | None) -> Iterable[Key]:
    """The parts that a node may have to run, or with None a device."""
    found: dict[Key, None] = {}
    for plan in plans:
        if name is None:
            if plan.device_cut:
                found[Key(plan.variant.label, 0, plan.device_cut)] = None
        else:
            for stop in legs.stops(plan):
                if stop.node == name:
                    found[Key(plan.variant.label, stop.first, stop.last)] = None
    return found


def _most_bytes(setting: Setting) -> int:
    """What any message of this scenario may have in its body, and some more."""
    sizes = [HEADROOM_BYTES]
    for facts in setting.facts:
        sizes.append(math.ceil(facts.most_input_bytes or facts.input_bytes))
        sizes += [cut.payload_bytes for variant in facts.variants for cut in variant.cuts]
        sizes += [8 * math.prod(variant.input_shape) for variant in facts.variants]
    return min(MOST_BODY_BYTES, max(sizes) + HEADROOM_BYTES)


def _lost(request: Request, cause: str, now_s: float) -> Done:
    """The row of a request of which nothing was heard."""
    ended_s = max(now_s, request.born_s)
    nothing = dict.fromkeys(
        ("device_s", "uplink_s", "edge_s", "wan_s", "cloud_s", "downlink_s", "up_bytes", "down_bytes",
         "energy_j", "edge_j", "cloud_j"), 0.0,
    )  # fmt: skip
    row = Outcome(
        request=request, first_plan=None, plan=None, attempts=1, ended_s=ended_s, cause=cause,
        correct=None, decide_s=ended_s - request.born_s, batch=0,
        **nothing,  # type: ignore[arg-type]  # numbers
    )  # fmt: skip
    return row, Timing(request.id, request.born_s, 0.0, None, None, None, ended_s), ("", [])
