"""Cimba: models that Numba compiles onto an engine in C, so not Python while it runs.

Rows are four captured columns; what is under way at the end has none. A run of no length is taken off:
compiling and set-up.
"""
# /// script
# dependencies = ["cimba==0.9.6", "numba==0.68.1", "llvmlite==0.50.0", "numpy==2.4.6", "scipy==1.17.1"]
# ///

import cimba as cb
import workload_w as w
from cimba import inputs

HOP_S, DELAY_S, SERVICE_S = w.HOP_S, w.DELAY_S, w.SERVICE_S  # compiled code sees globals of its module


class Rows(cb.Model):
    """What is recorded of each request, a column each."""

    born: cb.Dataset = cb.Dataset()
    arrived: cb.Dataset = cb.Dataset()
    begins: cb.Dataset = cb.Dataset()
    ended: cb.Dataset = cb.Dataset()


class Request(cb.Model):
    """A request's life, a process of its own."""

    hop: cb.Ref[cb.Resource]
    server: cb.Ref[cb.Resource]
    rows: cb.Ref[Rows]

    @cb.process
    def life(self):
        """Cross the hop, be served, answer."""
        born = cb.now()
        self.hop.acquire()
        cb.hold(HOP_S)
        self.hop.release()
        cb.hold(DELAY_S)
        arrived = cb.now()
        self.server.acquire()
        begins = cb.now()
        cb.hold(SERVICE_S)
        self.server.release()
        cb.hold(DELAY_S)
        self.rows.born.record(born)
        self.rows.arrived.record(arrived)
        self.rows.begins.record(begins)
        self.rows.ended.record(cb.now())
        cb.release(self)


class Device(cb.Model):
    """Births of one device, and its hop."""

    gap: cb.Input[float]
    hop: cb.Resource = cb.Resource()
    server: cb.Ref[cb.Resource]
    rows: cb.Ref[Rows]

    def __init__(self, mean: float, server: cb.Resource, rows: Rows):
        self.gap, self.server, self.rows = inputs.dist.exponential(mean=mean), server, rows

    @cb.process
    def births(self):
        """Bear requests."""
        while True:
            cb.hold(self.gap.next())
            cb.spawn(Request, hop=self.hop, server=self.server, rows=self.rows)


class World(cb.Model):
    """All devices and the server."""

    server: cb.Resource = cb.Resource()
    rows: Rows
    devices: list[Device]

    def __init__(self, devices: int):
        self.rows = Rows()
        for column in (self.rows.born, self.rows.arrived, self.rows.begins, self.rows.ended):
            column.capture()
        self.devices = [Device(devices / w.RATE_HZ, self.server, self.rows) for _ in range(devices)]


def run(devices: int, requests: int) -> w.Ran:
    """Simulate W."""
    done, spent = [], []
    for duration_s in (1e-9, 1e-9, requests / w.RATE_HZ):  # the first compiles
        world = World(devices)
        window = cb.Window(warmup=0, duration=duration_s)
        experiment = cb.Experiment(world, replications=1, window=window, seed=1)
        spent.append(w.timed(lambda experiment=experiment: done.append(experiment.run())))
    rows = done[-1][world.rows]
    (_, arrived), (_, begins) = rows.arrived.trial(0, 0), rows.begins.trial(0, 0)
    return len(arrived), spent[2] - spent[1], float((begins - arrived).mean())


if __name__ == "__main__":
    w.program(run)
