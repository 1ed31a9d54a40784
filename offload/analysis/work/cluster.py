"""A Dask cluster whose workers run replications, once it is clear that they make the same rows."""

import asyncio
import logging
import math
import os
import pickle
import platform
import queue
import re
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from offload.analysis import rows
from offload.analysis.measures import Summary
from offload.analysis.work.attempt import Ending, Failure, absolute_paths, attempt, killed
from offload.analysis.work.replication import During, Replication
from offload.entities import OffloadError

ANSWERS_WITHIN_S = 8.0
LONELY_FOR_S = 60.0  # how long work waits for a worker where there is none
MOST_LINES = 8
KEPT = "what is finished is kept, and the same command goes on"
LIBRARIES = ("offload", "numpy", "polars", "scipy", "simpy")

_ADDRESS = re.compile(r"(tcp|tls)://[^/\s]{1,250}:\d{1,5}")
_ONE_AT_A_TIME = threading.Lock()


class ClusterError(OffloadError):
    """A cluster that does not answer, or whose workers would not make the same rows."""


class Cluster:
    """The workers of a Dask cluster that runs already.

    They write the rows themselves, so that folders must be on a file system that all of them share.
    """

    def __init__(self, address: str) -> None:
        """Connect to a scheduler at `tcp://host:port`. Raises ClusterError."""
        if not _ADDRESS.fullmatch(address):
            msg = f"--cluster {address:.80}: write tcp://HOST:PORT, as dask scheduler prints it"
            raise ClusterError(msg)
        try:
            import distributed
        except ImportError as error:
            msg = f"--cluster needs Dask: pip install 'offload[cluster]' ({error})"
            raise ClusterError(msg) from error
        self._killed = distributed.KilledWorker
        connect: Any = distributed.Client  # which has no types
        _hush()
        self._address = address
        try:
            # What is no scheduler keeps a client waiting for ever. A thread: there may be a loop here.
            with ThreadPoolExecutor(1) as aside:
                aside.submit(asyncio.run, _greet(address)).result()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # on versions; ours are checked, and told, below
                self._client: Any = connect(
                    address, timeout=ANSWERS_WITHIN_S, set_as_default=False, name="offload"
                )
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            msg = f"--cluster {address}: no Dask scheduler answers there; dask scheduler starts one"
            raise ClusterError(msg) from error

    def run(self, work: Sequence[Replication], _during: During | None = None, /) -> Ending:
        """Run replications, and return each with what it came to as it ends; not how far they are.

        What is under way when this is given up is not interrupted. Raises ClusterError, OSError.
        """
        if not work:
            return
        # Other processes start elsewhere.
        placed = [
            replace(each, base=str(Path(each.base).resolve()), out=each.out and each.out.resolve())
            for each in work
        ]
        with _token(placed) as token:
            self._check(placed, token)
            yield from ((work[at], found) for at, found in self._run(placed, token))

    def close(self) -> None:
        """Let go of the cluster, which goes on."""
        self._client.close(timeout=2)

    def _run(
        self, work: list[Replication], token: Path | None
    ) -> Iterator[tuple[int, Summary | Failure]]:
        """Let the cluster divide the work, and then try alone what shared workers that were killed."""
        call = {"token": token, "paths": absolute_paths(), "wanted": _versions()}
        waiting = dict(enumerate(self._submit(work, call)))
        try:
            suspects = []
            for at, found in self._ending(waiting):
                if found is None:
                    suspects.append(at)
                else:
                    yield at, found
            for at in suspects:
                waiting = {at: self._submit([work[at]], call)[0]}
                for _, found in self._ending(waiting):
                    yield at, found or killed(work[at])
        finally:
            if waiting and self._client.status == "running":
                self._client.cancel(list(waiting.values()))

    def _submit(self, work: list[Replication], call: Mapping[str, Any]) -> list[Any]:
        run = uuid.uuid4().hex
        keys = [f"offload-{run}-{number}" for number in range(len(work))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on the size of the scenarios' text
            parcels = [pickle.dumps((partial(_piece, **call), (each,))) for each in work]
            futures: list[Any] = self._client.map(_opener(), parcels, key=keys, pure=False)
        return futures

    def _ending(self, waiting: dict[int, Any]) -> Iterator[tuple[int, Summary | Failure | None]]:
        """Return what each came to as it ends, None where its worker was killed, again and again."""
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        at_key = {future.key: at for at, future in waiting.items()}
        for future in waiting.values():
            future.add_done_callback(ended.put)
        lonely_since_s = math.inf
        while waiting:
            try:
                future = ended.get(timeout=1.0)
            except queue.Empty:
                now_s = time.monotonic()
                lonely_since_s = math.inf if self._workers() else min(lonely_since_s, now_s)
                if now_s - lonely_since_s > LONELY_FOR_S:
                    msg = f"--cluster {self._address}: has no workers left; {KEPT}"
                    raise ClusterError(msg) from None
                continue
            if future.status in ("pending", "lost"):  # its worker ended just after it did; once more
                future.add_done_callback(ended.put)
                continue
            try:
                error = future.exception()
                found = None if error else future.result()
            except (OSError, CancelledError) as broken:  # of the way there; its own are in `error`
                msg = f"--cluster {self._address}: is gone; {KEPT}"
                raise ClusterError(msg) from broken
            if error is not None and not isinstance(error, self._killed):
                raise error
            at = at_key[future.key]
            del waiting[at]
            yield at, found

    def _workers(self) -> bool:
        """Tell whether there is anyone, as far as is known."""
        return self._client.status != "running" or bool(self._client.scheduler_info()["workers"])

    def _check(self, work: list[Replication], token: Path | None) -> None:
        """Refuse workers that do not see the files, or whose rows might differ. Raises ClusterError."""
        first = tuple({each.choice.name: each for each in reversed(work)}.values())
        here, _ = facts(first, None, ())
        faults = [f"--cluster {self._address}: its workers cannot do this; nothing was run"]
        told = self._ask(facts, first, token, absolute_paths())
        for address, found in sorted(told.items()):
            faults += [f"worker {address} {what}" for what in _differences(here, found)]
        if not told:
            msg = f"--cluster {self._address}: has no workers; dask worker {self._address} starts some"
            raise ClusterError(msg)
        if len(faults) > 1 + MOST_LINES:
            faults = [*faults[: 1 + MOST_LINES], f"and {len(faults) - 1 - MOST_LINES} more"]
        if len(faults) > 1:
            raise ClusterError("\n".join(faults))

    def _ask(self, function: Callable[..., Any], *given: object) -> dict[str, Any]:
        """Call a function on every worker; return answers, or what it raised."""
        parcel = pickle.dumps((function, given))
        answers: dict[str, Any] = self._client.run(_opener(), parcel, on_error="return")
        return answers


def _opener() -> Callable[[bytes], Any]:
    """Return what opens a parcel, a function and its arguments, and calls it.

    It travels by value, and only workers open parcels. The scheduler, which reads and rewrites what it
    is given, may have no `offload`, or have loaded another version; a worker without it says so.
    """

    def opened(parcel: bytes) -> Any:  # noqa: ANN401 - whatever the function returns
        import pickle as reader

        called, arguments = reader.loads(parcel)  # noqa: S301 - written here
        return called(*arguments)

    return opened


def _differences(here: Mapping[str, str], found: Any) -> list[str]:  # noqa: ANN401 - whatever came back
    """Say in what a worker differs, by its facts or by what it raised instead."""
    if isinstance(found, BaseException):
        return [f"cannot run this version of offload: {type(found).__name__}: {found}"]
    there: Mapping[str, str] = found[0]
    unseen: list[str] = found[1]
    others = [
        f"has {key} {there.get(key)}, here it is {value}: rows might differ"
        + ("; it keeps the policies that it has loaded: start it again" if "policy" in key else "")
        for key, value in here.items()
        if there.get(key, value) != value
    ]
    return unseen + others


def facts(
    work: Sequence[Replication], token: Path | None, paths: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Return what decides the rows that this process would make, and which files it does not see."""
    sys.path.extend(path for path in paths if path not in sys.path)
    told, unseen = dict(_versions()), []
    for each in work:
        try:
            wanted = each.identity()
        except OffloadError as error:
            unseen += [f"finds fault: {line}" for line in str(error).splitlines()]
            continue
        told["the scenario's files"] = wanted["digest"]
        told[f"policy {each.choice.name}"] = wanted["policy_code"] or "built in"
    if token is not None:
        unseen += _unseen(token)
    return told, unseen


def _piece(
    replication: Replication, *, token: Path | None, paths: Sequence[str], wanted: Mapping[str, str]
) -> Summary | Failure:
    """Run a replication in a worker, which may have come after the others were checked."""
    told, unseen = facts((), token, ())
    if unseen or told != wanted:
        what = "; ".join(_differences(wanted, (told, unseen)))
        msg = f"a worker that came later ({platform.node()}) {what}"
        raise ClusterError(msg)
    with _ONE_AT_A_TIME:  # a worker of several threads: they would share one core anyway
        return attempt(replication, paths)


@cache
def _versions() -> Mapping[str, str]:
    versions = {"Python": platform.python_version()} | {each: version(each) for each in LIBRARIES}
    return versions | {"the code of offload": rows.code_digest()}


@contextmanager
def _token(work: Sequence[Replication]) -> Iterator[Path | None]:
    """Yield a new file above all folders of results, None if there are none; it goes in the end."""
    folders = {each.out for each in work if each.out is not None}
    if not folders:
        yield None
        return
    token = Path(os.path.commonpath(folders)) / f".seen-{uuid.uuid4().hex}"
    token.parent.mkdir(parents=True, exist_ok=True)
    token.touch()
    try:
        yield token
    finally:
        token.unlink(missing_ok=True)


def _unseen(token: Path) -> list[str]:
    """Say in a list whether this process cannot see or write what lies beside a file."""
    if not token.is_file():
        shared = "give --out a folder on a file system that all workers share"
        return [f"does not see {token.parent}; {shared}"]
    trial = token.with_name(f"{token.name}.{uuid.uuid4().hex}")
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        return [f"cannot write to {token.parent}: {error.strerror}"]
    return []


async def _greet(address: str) -> None:
    """Shake hands with a scheduler, or raise TimeoutError or OSError."""
    from distributed.comm import core as comms

    connect: Any = comms.connect  # which has no types
    comm = await asyncio.wait_for(connect(address, timeout=ANSWERS_WITHIN_S), ANSWERS_WITHIN_S)
    comm.abort()


def _hush() -> None:
    """Keep what Dask logs off the terminal: what matters of it is raised here."""
    loggers = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    for name in ("distributed", "tornado.application", *loggers):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
