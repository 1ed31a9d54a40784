"""Ciw: one stream of births for all devices, and hops that do not queue.

A node for each device is possible, but each event then costs time in proportion to N.
"""
# /// script
# dependencies = ["ciw==3.2.7", "networkx==3.6.1", "numpy==2.4.6"]
# ///

import statistics

import ciw
import workload_w as w


def run(_: int, requests: int) -> w.Ran:
    """Simulate W, the same for any number of devices."""
    ciw.seed(1)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(w.RATE_HZ), None, None],
        service_distributions=[
            ciw.dists.Deterministic(w.HOP_S + w.DELAY_S),
            ciw.dists.Deterministic(w.SERVICE_S),
            ciw.dists.Deterministic(w.DELAY_S),
        ],
        number_of_servers=[float("inf"), 1, float("inf")],
        routing=ciw.routing.NetworkRouting(
            [ciw.routing.Direct(2), ciw.routing.Direct(3), ciw.routing.Leave()]
        ),
    )
    simulation = ciw.Simulation(network)
    seconds = w.timed(lambda: simulation.simulate_until_max_time(requests / w.RATE_HZ))
    rows = [row for row in simulation.get_all_records() if row.node == 2]
    return len(rows), seconds, statistics.fmean(row.waiting_time for row in rows)


if __name__ == "__main__":
    w.program(run)
