"""Bare SimPy as one writes it first: a process for each request, a Resource for each queue."""

import random
import statistics

import simpy
import workload_w as w


def run(devices: int, requests: int) -> w.Ran:
    """Simulate W."""
    rng = random.Random(1)
    env = simpy.Environment()
    server = simpy.Resource(env, 1)
    hops = [simpy.Resource(env, 1) for _ in range(devices)]
    duration, mean = requests / w.RATE_HZ, devices / w.RATE_HZ
    rows = []

    def request(device: int):
        born = env.now
        with hops[device].request() as turn:
            yield turn
            yield env.timeout(w.HOP_S)
        yield env.timeout(w.DELAY_S)
        arrived = env.now
        with server.request() as turn:
            yield turn
            begins = env.now
            yield env.timeout(w.SERVICE_S)
        yield env.timeout(w.DELAY_S)
        rows.append((device, born, arrived, begins, env.now))

    def births(device: int):
        while True:
            yield env.timeout(rng.expovariate(1 / mean))
            if env.now >= duration:
                return
            env.process(request(device))

    for device in range(devices):
        env.process(births(device))
    seconds = w.timed(env.run)
    return len(rows), seconds, statistics.fmean(row[3] - row[2] for row in rows)


if __name__ == "__main__":
    w.program(run)
