"""ns.py, a packet network: a request is a packet of 50 kB, the server a port that sends it in 10 ms.

What is under way at the end has no row.
"""
# /// script
# dependencies = ["ns.py==0.4.3", "simpy==4.1.2"]
# ///

import random
import statistics

import simpy
import workload_w as w
from ns.packet.dist_generator import DistPacketGenerator
from ns.packet.sink import PacketSink
from ns.port.port import Port
from ns.port.wire import Wire

PACKET_BYTES = 50_000


def run(devices: int, requests: int) -> w.Ran:
    """Simulate W."""
    rng = random.Random(1)
    env, mean = simpy.Environment(), devices / w.RATE_HZ
    sink = PacketSink(env, rec_arrivals=False)  # rec_waits records arrivals, too
    answer = Wire(env, lambda: w.DELAY_S)
    answer.out = sink
    server = Port(env, 8 * PACKET_BYTES / w.SERVICE_S, element_id="server")
    server.out = answer
    wire = Wire(env, lambda: w.DELAY_S)  # a delay: one for all hops does what one for each would
    wire.out = server
    for device in range(devices):
        hop = Port(env, 8 * PACKET_BYTES / w.HOP_S, element_id="hop")
        hop.out = wire
        births = DistPacketGenerator(
            env, device, lambda: rng.expovariate(1 / mean), lambda: PACKET_BYTES, flow_id=device
        )
        births.out = hop
    seconds = w.timed(lambda: env.run(until=requests / w.RATE_HZ))
    waits = [
        arrived - w.DELAY_S - w.SERVICE_S - hops["server"]
        for flow, times in sink.arrivals.items()
        for arrived, hops in zip(times, sink.perhop_times[flow], strict=True)
    ]
    return len(waits), seconds, statistics.fmean(waits)


if __name__ == "__main__":
    w.program(run)
