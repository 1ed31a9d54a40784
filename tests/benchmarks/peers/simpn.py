"""SimPN, coloured Petri nets: one stream of births for all devices, and hops that do not queue.

A place for each device is possible, but each step then costs time in proportion to N.
"""
# /// script
# dependencies = ["simpn==1.10.0", "sortedcontainers==2.4.0"]
# ///

import random
import statistics

import workload_w as w
from simpn.simulator import SimProblem, SimToken


def run(_: int, requests: int) -> w.Ran:
    """Simulate W, the same for any number of devices."""
    rng = random.Random(1)
    net = SimProblem(debugging=False, binding_priority=SimProblem.PRIORITY_BINDING)
    timer, queue, idle, rows = (net.add_var(name) for name in ("timer", "queue", "idle", "rows"))

    def birth(number):
        sent = SimToken((number, net.clock), delay=w.HOP_S + w.DELAY_S)
        return [SimToken(number + 1, delay=rng.expovariate(w.RATE_HZ)), sent]

    def serve(request, server):
        row = SimToken((*request, net.clock), delay=w.SERVICE_S + w.DELAY_S)
        return [SimToken(server, delay=w.SERVICE_S), row]

    net.add_event([timer], [timer, queue], birth)
    net.add_event([queue, idle], [idle, rows], serve)
    timer.put(0, time=rng.expovariate(w.RATE_HZ))
    idle.put("server")
    seconds = w.timed(lambda: net.simulate(requests / w.RATE_HZ))
    way_s = w.HOP_S + w.DELAY_S
    waits = [begins - way_s - born for _, born, begins in (token.value for token in rows.marking)]
    return len(waits), seconds, statistics.fmean(waits)


if __name__ == "__main__":
    w.program(run)
