"""A testbed: the processes of a scenario's devices and nodes, and the plays that are played on them."""

import logging
import math
import multiprocessing
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from offload.entities import OffloadError, Outcome, Plan, Request
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.scenario.setup import Setting
from offload.testbed import device, legs, node, specs
from offload.testbed.channel import Address
from offload.testbed.coverage import why_not
from offload.testbed.device import DeviceSpec
from offload.testbed.legs import Done, Seen, unpacked
from offload.testbed.namespaces import namespaces
from offload.testbed.node import NodeSpec
from offload.testbed.timing import Timing

LOG = logging.getLogger("offload.testbed")
READY_S = 300.0  # within which a process must have its networks, and answer
SETTLE_S = 0.2  # from the order to play until the first birth may be
SILENT_S = 30.0  # for which a device may go on when its play is over
STOP_S = 2.0  # within which processes have to stop
AGAIN_S = 60.0  # at most between two tries to start a node
LOOK_EVERY_S = 0.1

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


class Testbed:
    """The devices, edge servers and clouds of a scenario as processes of this machine.

    A node that dies is started again at once, or after a while if it died as it started; a device before
    the next play. `cores` pin processes: by their names, or "device", "edge" and "cloud". `folder` holds
    certificates and networks; without one they are made for the occasion. With `kernel` each process has
    a network namespace, and Linux shapes what is between them; that needs root. To be used in a `with`.
    Raises TestbedError where a scenario holds what no testbed does, NamespacesError.
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
        kernel: bool = False,
    ) -> None:
        self.scenario, self.choice = scenario, choice
        self.setting: Setting = scenario.setting(choice.overhead_s)
        self.seed = scenario.file.seed if seed is None else seed
        self.frames, self.shows, self.log = frames, shows, log
        self.kernel = kernel
        self.hosts: Mapping[tuple[str, str], str] = {}  # of a place, as another reaches it
        self.cores, self.weights = dict(cores or {}), dict(weights or {})
        if faults := list(why_not(scenario, self.setting, choice)):
            raise TestbedError("\n".join(f"{scenario.path}: {fault}" for fault in faults))
        self.plans = list(specs.plans(self.setting))
        if faults := list(self._wrong_options()):
            raise TestbedError("\n".join(faults))
        self.folder = folder
        self.members: dict[str, Member] = {}
        self.started: list[Member] = []  # with those that are not ready yet
        self.specs: dict[str, NodeSpec | DeviceSpec] = {}
        self.ports: dict[str, Address] = {}
        self.context = multiprocessing.get_context("spawn")
        self.stack = ExitStack()
        self.stopping = threading.Event()
        self.lock = threading.Lock()  # to start a process, or to stop all
        self.keeper = threading.Thread(target=self._keep_alive, name="keeps nodes alive", daemon=True)

    def _wrong_options(self) -> Iterator[str]:
        names = [*self.setting.nodes, *(each.name for each in self.setting.devices)]
        for name in self.cores:
            if name not in (known := ["device", "edge", "cloud", *names]):
                yield f"core of {name}: no such process; there are {', '.join(known)}"
        models = list(dict.fromkeys(plan.variant.model for plan in self.plans))
        for model in self.weights:
            if model not in models:
                yield f"weights of {model}: no network that is run; there are {', '.join(models)}"

    def __enter__(self) -> Self:
        try:
            self._prepare()
            nodes, devices = self._nodes_in_order(), [each.name for each in self.setting.devices]
            made = [self._launch(name) for name in (*nodes, *devices)]
            for each in made:
                self._await(each)
            for each in made:
                self._introduce(each)
                self.members[each.name] = each
            self.keeper.start()
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
        with self.lock:  # none is started after that
            self.stopping.set()
        for member in self.started:
            try:
                member.control.send(("stop", None))
            except (OSError, ValueError):
                continue
        until_s = time.monotonic() + STOP_S
        for member in self.started:
            member.process.join(max(0.0, until_s - time.monotonic()))
            if member.process.is_alive():
                member.process.kill()
        for member in self.started:
            member.process.join(5.0)
        if self.keeper.is_alive():
            self.keeper.join(5.0)
        self.stack.close()

    def spin(self) -> dict[str, float]:
        """Return the seconds of the sentinel loop in each process, one after the other."""
        return {member.name: self._ask(member, "spin", None) for member in list(self.members.values())}

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

        last_s = order[-1].born_s if order else 0.0
        end_s = max(self.setting.duration_s, last_s) + self.setting.drain_s
        begun_ns = time.monotonic_ns() + round(SETTLE_S * 1e9)
        causes: dict[str, str] = {}
        try:
            for name, those in mine.items():
                self._tell(self.members[name], "play", (begun_ns, those, end_s))
            causes = self._hear(list(mine), begun_ns * 1e-9 + end_s + SILENT_S, keep)
        finally:
            for name in mine.keys() - causes.keys():  # else it would go on, and tell of it in another
                self.members[name].process.kill()
        now_s = (time.monotonic_ns() - begun_ns) * 1e-9
        keep(legs.lost(each, causes[each.device], now_s) for each in order if each.id not in found)
        return [found[each.id] for each in order]

    def _hear(
        self, playing: list[str], until_s: float, keep: Callable[[Iterable[Done]], None]
    ) -> dict[str, str]:
        """Take rows until all devices have played; return why rows are missing of each."""
        variants = {each.label: each for facts in self.setting.facts for each in facts.variants}

        @cache  # rows share their plans
        def plan_of(told: tuple[Any, ...]) -> Plan:
            return Plan(variants[told[0]], *told[1:])

        causes = dict.fromkeys(playing, "unfinished")
        while playing:
            for name in tuple(playing):
                member = self.members[name]
                try:
                    if member.control.poll(LOOK_EVERY_S / len(playing)):
                        kind, done = member.control.recv()
                        if kind == "failed":
                            raise TestbedError(done)
                        if kind == "play":
                            playing.remove(name)
                        else:
                            keep(unpacked(each, plan_of) for each in done)
                except (EOFError, OSError):  # its end of the pipe is closed when it dies
                    LOG.warning("%s has died", name)
                    member.process.join(2.0)
                    causes[name] = "device-down"
                    playing.remove(name)
            if time.monotonic() > until_s:
                for name in playing:
                    LOG.warning("%s does not end its play, and is killed", name)
                    self.members[name].process.kill()
                until_s = math.inf
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
        for name, here in self.setting.nodes.items():
            core = self.cores.get(name, self.cores.get(here.kind))
            self.specs[name] = specs.of_node(
                self.setting, self.plans, name, self.folder, self.seed, core, self.log
            )
        for name in devices:
            core = self.cores.get(name, self.cores.get("device"))
            cell = specs.cell_of(self.setting, name)
            way, site = specs.way_up(self.setting, cell)
            self.specs[name] = DeviceSpec(
                name, self.scenario, self.choice, self.folder, self.seed, core, site, cell, way,
                tuple(specs.parts_at(self.plans, None)), self.frames, self.shows, self.log,
            )  # fmt: skip
        if self.kernel:
            spaces = self.stack.enter_context(namespaces(list(specs.pairs(self.specs))))
            self.hosts = spaces.addresses
            for name in {place for pair in spaces.addresses for place in pair}:  # who has links
                self.specs[name] = specs.left_to_kernel(self.specs[name], spaces.of(name))

    def _nodes_in_order(self) -> list[str]:
        """Those behind others first, so that who sends on knows where to."""
        order = sorted(self.setting.nodes.values(), key=lambda each: each.kind == "edge")
        return [each.name for each in order]

    def _start(self, name: str) -> None:
        """Start a process among others that are there, in the place of one that died.

        Raises TestbedError, and OSError where the system gives no more processes.
        """
        member = self._launch(name)
        try:
            self._await(member)
            self._introduce(member)
        except BaseException:
            member.process.kill()
            raise
        member.lives += self.members[name].lives
        self.members[name] = member

    def _launch(self, name: str) -> Member:
        """Begin to start a process; a node that was there before keeps its port."""
        spec = self.specs[name]
        if isinstance(spec, NodeSpec):
            spec = replace(spec, port=self.ports[name][1] if name in self.ports else 0)
        main: Callable[..., None] = node.main if isinstance(spec, NodeSpec) else device.main
        with self.lock:
            if self.stopping.is_set():
                msg = f"{name} is not started: the testbed is being closed"
                raise TestbedError(msg)
            mine, theirs = self.context.Pipe()
            process = self.context.Process(target=main, args=(spec, theirs), name=name, daemon=True)
            with _deaf():
                process.start()
            theirs.close()
            member = Member(name, process, mine)
            self.started = [*(each for each in self.started if each.process.is_alive()), member]
        return member

    def _await(self, member: Member) -> None:
        """Wait until a process has its networks, and if it is a node its port. Raises TestbedError."""
        told = self._hear_from(member)
        if told is not None:
            self.ports[member.name] = told

    def _introduce(self, member: Member) -> None:
        """Tell a process where to connect to: a node to those before it, a device to its site."""
        name = member.name
        spec = self.specs[name]
        if isinstance(spec, NodeSpec):
            order = self._nodes_in_order()
            those = [other for other in order[: order.index(name)] if other in spec.fellows]
        else:
            those = [] if spec.site is None else [spec.site]
        self._ask(member, "meet", {other: self._address(other, name) for other in those})

    def _address(self, name: str, seen_from: str) -> Address:
        host, port = self.ports[name]
        return self.hosts.get((name, seen_from), host), port

    def _keep_alive(self) -> None:
        """Start a node again that has died."""
        failures, at_s = Counter[str](), dict.fromkeys(self.setting.nodes, 0.0)
        while not self.stopping.wait(LOOK_EVERY_S):
            for name in self.setting.nodes:
                if self.members[name].process.is_alive() or time.monotonic() < at_s[name]:
                    continue
                LOG.warning("%s has died; it is started again", name)
                try:
                    self._start(name)
                    del failures[name]
                except (TestbedError, OSError) as error:
                    if self.stopping.is_set():
                        return
                    failures[name] += 1
                    wait_s = min(AGAIN_S, 2.0 ** failures[name])
                    at_s[name] = time.monotonic() + wait_s
                    LOG.warning("%s: it does not start (%s); again in %g s", name, error, wait_s)

    def _tell(self, member: Member, order: str, given: object) -> None:
        try:
            member.control.send((order, given))
        except OSError as error:
            msg = f"{member.name}: its process is gone: {error}"
            raise TestbedError(msg) from error

    def _ask(self, member: Member, order: str, given: object) -> Any:  # noqa: ANN401 - as it answers
        self._tell(member, order, given)
        return self._hear_from(member)

    def _hear_from(self, member: Member) -> Any:  # noqa: ANN401 - as above
        """Return what a process answers. Raises TestbedError."""
        until_s = time.monotonic() + READY_S
        try:
            while not member.control.poll(LOOK_EVERY_S):
                if self.stopping.is_set() or time.monotonic() > until_s:
                    why = "the testbed is being closed" if self.stopping.is_set() else "it is too slow"
                    msg = f"{member.name}: its process has not answered in {READY_S:g} s, or {why}"
                    raise TestbedError(msg)
            kind, told = member.control.recv()
        except (EOFError, OSError) as error:
            msg = f"{member.name}: its process is gone"
            raise TestbedError(msg) from error
        if kind == "failed":
            raise TestbedError(told)
        return told


@contextmanager
def _deaf() -> Iterator[None]:
    """Let what is started meanwhile not hear Ctrl-C, which is for this process, until it says so itself.

    Else it would show where it was as it was interrupted.
    """
    resource_tracker.ensure_running()  # to start it later would end this
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
