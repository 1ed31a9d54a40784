"""Stations against brute force that shares no code with them, and the clock against SimPy's."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import fsum, inf

import pytest
import simpy
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from offload.simulation.air import HANDOVER, NO_ROUTE, OUT_OF_RANGE, Dedicated, Shared
from offload.simulation.batching import Batching, Member
from offload.simulation.clock import Clock
from offload.simulation.stations import LATE, InOrder
from offload.world.rate import Rate
from offload.world.reach import Reach, attachments

# Fine-grained enough that two times seldom coincide by chance, coarse enough to shrink well.
SOON = st.integers(0, 300_000).map(lambda n: n * 1e-5)
WORK = st.integers(1, 100_000).map(lambda n: n * 1e-5)
NEAR = 1e-7  # what happens closer together may happen in either order

many = settings(max_examples=400, deadline=None, derandomize=True)


# In order


@many
@given(
    servers=st.integers(1, 5),
    work=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 2)), min_size=1, max_size=40),
)
@example(servers=2, work=[(1.0, 1.0), (1.0, 0.0), (1.0, 1.0), (1.0, 2.0), (2.0, 0.5)])
def test_in_order_is_a_simpy_resource(servers, work):
    work = sorted(work, key=lambda each: each[0])
    env = simpy.Environment()
    resource = simpy.Resource(env, capacity=servers)
    expected = [0.0] * len(work)

    def customer(number, at_s, seconds):
        yield env.timeout(at_s)
        with resource.request() as turn:
            yield turn
            yield env.timeout(seconds)
        expected[number] = env.now

    for number, (at_s, seconds) in enumerate(work):
        env.process(customer(number, at_s, seconds))
    env.run()
    station = InOrder(servers)
    assert [station.serve(at_s, seconds) for at_s, seconds in work] == expected
    assert station.busy_s == pytest.approx(fsum(seconds for _, seconds in work))
    assert max(station.free) == max(expected)


@many
@given(
    servers=st.integers(1, 4),
    work=st.lists(st.tuples(SOON, WORK), min_size=1, max_size=20),
    later_s=SOON,
)
def test_in_order_backlog_is_the_wait_of_an_arrival(servers, work, later_s):
    station = InOrder(servers)
    for at_s, seconds in sorted(work):
        station.serve(at_s, seconds)
    now = max(at_s for at_s, _ in work) + later_s
    told_s = max(0.0, station.load()[0] - now)
    assert station.serve(now, 1.0) - now - 1.0 == pytest.approx(told_s, abs=1e-9)


# Shared


def stepwise(first, gaps, values):
    """A speed: `first`, and after each gap the next of the values."""
    times = [0.0, *accumulate(gaps)]
    return Rate(tuple(times), (first, *values[: len(gaps)]))


@dataclass
class Sent:
    """One transfer of the brute force."""

    number: int
    at_s: float
    left_s: float
    due_s: float
    whole_s: float = 0.0
    used_s: float = 0.0
    started: bool = False
    outside_since_s: float | None = None
    cause: str = NO_ROUTE


@dataclass
class Sharing:
    """Brute force: what is left of each transfer, stepped from one happening to the next.

    Each device that is in range and has something to send gets an equal share of time for the first of
    its queue. Whoever has been outside for `give_up_s` fails; who would begin later than it is due is
    dropped. `tie` tells that two things that exclude each other
    happened nearly at once.
    """

    give_up_s: float
    coverages: dict
    weights: dict = field(default_factory=dict)
    now: float = 0.0
    queues: dict = field(default_factory=dict)
    ended: dict = field(default_factory=dict)
    busy_s: float = 0.0
    tie: bool = False

    def speed(self, device):
        """Tell how fast a device is now."""
        coverage = self.coverages.get(device)
        return 1.0 if coverage is None else coverage.at(self.now)

    def on_air(self):
        """Return what shares the cell now."""
        return [
            (queue[0], self.speed(device), self.weights.get(device, 1))
            for device, queue in self.queues.items()
            if queue and self.speed(device) > 0
        ]

    def settle(self):
        """Give up, and drop what is late, as of now."""
        for device, queue in self.queues.items():
            inside = self.speed(device) > 0
            for sent in tuple(queue):
                if inside:
                    sent.outside_since_s = None
                elif sent.outside_since_s is None:
                    sent.outside_since_s = self.now
                    sent.cause = NO_ROUTE if sent.at_s == self.now else OUT_OF_RANGE
                elif self.now >= sent.outside_since_s + self.give_up_s - 1e-12:
                    queue.remove(sent)
                    self.end(sent, sent.cause)
            while inside and queue and not queue[0].started:
                self.tie |= abs(queue[0].due_s - self.now) < NEAR
                if queue[0].due_s >= self.now:
                    queue[0].started = True
                    break
                self.end(queue.popleft(), LATE)

    def advance(self, until_s):
        """Step from happening to happening until a time."""
        while self.now < until_s:
            on_air = self.on_air()
            total = sum(weight for *_, weight in on_air)
            ends_s = min(
                (self.now + sent.left_s * total / (speed * weight) for sent, speed, weight in on_air),
                default=inf,
            )
            changes_s = min((c.changes_after(self.now) for c in self.coverages.values()), default=inf)
            waiting = [sent for queue in self.queues.values() for sent in queue]
            gives_up_s = min(
                (s.outside_since_s + self.give_up_s for s in waiting if s.outside_since_s is not None),
                default=inf,
            )
            happens_s = min(ends_s, changes_s, gives_up_s, until_s)
            others = (changes_s, gives_up_s)
            self.tie |= min(abs(ends_s - other) if other < inf else inf for other in others) < NEAR
            self.tie |= gives_up_s < inf and abs(gives_up_s - changes_s) < NEAR
            for sent, speed, weight in on_air:
                used_s = (happens_s - self.now) * weight / total
                sent.left_s -= used_s * speed
                sent.used_s += used_s
            self.busy_s += (happens_s - self.now) * bool(on_air)
            self.now = happens_s
            for queue in self.queues.values():
                if queue and queue[0].left_s <= 1e-11 and queue[0] in [sent for sent, *_ in on_air]:
                    self.end(queue.popleft(), "")
            self.settle()

    def end(self, sent, cause):
        """Write down what became of a transfer."""
        share = 1.0 if not cause else 1.0 - sent.left_s / sent.whole_s
        self.ended[sent.number] = (self.now, cause, share, sent.used_s)

    def send(self, device, sent):
        """Take a transfer when its time has come."""
        self.advance(sent.at_s)
        self.queues.setdefault(device, deque()).append(sent)
        self.settle()

    def queued_s(self, device):
        """Return what a device has left to send."""
        return fsum(sent.left_s for sent in self.queues.get(device, ()))


# Who sends, when, how much, and for how long after that it may begin.
TRANSFERS = st.lists(
    st.tuples(st.sampled_from("abcde"), SOON, WORK, st.one_of(st.just(inf), WORK)),
    min_size=1,
    max_size=25,
)
SPEEDS = st.sampled_from([0.0, 0.0, 0.3, 1.0, 2.0])
COVERAGES = st.dictionaries(
    st.sampled_from("abc"),
    st.builds(
        stepwise,
        SPEEDS,
        st.lists(st.integers(1000, 150_000).map(lambda n: n * 1e-5 + 3e-6), max_size=6),
        st.lists(SPEEDS, min_size=6, max_size=6),
    ),
)


@dataclass
class Hearing:
    """A receiver that hears of an arrival when it is there."""

    clock: Clock
    wake: Callable[..., object]

    def arrives(self, at_s, air_s):
        self.clock.at(at_s, lambda _: self.wake("", 1.0, air_s))


def share(transfers, coverages, give_up_s, delay_s, probes=(), weights=None):
    """Send the same over the station and by brute force; return both, and what probes saw."""
    clock = Clock()
    cell = Shared(clock, delay_s, give_up_s, weights=weights)
    brute = Sharing(give_up_s, coverages, weights or {})
    found, seen, busy, since_s = {}, [], [], [0.0]

    def note(now):
        busy.append((now - since_s[0]) * (cell.active > 0))
        since_s[0] = now

    cell.note = note

    def send(number, device, air_s, due_s):
        def wake(cause, share=0.0, air_s=0.0):
            assert number not in found  # woken once
            found[number] = (clock.now, cause, share, air_s)

        assert cell.send(device, air_s, Hearing(clock, wake), due_s, coverages.get(device)) is None

    def probe(device):
        seen.append((cell.queued_air_s(device), cell.is_on_air(device), cell.active))

    happenings = [(at_s, 0, number) for number, (_, at_s, _, _) in enumerate(transfers)]
    happenings += [(at_s, 1, number) for number, (_, at_s) in enumerate(probes)]
    expected_seen = []
    for at_s, kind, number in sorted(happenings):
        if kind:
            device, _ = probes[number]
            clock.at(at_s, lambda _, device=device: probe(device))
            brute.advance(at_s)
            on_air = brute.speed(device) > 0 and bool(brute.queues.get(device))
            expected_seen.append((brute.queued_s(device), on_air, sum(w for *_, w in brute.on_air())))
        else:
            device, _, air_s, patience_s = transfers[number]
            due_s = at_s + patience_s
            clock.at(at_s, lambda _, args=(number, device, air_s, due_s): send(*args))
            brute.send(device, Sent(number, at_s, air_s, due_s, air_s))
    brute.advance(1e4)
    clock.run()
    return found, brute, seen, expected_seen, fsum(busy)


def same_ends(found, brute, delay_s):
    """Assert that each transfer ended as the brute force says; what arrives does so a delay later."""
    assert set(found) == set(brute.ended)
    for number, (ended_s, cause, share, used_s) in brute.ended.items():
        assert found[number][1] == cause
        expected_s = ended_s + (0.0 if cause else delay_s)
        assert found[number][0] == pytest.approx(expected_s, rel=0, abs=1e-9)
        assert found[number][2:] == pytest.approx((share, used_s), rel=0, abs=1e-8)


@many
@given(transfers=TRANSFERS, probes=st.lists(st.tuples(st.sampled_from("abcde"), SOON), max_size=8))
def test_shared_cell_of_devices_that_stand(transfers, probes):
    delay_s = 0.002
    found, brute, seen, expected_seen, busy_s = share(transfers, {}, 0.5, delay_s, probes)
    assume(not brute.tie)
    same_ends(found, brute, delay_s)
    assert len(found) == len(transfers)
    # Bytes are conserved: the cell is on air for what arrives at its full rate, no more and no less.
    arrived_s = fsum(transfers[number][2] for number, (_, cause, *_) in found.items() if not cause)
    assert busy_s == pytest.approx(arrived_s, abs=1e-9)
    for (queued_s, on_air, active), expected in zip(seen, expected_seen, strict=True):
        assert queued_s == pytest.approx(expected[0], abs=1e-9)
        if expected[0] > NEAR or not on_air:  # else it ends at this very moment
            assert (on_air, active) == expected[1:]


@many
@given(
    transfers=TRANSFERS,
    coverages=COVERAGES,
    give_up_s=st.sampled_from([0.0500007, 0.4000007, 100.0, inf]),
    probes=st.lists(st.tuples(st.sampled_from("abc"), SOON), max_size=4),
    weights=st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0.3, 2, 5.0])),
)
def test_shared_cell_of_devices_that_come_and_go(transfers, coverages, give_up_s, probes, weights):
    found, brute, seen, expected_seen, busy_s = share(
        transfers, coverages, give_up_s, 0.0, probes, weights
    )
    assume(not brute.tie)
    same_ends(found, brute, 0.0)
    assert busy_s == pytest.approx(brute.busy_s, abs=1e-9)
    if len(found) == len(transfers):
        assert busy_s == pytest.approx(fsum(used_s for *_, used_s in found.values()), abs=1e-9)
    for (queued_s, _, _), expected in zip(seen, expected_seen, strict=True):
        assert queued_s == pytest.approx(expected[0], abs=1e-9)


def test_shared_cell_stalls_and_gives_up():
    # By hand: a and b share from 0 to 1; a is away from 1 to 2, then both share until b ends.
    away = Rate((0.0, 1.0, 2.0), (1.0, 0.0, 1.0))
    transfers = [("a", 0.0, 1.5, inf), ("b", 0.0, 2.0, inf)]
    found, *_ = share(transfers, {"a": away}, 5.0, 0.25)
    assert {n: end[:2] for n, end in found.items()} == {1: (3.25, ""), 0: (3.75, "")}
    found, *_ = share([*transfers, ("a", 1.25, 1.0, inf)], {"a": away}, 0.5, 0.25)
    ends = {n: end[:2] for n, end in found.items()}
    assert ends == {0: (1.5, OUT_OF_RANGE), 2: (1.75, NO_ROUTE), 1: (2.75, "")}


@pytest.mark.parametrize("roaming", [True, False])
def test_what_ends_as_its_cell_is_lost_has_ended(roaming):
    clock, told = Clock(), []
    cell = Shared(clock, give_up_s=5.0, roaming=roaming)
    lost = Rate((0.0, 1.0), (1.0, 0.0))
    cell.send("a", 1.0, Hearing(clock, lambda *ended: told.append((clock.now, *ended))), inf, lost)
    clock.run()
    assert told == [(1.0, "", 1.0, 1.0)]


def test_air_time_is_shared_by_weight():
    # By hand: a gets three quarters of the air until 2 s, then b has all of it.
    found, *_ = share([("a", 0.0, 1.5, inf), ("b", 0.0, 1.0, inf)], {}, 5.0, 0.0, weights={"a": 3})
    assert {number: end[0] for number, end in found.items()} == {0: 2.0, 1: 2.5}


@many
@given(
    transfers=TRANSFERS,
    ways=st.lists(
        st.lists(st.tuples(st.sampled_from("ABC-"), SOON), max_size=5), min_size=5, max_size=5
    ),
    interruption_s=st.sampled_from([0.0, 0.05]),
)
def test_handovers_conserve_what_is_sent(transfers, ways, interruption_s):
    """Whoever roams sends each message whole, in pieces over the cells that serve it in turn."""
    clock, nominal_bps = Clock(), {"A": 1e6, "B": 4e6, "C": 0.5e6}
    cells = {name: Shared(clock, give_up_s=inf, roaming=True) for name in nominal_bps}
    reaches = {}
    for device, way in zip("abcde", ways, strict=True):
        times = list(accumulate((1e-3 + gap for _, gap in way), initial=0.0))
        names = ["A", *(None if name == "-" else name for name, _ in way)]
        names[-1] = names[-1] or "B"  # at last somebody serves it
        speeds = dict.fromkeys(nominal_bps, Rate.constant(0.0))
        speeds |= attachments(times, names, interruption_s)
        reaches[device] = Reach(speeds, tuple(nominal_bps))
    sent, used_s, ended, busy_s = {}, dict.fromkeys(cells, 0.0), {}, dict.fromkeys(cells, 0.0)

    def watch(name):
        since_s = [0.0]

        def note(now):
            busy_s[name] += (now - since_s[0]) * (cells[name].active > 0)
            since_s[0] = now

        cells[name].note = note

    def send(number, device, left_bits, due_s):
        name = reaches[device].next_cell(clock.now)

        def wake(cause, share=0.0, air_s=0.0):
            used_s[name] += air_s
            sent[number] = sent.get(number, 0.0) + share * left_bits
            if cause == HANDOVER:
                assert share < 1
                send(number, device, left_bits * (1 - share), inf if share else due_s)
            else:
                ended[number] = cause

        air_s, speed = left_bits / nominal_bps[name], reaches[device].speeds[name]
        cells[name].send(device, air_s, Hearing(clock, wake), due_s, speed)

    for name in cells:
        watch(name)
    for number, (device, at_s, air_s, patience_s) in enumerate(transfers):
        told = number, device, air_s * 1e6, at_s + patience_s
        clock.at(at_s, lambda _, told=told: send(*told))
    clock.run()
    assert set(ended) == set(range(len(transfers)))  # nothing is lost
    for number, (_, _, air_s, patience_s) in enumerate(transfers):
        assert ended[number] in (("", LATE) if patience_s < inf else ("",))
        assert sent[number] == pytest.approx(0.0 if ended[number] else air_s * 1e6, rel=1e-9)
    assert used_s == pytest.approx(busy_s, abs=1e-9)


@pytest.mark.parametrize("station", [Shared, Dedicated])
def test_what_is_late_already_is_dropped_by_an_idle_cell_too(station):
    clock, told = Clock(), []
    cell = station(clock)

    def send(_):
        receiver = Hearing(clock, lambda cause, *_: told.append((clock.now, cause)))
        arrives_s = cell.send("a", 1.0, receiver, due_s=1.5)
        if arrives_s is not None:
            clock.at(arrives_s, lambda _: told.append((clock.now, "")))

    clock.at(2.0, send)
    clock.run()
    assert told == [(2.0, LATE)]


# Dedicated


@many
@given(transfers=TRANSFERS)
def test_dedicated_hop_is_a_queue_for_each_device(transfers):
    clock, found, delay_s = Clock(), {}, 0.002
    hop = Dedicated(clock, delay_s)
    transfers = sorted(transfers, key=lambda each: each[1])

    def send(number, device, air_s, due_s):
        def wake(cause, air_s=0.0):
            found[number] = (clock.now, cause)

        arrives_s = hop.send(device, air_s, Hearing(clock, wake), due_s)
        if arrives_s is not None:
            found[number] = (arrives_s, "")
            assert hop.is_on_air(device)
            assert hop.queued_air_s(device) == pytest.approx(arrives_s - delay_s - clock.now, abs=1e-12)

    expected, free_s = {}, {}
    for number, (device, at_s, air_s, patience_s) in enumerate(transfers):
        clock.at(at_s, lambda _, args=(number, device, air_s, at_s + patience_s): send(*args))
        begins_s = max(at_s, free_s.get(device, 0.0))
        assume(abs(begins_s - at_s - patience_s) > NEAR)
        if begins_s > at_s + patience_s:
            expected[number] = (begins_s, LATE)
        else:
            free_s[device] = begins_s + air_s
            expected[number] = (begins_s + air_s + delay_s, "")
    clock.run()
    assert set(found) == set(expected)
    for number, (ends_s, cause) in expected.items():
        assert found[number] == (pytest.approx(ends_s, abs=1e-9), cause)


# Batching


def batches_by_hand(work, servers, limit, wait_s, seconds):
    """Find the batches by looking at every moment at which anything may change; also tell of ties."""
    coming = sorted(range(len(work)), key=lambda number: work[number][0])
    waiting, ended, ends, tie = [], {}, [], False
    moments = {work[number][0] for number in coming}
    now = -1.0
    while later := [moment for moment in moments if moment > now]:
        tie |= len(later) > 1 and any(b - a < NEAR for a, b in pairwise(sorted(later)))
        now = min(later)
        while coming and work[coming[0]][0] <= now:
            waiting.append(coming.pop(0))
            moments.add(work[waiting[-1]][0] + wait_s)
        ends = [end_s for end_s in ends if end_s > now]
        while len(ends) < servers:
            groups = {}
            for number in waiting:
                groups.setdefault(work[number][1], []).append(number)
            full = [group for group in groups.values() if len(group) >= limit]
            ripe = [group for group in groups.values() if work[group[0]][0] + wait_s <= now]
            if not full + ripe:
                break
            chosen = min(full or ripe, key=lambda group: work[group[0]][0])
            late = [number for number in chosen if work[number][3] < now]
            if late:  # they go when their batch would begin, and then another may be next
                for number in late:
                    waiting.remove(number)
                    ended[number] = (now, LATE, 0)
                continue
            batch = chosen[:limit]
            together_s = seconds(len(batch)) + sum(work[number][4] for number in batch)
            end_s = now + together_s * max(work[number][2] for number in batch)
            for number in batch:
                waiting.remove(number)
                ended[number] = (end_s, "", len(batch))
            ends.append(end_s)
            moments.add(end_s)
    return ended, tie


@many
@given(
    work=st.lists(
        st.tuples(
            SOON,
            st.sampled_from("xy"),
            st.sampled_from([0.9, 1.0, 1.3]),
            st.one_of(st.just(inf), WORK),
            st.sampled_from([0.0, 0.0137]),
        ),
        min_size=1,
        max_size=14,
        unique_by=lambda each: each[0],
    ),
    servers=st.integers(1, 3),
    limit=st.integers(2, 4),
    wait_s=st.sampled_from([0.0, 0.0500013, 0.4000013]),
)
def test_batching_is_what_one_finds_by_hand(work, servers, limit, wait_s):
    def seconds(members):
        return 0.0731 * members + 0.0917 + 1e-6

    # Nobody is late before a batch is ripe: so lateness shows when a server falls free, never else.
    work = [
        (at_s, key, factor, at_s + wait_s + patience_s, own_s)
        for at_s, key, factor, patience_s, own_s in work
    ]
    expected, tie = batches_by_hand(work, servers, limit, wait_s, seconds)
    assume(not tie)
    clock, found, shares = Clock(), {}, {}
    station = Batching(clock, servers, limit, wait_s)

    def join(number, key, factor, due_s, own_s):
        def wake(cause, air_s=0.0):
            assert number not in found
            found[number] = (clock.now, cause)

        def done(share_s, members):
            shares[number] = (share_s, members)

        station.join(Member(key, seconds, factor, due_s, done, wake, own_s))

    for number, (at_s, *rest) in enumerate(work):
        clock.at(at_s, lambda _, args=(number, *rest): join(*args))
    clock.run()
    assert set(found) == set(expected)
    for number, (ends_s, cause, members) in expected.items():
        assert found[number] == (pytest.approx(ends_s, abs=1e-9), cause)
        assert shares.get(number, (0, 0))[1] == members
    # Shares of a batch's seconds add up to the time for which servers were busy.
    assert fsum(share_s for share_s, _ in shares.values()) == pytest.approx(station.busy_s, abs=1e-9)
    assert station.idle == servers
    assert station.queued_s == pytest.approx(0.0, abs=1e-9)


def test_a_full_batch_goes_before_an_older_ripe_one():
    clock, ends = Clock(), []
    station = Batching(clock, 1, 2, 0.1)

    def join(name, key):
        def wake(cause, air_s=0.0):
            ends.append((name, round(clock.now, 9), cause))

        station.join(Member(key, lambda _members: 1.0, 1.0, inf, lambda *_: None, wake))

    for at_s, name, key in (
        (0.0, "first", "x"),
        (0.2, "ripe", "y"),
        (0.3, "full-1", "x"),
        (0.4, "full-2", "x"),
    ):
        clock.at(at_s, lambda _, name=name, key=key: join(name, key))
    clock.run()
    assert ends == [("first", 1.1, ""), ("full-1", 2.1, ""), ("full-2", 2.1, ""), ("ripe", 3.1, "")]
