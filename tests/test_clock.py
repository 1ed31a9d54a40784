"""The clock: SimPy's own programs run on it unchanged, and it keeps absolute times to the bit."""

import random

import pytest
import simpy

from offload.simulation.clock import Clock


def program(env, seed):
    """Start an ordinary SimPy program: customers, a resource, interrupts, conditions, a store."""
    chance, trace = random.Random(seed), []
    counter = simpy.PriorityResource(env, capacity=2)
    shelf = simpy.Store(env, capacity=3)

    def customer(number):
        yield env.timeout(chance.choice([0, 0.5, 1, 1.5]))
        with counter.request(priority=chance.choice([0, 1])) as turn:
            outcome = yield turn | env.timeout(1.2)
            if turn not in outcome:
                trace.append((env.now, number, "left"))
                return
            trace.append((env.now, number, "served"))
            yield env.timeout(chance.choice([0.25, 0.5, 2]))
            yield shelf.put(number)
        trace.append((env.now, number, "done"))

    def packer():
        while True:
            try:
                item = yield shelf.get()
                trace.append((env.now, item, "packed"))
                yield env.timeout(0.7)
            except simpy.Interrupt as interrupt:
                trace.append((env.now, -1, interrupt.cause))

    def foreman(worker):
        for _ in range(4):
            yield env.timeout(1.1)
            worker.interrupt("hurry")

    for number in range(30):
        env.process(customer(number))
    env.process(foreman(env.process(packer())))
    return trace


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("until", [None, 6.0])
def test_simpy_programs_run_as_on_their_own_environment(seed, until):
    usual, clock = simpy.Environment(), Clock()
    expected, trace = program(usual, seed), program(clock, seed)
    usual.run(until)
    clock.run(until)
    assert len(trace) > 30
    assert trace == expected
    assert clock.now == usual.now
    # And in its own loop, which stops at no event of its own.
    clock = Clock()
    trace = program(clock, seed)
    clock.run_while_empty([], float("inf") if until is None else until)
    assert trace == expected


def test_program_and_callbacks_interleave_by_time_then_order():
    clock, trace = Clock(), []

    def process():
        for _ in range(3):
            yield clock.timeout(1)
            trace.append(("process", clock.now))

    clock.process(process())
    clock.at(2.0, lambda _: trace.append(("callback", clock.now)))
    clock.at(0.5, lambda now: trace.append(("called", now)))
    clock.run()
    assert trace == [
        ("called", 0.5),
        ("process", 1.0),
        ("callback", 2.0),
        ("process", 2.0),
        ("process", 3.0),
    ]


def test_a_time_is_kept_to_the_bit():
    clock, times = Clock(), []
    clock.at(0.2, lambda _: clock.at(0.9, lambda _: times.append(clock.now)))
    clock.run()
    assert times == [0.9]
    assert 0.2 + (0.9 - 0.2) != 0.9  # so that a timeout of the difference would be early


def test_a_past_time_is_refused():
    clock = Clock()
    clock.at(2.0, lambda _: None)
    clock.run()
    clock.at(2.0, lambda _: None)  # now is not past
    with pytest.raises(ValueError, match=r"time 1\.5 lies before now, 2\.0"):
        clock.at(1.5, lambda _: None)


def test_running_stops_when_something_lies_in_the_box_and_before_the_end():
    clock, box = Clock(), []
    for time in (1.0, 2.0, 3.0, 4.0):
        clock.at(time, lambda _, time=time: box.append(time))
    clock.run_while_empty(box, 3.0)
    assert (box, clock.now) == ([1.0], 1.0)
    clock.run_while_empty(box, 3.0)
    assert box == [1.0]  # still full
    box.clear()
    clock.run_while_empty(box, 1.5)
    assert box == []
    clock.run_while_empty(box, 3.0)
    box.clear()
    clock.run_while_empty(box, 3.0)
    assert (box, clock.now) == ([3.0], 3.0)  # the end counts
    box.clear()
    clock.run_while_empty(box, 3.5)
    assert box == []


def test_failures_of_processes_surface():
    def process(env):
        yield env.timeout(1)
        msg = "as it should"
        raise KeyError(msg)

    clock = Clock()
    clock.process(process(clock))
    with pytest.raises(KeyError, match="as it should"):
        clock.run_while_empty([], 10.0)
