"""Servers that serve by rank against brute force that looks at every moment, and by hand."""

from dataclasses import replace
from itertools import pairwise, permutations
from math import inf

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from offload.entities import Scale
from offload.simulation.clock import Clock
from offload.simulation.memory import Memory
from offload.simulation.observing import Book
from offload.simulation.queueing import Job, Queueing
from offload.simulation.stations import LATE, SHED, InOrder
from tests import hand_made

SOON = st.integers(0, 300_000).map(lambda n: n * 1e-5)
WORK = st.integers(1, 100_000).map(lambda n: n * 1e-5)
NEAR = 1e-7

many = settings(max_examples=150, deadline=None, derandomize=True)

# When it comes, how long it takes, how urgent it is, how soon it must be done and begun after that.
JOBS = st.lists(
    st.tuples(SOON, WORK, st.integers(0, 2), WORK, st.one_of(st.just(inf), WORK)),
    min_size=1,
    max_size=14,
    unique_by=lambda each: each[0],
)


def serve(jobs, labels=(), memory=None, servers=1, **more):
    """Let a station serve jobs; return how each ended, when each began and for how long it loaded."""
    clock, ended, begun = Clock(), {}, {}
    node = hand_made.node("edge", "edge", **more)
    station = Queueing(clock, replace(node, servers=servers), memory)

    def join(number, seconds, priority, deadline_s, due_s):
        def wake(cause, *_):
            assert number not in ended
            ended[number] = (clock.now, cause)

        def begin(load_s, _seconds):
            begun[number] = (clock.now, load_s)

        label = labels[number] if labels else "net"
        station.join(Job(seconds, due_s, deadline_s, priority, label, begin, wake))

    for number, (at_s, seconds, priority, wanted_s, patience_s) in enumerate(jobs):
        told = (number, seconds, priority, at_s + wanted_s, at_s + patience_s)
        clock.at(at_s, lambda _, told=told: join(*told))
    clock.run()
    assert set(ended) == set(range(len(jobs)))  # nothing is lost
    assert station.busy == station.waiting == []
    assert station.queued_s == 0.0
    return ended, begun, station


def by_hand(jobs, rank, servers, limit):
    """Find how each ends by looking at every moment at which anything may change; also tell of ties."""
    coming = sorted(range(len(jobs)), key=lambda number: jobs[number][0])
    waiting, ended, until, tie = [], {}, [0.0] * servers, False
    moments = {jobs[number][0] for number in coming}
    now = -1.0
    while later := sorted(moment for moment in moments if moment > now):
        tie |= any(b - a < NEAR for a, b in pairwise(later))
        now = later[0]
        if coming and jobs[coming[0]][0] == now:
            number = coming.pop(0)
            if len(waiting) >= limit and min(until) > now:
                ended[number] = (now, SHED)
            else:
                waiting.append(number)
        while waiting and min(until) <= now:
            chosen = min(waiting, key=lambda number: (rank(jobs[number]), jobs[number][0]))
            waiting.remove(chosen)
            at_s, seconds, *_, patience_s = jobs[chosen]
            if at_s + patience_s < now:
                ended[chosen] = (now, LATE)
                continue
            until[until.index(min(until))] = now + seconds
            ended[chosen] = (now + seconds, "")
            moments.add(now + seconds)
    return ended, tie


HAND_RANKS = {
    "fifo": lambda _: 0,
    "priority": lambda job: -job[2],
    "edf": lambda job: job[0] + job[3],
}


@many
@given(
    jobs=JOBS,
    queue=st.sampled_from(sorted(HAND_RANKS)),
    servers=st.integers(1, 3),
    limit=st.sampled_from([None, 0, 1, 3]),
)
def test_servers_take_up_what_one_finds_by_hand(jobs, queue, servers, limit):
    expected, tie = by_hand(jobs, HAND_RANKS[queue], servers, inf if limit is None else limit)
    assume(not tie)
    ended, begun, station = serve(jobs, servers=servers, queue=queue, queue_limit=limit)
    assert {n: (pytest.approx(at_s, abs=1e-9), cause) for n, (at_s, cause) in expected.items()} == ended
    assert set(begun) == {number for number, (_, cause) in ended.items() if not cause}
    assert station.busy_s == pytest.approx(sum(jobs[number][1] for number in begun))
    assert station.server_seconds(5.0) == servers * 5.0


@many
@given(jobs=JOBS, servers=st.integers(1, 3))
def test_first_come_first_served_is_the_same_without_simulating_the_queue(jobs, servers):
    jobs = sorted((*job[:4], inf) for job in jobs)
    ended, *_ = serve(jobs, servers=servers)
    station = InOrder(servers)
    for number, (at_s, seconds, *_) in enumerate(jobs):
        assert ended[number] == (pytest.approx(station.serve(at_s, seconds), abs=1e-9), "")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(work=st.lists(st.tuples(WORK, WORK), min_size=1, max_size=6))
