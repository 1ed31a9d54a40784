"""salabim: a component for each request, as a generator; monitors of resources and the trace are off.

Most of its time goes to reading the signatures of a component's methods whenever one is made.
"""
# /// script
# dependencies = ["salabim==26.0.9"]
# [tool.ratios]
# requests = 20_000
# ///

import random
import statistics

import salabim as sim
import workload_w as w

sim.yieldless(False)


def run(devices: int, requests: int) -> w.Ran:
    """Simulate W."""
    rng = random.Random(1)
    env = sim.Environment(trace=False)
    duration, mean = requests / w.RATE_HZ, devices / w.RATE_HZ
    server = sim.Resource("server", monitor=False)
    rows = []

    class Request(sim.Component):
        def setup(self, device, hop):
            self.device, self.hop = device, hop

        def process(self):
            born = env.now()
            yield self.request(self.hop)
            yield self.hold(w.HOP_S)
            self.release(self.hop)
            yield self.hold(w.DELAY_S)
            arrived = env.now()
            yield self.request(server)
            begins = env.now()
            yield self.hold(w.SERVICE_S)
            self.release(server)
            yield self.hold(w.DELAY_S)
            rows.append((self.device, born, arrived, begins, env.now()))

    class Births(sim.Component):
        def setup(self, device):
            self.device, self.hop = device, sim.Resource("hop", monitor=False)

        def process(self):
            while True:
                yield self.hold(rng.expovariate(1 / mean))
                if env.now() >= duration:
                    return
                Request(device=self.device, hop=self.hop)

    for device in range(devices):
        Births(device=device)
    seconds = w.timed(env.run)
    return len(rows), seconds, statistics.fmean(row[3] - row[2] for row in rows)


if __name__ == "__main__":
    w.program(run)
