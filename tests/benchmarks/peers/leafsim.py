"""LEAF: nodes and links that are reserved for each request, in processes of SimPy.

It has no queues (a link or node that is full refuses), so they are SimPy's Resources.
"""
# /// script
# dependencies = ["leafsim==0.4.2", "simpy==4.1.2", "networkx==3.6.1", "numpy==2.4.6"]
# ///

import random
import statistics

import simpy
import workload_w as w
from leaf.application import DataFlow, ProcessingTask
from leaf.infrastructure import Infrastructure, Link, Node
from leaf.power import PowerModelLink, PowerModelNode


def run(devices: int, requests: int) -> w.Ran:
    """Simulate W."""
    rng = random.Random(1)
    env, infrastructure = simpy.Environment(), Infrastructure()
    node = Node("server", cu=1, power_model=PowerModelNode(power_per_cu=1))
    for device in range(devices):
        sender = Node(f"device {device}", cu=1, power_model=PowerModelNode(power_per_cu=1))
        infrastructure.add_link(Link(sender, node, 100e6, PowerModelLink(1e-9), w.DELAY_S))
    duration, mean = requests / w.RATE_HZ, devices / w.RATE_HZ
    server = simpy.Resource(env, 1)
    rows = []

    def request(device: int, hop: simpy.Resource, link: Link):
        born = env.now
        with hop.request() as turn:
            yield turn
            flow = DataFlow(100e6)
            flow.allocate([link])
            yield env.timeout(w.HOP_S)
            flow.deallocate()
        yield env.timeout(link.latency)
        arrived = env.now
        with server.request() as turn:
            yield turn
            begins = env.now
            task = ProcessingTask(1)
            task.allocate(node)
            yield env.timeout(w.SERVICE_S)
            task.deallocate()
        yield env.timeout(link.latency)
        rows.append((device, born, arrived, begins, env.now))

    def births(device: int, link: Link):
        hop = simpy.Resource(env, 1)
        while True:
            yield env.timeout(rng.expovariate(1 / mean))
            if env.now >= duration:
                return
            env.process(request(device, hop, link))

    for device, link in enumerate(infrastructure.links()):
        env.process(births(device, link))
    seconds = w.timed(env.run)
    return len(rows), seconds, statistics.fmean(row[3] - row[2] for row in rows)


if __name__ == "__main__":
    w.program(run)
