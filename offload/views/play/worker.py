"""A process that simulates what was last asked for, and drops what it was at when asked anew."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from offload.analysis.work.processes import deaf
from offload.entities import OffloadError
from offload.views.play.settings import Settings, read

LOOK_EVERY_S = 0.03
SERVES = 200  # simulations; then a new process takes over, and what this one remembers is gone


class Worker:
    """Simulations one at a time, in a process of their own: the page stays quick meanwhile.

    Who asks gets what is told after each replication, and None where somebody else has asked since.
    What goes through the pipe is JSON with the number of who asked.
    """

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._number = 0
        self._served = 0

    async def rows(
        self, settings: Settings, stopping: Callable[[], bool]
    ) -> AsyncIterator[dict[str, Any] | None]:
        """Yield what is told of a simulation as it comes; it ends if nobody listens any more."""
        pipe = self._ready()
        self._number += 1
        mine = self._number
        try:
            _send(pipe, [mine, settings.model_dump_json()])
            while mine == self._number and not stopping():
                if not pipe.poll():
                    await asyncio.sleep(LOOK_EVERY_S)
                    continue
                number, told, last = json.loads(pipe.recv_bytes())
                if number == mine:
                    yield told
                    if last:
                        return
            yield None if mine != self._number else {"errors": ["the playground has ended"]}
        except (EOFError, OSError):
            self.close()
            yield {"errors": ["the process that simulates has ended; move a slider to start another"]}
        finally:
            if mine == self._number and self._pipe is pipe:
                self._drop()

    def start(self) -> Connection:
        """Start the process, which then waits for its first work; return the pipe to it."""
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=work, args=(theirs,), daemon=True)
        resource_tracker.ensure_running()  # which would let the process hear Ctrl-C if it began with it
        with deaf():
            process.start()
        theirs.close()
        self._process, self._pipe, self._served = process, ours, 0
        return ours

    def close(self) -> None:
        """End the process."""
        self._number += 1
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.terminate()
            self._process.join(1.0)
        self._process = self._pipe = None

    def _ready(self) -> Connection:
        pipe, alive = self._pipe, self._process is not None and self._process.is_alive()
        if pipe is None or not alive or self._served >= SERVES:
            self.close()
            pipe = self.start()
        self._served += 1
        return pipe

    def _drop(self) -> None:
        """Let the process stop what it is at; it may be done already."""
        if self._pipe is not None:
            try:
                _send(self._pipe, None)
            except OSError:
                self.close()


def work(pipe: Connection) -> None:
    """Simulate what comes through a pipe until that is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where signals cannot be blocked from outside
    from offload.analysis.files import to_json
    from offload.views.play.live import simulate

    try:
        while True:
            asked = json.loads(pipe.recv_bytes())
            if asked is None:
                continue
            number, settings = asked
            try:
                for told in simulate(read(settings.encode()), pipe.poll):
                    _send(pipe, [number, to_json(asdict(told)), told.replications == told.of])
            except OffloadError as error:
                _send(pipe, [number, {"errors": str(error).splitlines()}, True])
    except (EOFError, OSError):
        return


def _send(pipe: Connection, told: object) -> None:
    pipe.send_bytes(json.dumps(told).encode())
