"""The process that simulates: it drops what nobody waits for, and another takes over if it dies."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from offload.views.play import worker as workers
from offload.views.play.live import REPLICATIONS
from offload.views.play.settings import Settings
from offload.views.play.worker import Worker


@pytest.fixture(scope="module")
def worker():
    """One for all: it is a while until its process has read what it needs."""
    found = Worker()
    yield found
    found.close()


async def gather(worker, settings, stopping=lambda: False):
    return [told async for told in worker.rows(settings, stopping)]


def is_whole(told):
    return [each["replications"] for each in told] == list(range(1, REPLICATIONS + 1))


def test_who_asks_last_is_answered(worker):
    async def ask():
        first = asyncio.create_task(gather(worker, Settings(every_s=0.1)))
        await asyncio.sleep(0.0)  # it asks
        return await gather(worker, Settings()), await first

    last, before = asyncio.run(ask())
    assert is_whole(last)
    assert before[-1] is None


def test_a_process_that_dies_is_told_and_replaced(worker):
    async def ask():
        told = []
        async for each in worker.rows(Settings(devices=40, every_s=0.05), lambda: False):
            told.append(each)
            if "errors" not in each:  # of five replications one is done
                worker._process.kill()
                worker._process.join()
        return told, await gather(worker, Settings())

    (first, *_, last), again = asyncio.run(ask())
    assert first["replications"] == 1
    assert last["errors"][0].startswith("the process that simulates has ended")
    assert is_whole(again)


def test_a_process_serves_so_many_and_makes_way(worker, monkeypatch):
    monkeypatch.setattr(workers, "SERVES", 1)

    async def ask():
        found = []
        for _ in range(2):
            assert is_whole(await gather(worker, Settings()))
            found.append(worker._process.pid)
        return found

    first, second = asyncio.run(ask())
    assert first != second


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells which signals are blocked")
def test_ctrl_c_is_not_the_process_s_even_while_it_begins():
    # In a program of its own: what multiprocessing began before would hide it.
    script = (
        "from offload.views.play.worker import Worker; from pathlib import Path; worker = Worker();"
        "worker.start(); print(Path(f'/proc/{worker._process.pid}/status').read_text()); worker.close()"
    )
    told = subprocess.check_output([sys.executable, "-c", script], text=True)
    blocked = int(re.search(r"SigBlk:\s*([0-9a-f]+)", told)[1], 16)
    assert blocked & 1 << signal.SIGINT - 1


def test_it_stops_when_the_server_does(worker):
    (told,) = asyncio.run(gather(worker, Settings(), lambda: True))
    assert told == {"errors": ["the playground has ended"]}


def test_who_is_slow_to_listen_takes_nothing_from_who_asked_since(worker):
    async def ask():
        slow = worker.rows(Settings(every_s=0.1), lambda: False)
        first = await anext(slow)
        last = worker.rows(Settings(), lambda: False)
        told = [await anext(last)]
        assert worker._pipe.poll(60)  # there is something to take
        dropped = [each async for each in slow]
        return first, dropped, told + [each async for each in last]

    first, dropped, told = asyncio.run(asyncio.wait_for(ask(), 60))
    assert first["replications"] == 1
    assert dropped == [None]
    assert is_whole(told)


def test_what_cannot_be_simulated_is_told(worker):
    (told,) = asyncio.run(gather(worker, Settings(network="resnet5")))
    assert told == {"errors": ['network: no network "resnet5"; did you mean "resnet50"?']}
