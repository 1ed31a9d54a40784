"""Queueing-tool: queues are edges of a graph; data are kept at the hops and at the server.

What is under way at the end has no row.
"""
# /// script
# dependencies = ["queueing-tool==1.2.5", "networkx==3.1", "numpy==1.26.4", "scipy==1.11.4"]
# ///

import random

import networkx as nx
import numpy as np
import queueing_tool as qt
import workload_w as w

HOP, WIRE, SERVER, ANSWER = 1, 2, 3, 4


def run(devices: int, requests: int) -> w.Ran:
    """Simulate W."""
    duration, mean = requests / w.RATE_HZ, devices / w.RATE_HZ
    rng = random.Random(1)
    graph = nx.DiGraph()
    graph.add_edges_from(((device, "cell") for device in range(devices)), edge_type=HOP)
    graph.add_edge("cell", "queue", edge_type=WIRE)
    graph.add_edge("queue", "server", edge_type=SERVER)
    graph.add_edge("server", "end", edge_type=ANSWER)
    delay = {"num_servers": np.inf, "service_f": lambda now: now + w.DELAY_S}
    network = qt.QueueNetwork(
        nx.convert_node_labels_to_integers(graph),
        q_classes=dict.fromkeys((HOP, WIRE, SERVER, ANSWER), qt.QueueServer),
        q_args={
            HOP: {
                "arrival_f": lambda now: now + rng.expovariate(1 / mean),
                "service_f": lambda now: now + w.HOP_S,
                "collect_data": True,
            },
            WIRE: delay,
            SERVER: {"service_f": lambda now: now + w.SERVICE_S, "collect_data": True},
            ANSWER: delay,
        },
        seed=1,
        max_agents=np.inf,
    )
    network.initialize(edge_type=HOP)
    seconds = w.timed(lambda: network.simulate(t=duration))
    rows = network.get_queue_data(edge_type=SERVER)  # arrived, begins, ended, ...
    rows = rows[rows[:, 1] > 0]  # one that waits has no beginning yet
    return len(rows), seconds, float((rows[:, 1] - rows[:, 0]).mean())


if __name__ == "__main__":
    w.program(run)
