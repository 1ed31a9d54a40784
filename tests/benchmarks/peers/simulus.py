"""Simulus: a process (a greenlet) for each request, a resource for each queue."""
# /// script
# dependencies = ["simulus==1.2.1", "greenlet==3.5.6"]
# [tool.ratios]
# requests = 20_000
# ///

import random
import statistics

import simulus
import workload_w as w


def run(devices: int, requests: int) -> w.Ran:
    """Simulate W."""
    rng = random.Random(1)
    sim = simulus.simulator()
    server = sim.resource()
    duration, mean = requests / w.RATE_HZ, devices / w.RATE_HZ
    rows = []

    def request(device, hop):
        born = sim.now
        hop.acquire()
        sim.sleep(w.HOP_S)
        hop.release()
        sim.sleep(w.DELAY_S)
        arrived = sim.now
        server.acquire()
        begins = sim.now
        sim.sleep(w.SERVICE_S)
        server.release()
        sim.sleep(w.DELAY_S)
        rows.append((device, born, arrived, begins, sim.now))

    def births(device):
        hop = sim.resource()
        while True:
            sim.sleep(rng.expovariate(1 / mean))
            if sim.now >= duration:
                return
            sim.process(request, device, hop)

    for device in range(devices):
        sim.process(births, device)
    seconds = w.timed(sim.run)
    return len(rows), seconds, statistics.fmean(row[3] - row[2] for row in rows)


if __name__ == "__main__":
    w.program(run)
