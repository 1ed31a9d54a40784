"""More servers never hurt, and batches give what their latencies promise."""

from collections import defaultdict
from itertools import pairwise
from statistics import fmean

import pytest

from offload.policies.table import choose
from offload.simulation.run import run

TABLES = """
[models.work.variants.only]
layers = [{{ name = "all", output = "0 B" }}]
costs.core = {{ known = "assumed", source = "a law", seconds = ["10 ms"], {cost} }}
[devices.source]
count = 40
hardware = "core"
[devices.source.tasks.work]
models = ["work"]
arrivals = "poisson"
every = "{every}"
deadline = "1 s"
late = "finish"
input = "20 kB"
result = "0 B"
[nodes.station]
kind = "edge"
hardware = "core"
servers = {servers}
{batch}
[links.hop]
from = "*"
to = "station"
up = "100 Mbit/s"
down = "100 Mbit/s"
shared = {shared}
"""


@pytest.mark.parametrize("shared", ["true", "false"])
def test_more_servers_never_hurt(load_text, shared):
    latencies_s = {}
    for servers in (1, 2, 3, 4, 8, 40):
        text = TABLES.format(
            cost='service = "exponential"', every="450 ms", servers=servers, batch="", shared=shared
        )
        outcomes = run(load_text(text, duration=30), choose({"name": "edge"}), 1, 0).outcomes
        latencies_s[servers] = {o.request.id: o.ended_s - o.request.born_s for o in outcomes}
    assert len(latencies_s[1]) > 2000
    for fewer, more in pairwise(latencies_s.values()):
        # The same births and the same work, served in order: not even one request is the worse for it.
        assert all(more[number] <= seconds + 1e-9 for number, seconds in fewer.items())
    means = [fmean(latency.values()) for latency in latencies_s.values()]
    assert means[0] > 1.5 * means[1] > means[2]


def gather(load_text, every, servers, limit, wait):
    """Run batches; return the rows by the time and server at which their batch ended."""
    text = TABLES.format(
        cost='offline = "250 1/s"',  # l(b) = 4 ms b + 6 ms
        every=every,
        servers=servers,
        batch=f'batch = {{ max = {limit}, wait = "{wait}" }}',
        shared="false",
    )
    batches = defaultdict(list)
    for outcome in run(load_text(text, duration=20), choose({"name": "edge"}), 1, 0).outcomes:
        batches[outcome.ended_s].append(outcome)
    return dict(sorted(batches.items()))


@pytest.mark.parametrize("limit", [2, 5, 8])
def test_saturated_server_runs_full_batches(load_text, limit):
    batches = gather(load_text, "125 ms", servers=1, limit=limit, wait="3 ms")  # 320 requests a second
    seconds = 0.004 * limit + 0.006
    assert 320 * seconds > limit * 1.1
    kept = {ended_s: members for ended_s, members in batches.items() if 5 < ended_s < 20}
    assert {len(members) for members in kept.values()} == {limit}
    assert {outcome.batch for members in kept.values() for outcome in members} == {limit}
    # It never pauses, so that its throughput is limit / l(limit).
    gaps = [after - before for before, after in pairwise(kept)]
    assert gaps == pytest.approx([seconds] * len(gaps), rel=0, abs=1e-9)
    throughput_hz = limit * len(gaps) / (max(kept) - min(kept))
    assert throughput_hz == pytest.approx(limit / seconds, rel=1e-9)


@pytest.mark.parametrize("every", ["2 s", "400 ms", "200 ms"])
@pytest.mark.parametrize("servers", [1, 3])
def test_batches_of_any_load_tell_their_size_and_keep_to_it(load_text, every, servers):
    batches = gather(load_text, every, servers=servers, limit=6, wait="20 ms")
    sizes = {len(members) for members in batches.values()}
    assert max(sizes) <= 6
    assert len(sizes) > 2
    for ended_s, members in batches.items():
        assert {outcome.batch for outcome in members} == {len(members)}
        begun_s = ended_s - (0.004 * len(members) + 0.006)
        joined_s = [o.request.born_s + o.uplink_s for o in members]
        assert begun_s >= max(joined_s) - 1e-9
        # No batch that is not full begins before its first member has waited.
        assert len(members) == 6 or begun_s >= min(joined_s) + 0.020 - 1e-9
    # While a server is idle, a batch begins when it is ripe: with little to do, nobody waits longer.
    if every == "2 s" and servers == 3:
        waits_s = [o.edge_s - (0.004 * o.batch + 0.006) for group in batches.values() for o in group]
        assert max(waits_s) <= 0.020 + 1e-9
