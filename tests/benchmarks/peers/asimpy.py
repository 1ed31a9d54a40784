"""asimpy: a coroutine for each request, a Resource for each queue."""
# /// script
# dependencies = ["asimpy==0.20.0"]
# ///

import random
import statistics

import workload_w as w
from asimpy import Environment, Process, Resource


def run(devices: int, requests: int) -> w.Ran:
    """Simulate W."""
    rng = random.Random(1)
    env = Environment()
    server = Resource(env)
    duration, mean = requests / w.RATE_HZ, devices / w.RATE_HZ
    rows = []

    class Request(Process):
        def init(self, device, hop):
            self.device, self.hop = device, hop

        async def run(self):
            born = self.now
            async with self.hop:
                await self.timeout(w.HOP_S)
            await self.timeout(w.DELAY_S)
            arrived = self.now
            async with server:
                begins = self.now
                await self.timeout(w.SERVICE_S)
            await self.timeout(w.DELAY_S)
            rows.append((self.device, born, arrived, begins, self.now))

    class Births(Process):
        def init(self, device):
            self.device, self.hop = device, Resource(env)

        async def run(self):
            while True:
                await self.timeout(rng.expovariate(1 / mean))
                if self.now >= duration:
                    return
                Request(self._env, self.device, self.hop)

    for device in range(devices):
        Births(env, device)
    seconds = w.timed(env.run)
    return len(rows), seconds, statistics.fmean(row[3] - row[2] for row in rows)


if __name__ == "__main__":
    w.program(run)