def test_earliest_deadline_first_has_the_least_greatest_lateness(work):
    # Of work that is there at once (Jackson 1955); what comes first is begun at once, so give it none.
    jobs = [(0.0, 1e-3, 0, 0.0, inf), *((1e-4, seconds, 0, wanted_s, inf) for seconds, wanted_s in work)]
    ended, *_ = serve(jobs, queue="edf")

    def lateness(order):
        now, worst = 1e-3, -inf
        for seconds, wanted_s in order:
            now += seconds
            worst = max(worst, now - (1e-4 + wanted_s))
        return worst

    found = max(ended[number + 1][0] - (1e-4 + wanted_s) for number, (_, wanted_s) in enumerate(work))
    assert found == pytest.approx(min(lateness(order) for order in permutations(work)), abs=1e-9)


@many
@given(jobs=JOBS, servers=st.integers(1, 3), queue=st.sampled_from(sorted(HAND_RANKS)))
def test_nobody_who_would_begin_too_late_is_admitted(jobs, servers, queue):
    jobs = [(*job[:4], inf) for job in jobs]
    ended, begun, _ = serve(jobs, servers=servers, queue=queue, admit="deadline")
    assert {cause for _, cause in ended.values()} <= {"", SHED}
    if queue == "fifo":  # elsewhere later ones may overtake
        for number, (begun_s, _) in begun.items():
            at_s, _, _, wanted_s, _ = jobs[number]
            assert begun_s <= at_s + wanted_s + 1e-9
    for number, (ended_s, cause) in ended.items():
        if cause:  # it is true of each that it would have begun too late, given those that were admitted
            at_s, _, _, wanted_s, _ = jobs[number]
            assert ended_s == at_s
            ahead = [n for n in begun if jobs[n][0] < at_s]
            rank = HAND_RANKS[queue]
            doing = [begun[n][0] + jobs[n][1] for n in ahead if begun[n][0] <= at_s]
            free = sorted([*(end for end in doing if end > at_s)])
            free = [at_s] * (servers - len(free)) + free
            queued = [n for n in ahead if begun[n][0] > at_s and rank(jobs[n]) <= rank(jobs[number])]
            for other in sorted(queued, key=lambda n: (rank(jobs[n]), jobs[n][0])):
                free[0] += jobs[other][1]
                free.sort()
            assert free[0] > at_s + wanted_s - 1e-9


@many
@given(jobs=JOBS, servers=st.integers(1, 3), later_s=SOON)
def test_backlog_is_the_wait_of_who_comes_last(jobs, servers, later_s):
    now = max(job[0] for job in jobs) + later_s
    told = []
    node = replace(hand_made.node("edge", "edge"), servers=servers)
    clock, begun = Clock(), []
    station = Queueing(clock, node)
    book = Book(0.25, 10.0, station, {})
    station.note = book.note

    def join(seconds, due_s, begin):
        station.join(Job(seconds, due_s, inf, 0, "net", begin, lambda *_: None))

    def probe(_):
        told.append((book.fresh(clock.now).backlog_s, book.report(int(clock.now / 0.25))))
        join(1.0, inf, lambda *_: begun.append(clock.now))

    for at_s, seconds, _, _, patience_s in jobs:
        told_ = seconds, at_s + patience_s, lambda *_: None
        clock.at(at_s, lambda _, told_=told_: join(*told_))
    clock.at(now, probe)
    clock.run()
    ((fresh_s, report),) = told
    assert begun == [pytest.approx(now + fresh_s, abs=1e-9)]
    if report.sent_s > max(job[0] for job in jobs):  # nobody came since: it has but shrunk
        assert fresh_s == pytest.approx(max(0.0, report.backlog_s - (now - report.sent_s)), abs=1e-9)


def job(at_s, seconds, **more):
    """Return a job of the first priority that nobody hurries."""
    return (at_s, seconds, more.get("priority", 0), 100.0, more.get("patience_s", inf))


def test_a_cold_start_holds_the_server_and_the_next_finds_it_warm():
    sizes = {"net": 8.0}
    jobs = [job(0.0, 1.0), job(0.5, 1.0), job(10.0, 1.0)]
    ended, begun, station = serve(jobs, memory=Memory(10.0, 32.0, sizes))
    assert begun == {0: (0.0, 2.0), 1: (3.0, 0.0), 2: (10.0, 0.0)}
    assert [ended[number][0] for number in range(3)] == [3.0, 4.0, 11.0]
    assert station.busy_s == 3.0
    assert station.resident() == ("net",)


def test_loads_go_one_by_one_and_a_second_server_waits_for_the_same_weights():
    memory = Memory(100.0, 8.0, {"a": 1.0, "b": 2.0})
    jobs = [job(0.0, 1.0), job(0.1, 1.0), job(0.2, 1.0)]
    _, begun, _ = serve(jobs, "aba", memory, servers=3)
    assert begun == {0: (0.0, 1.0), 1: (0.1, pytest.approx(2.9)), 2: (0.2, pytest.approx(0.8))}


def test_the_first_in_line_waits_while_weights_in_use_leave_no_room():
    memory = Memory(10.0, 8.0, {"a": 6.0, "b": 5.0}, ["a"])
    jobs = [job(0.0, 3.0), job(1.0, 1.0), job(1.5, 1.0)]
    ended, begun, _ = serve(jobs, "aba", memory, servers=3)
    # There is an idle server for the last, but it is not its turn; then no room for its weights.
    assert begun == {0: (0.0, 0.0), 1: (3.0, 5.0), 2: (9.0, 6.0)}
    assert ended[2] == (16.0, "")


def test_lateness_is_judged_when_a_server_takes_it_up_and_begins_to_load():
    memory = Memory(10.0, 8.0, {"net": 5.0})
    jobs = [job(0.0, 1.0, patience_s=1.0), job(0.5, 1.0, patience_s=5.0), job(0.6, 1.0, patience_s=6.0)]
    ended, *_ = serve(jobs, memory=memory)
    assert ended == {0: (6.0, ""), 1: (6.0, LATE), 2: (7.0, "")}


def test_backlog_counts_loads_to_come():
    clock = Clock()
    memory = Memory(10.0, 8.0, {"a": 5.0, "b": 3.0})
    station = Queueing(clock, hand_made.node("edge", "edge"), memory)
    for label in "abab":
        station.join(Job(1.0, inf, inf, 0, label, lambda *_: None, lambda *_: None))
    assert station.load() == (5 + 1 + 3 + 1 + 1 + 1, 0.0)
    assert Book(1.0, 1.0, station, {}).fresh(0.0).resident == ("a",)


SCALE = Scale(1, 3, 0.9, 0.5, 2.0)


def test_servers_come_and_go_by_hand():
    # At 0: one begins. At 0.1: 1 s waits for one server, over 0.9: a second starts, usable at 0.6. At
    # 0.2: 2 s wait for two, over 0.9 each: a third, usable at 0.7. At 0.3: 3 s, but no more may be.
    # The second takes up at 0.6, the third at 0.7, the first again at 1. They end at 1.6, 1.7 and 2, and
    # stop when idle for 2 s but for the last: at 3.6 and 3.7.
    jobs = [job(number / 10, 1.0) for number in range(4)]
    ended, begun, station = serve(jobs, scale=SCALE)
    assert {number: at_s for number, (at_s, _) in begun.items()} == {0: 0.0, 1: 0.6, 2: 0.7, 3: 1.0}
    assert [ended[number][0] for number in range(4)] == [1.0, 1.6, 1.7, 2.0]
    assert station.servers == 1
    # On from 0.1 and 0.2, starting included.
    assert station.server_seconds(10.0) == pytest.approx(10.0 + (3.6 - 0.1) + (3.7 - 0.2))


def test_backlog_that_is_not_exceeded_starts_nobody():
    jobs = [job(0.0, 1.0), job(0.1, 0.9)]
    _, begun, station = serve(jobs, scale=SCALE)
    assert begun[1][0] == 1.0
    assert station.server_seconds(10.0) == 10.0


def test_a_server_that_works_again_in_time_does_not_stop():
    busy = [job(0.0, 1.0), job(0.1, 1.0)]  # two servers from 0.1, done at 1 and 1.6
    again = [job(2.5, 1.0), job(2.6, 0.5)]
    ended, _, station = serve([*busy, *again], scale=SCALE)
    # The second worked last and is taken first, then the other; both end at 3.5 and 3.1.
    assert [ended[number][0] for number in (2, 3)] == [3.5, pytest.approx(3.1)]
    assert station.server_seconds(10.0) == pytest.approx(10.0 + 5.1 - 0.1)
    assert station.servers == 1


def test_starting_servers_count_for_who_comes_last():
    clock = Clock()
    station = Queueing(clock, hand_made.node("edge", "edge", scale=SCALE))
    for _ in range(2):
        station.join(Job(10.0, inf, inf, 0, "net", lambda *_: None, lambda *_: None))
    assert station.servers == 3  # at once: the 10 s that wait are too much for two as well
    station.join(Job(0.5, inf, inf, 0, "net", lambda *_: None, lambda *_: None))
    # The first works until 10, the second from 0.5 until 10.5, the third from 0.5 until 1.
    assert station.load() == (1.0, 0.0)
