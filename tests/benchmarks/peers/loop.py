"""The floor: W written out by hand on `heapq`, with nothing that W does not need."""

import heapq
import random
import statistics

import workload_w as w


def run(devices: int, requests: int) -> w.Ran:
    """Simulate W."""
    rng = random.Random(1)
    duration, mean = requests / w.RATE_HZ, devices / w.RATE_HZ
    queue = [(rng.expovariate(1 / mean), device, 0, 0.0) for device in range(devices)]
    heapq.heapify(queue)
    hop_free, rows = [0.0] * devices, []

    def loop():
        server_free, order = 0.0, devices
        while queue:
            now, device, kind, born = heapq.heappop(queue)
            if kind == 0:
                if now >= duration:
                    continue
                sent = max(now, hop_free[device]) + w.HOP_S
                hop_free[device] = sent
                heapq.heappush(queue, (sent + w.DELAY_S, device, 1, now))
                heapq.heappush(queue, (now + rng.expovariate(1 / mean), device, 0, 0.0))
            else:
                begins = max(now, server_free)
                server_free = begins + w.SERVICE_S
                rows.append((order, device, born, now, begins, server_free, server_free + w.DELAY_S))
                order += 1

    seconds = w.timed(loop)
    return len(rows), seconds, statistics.fmean(row[4] - row[3] for row in rows)


if __name__ == "__main__":
    w.program(run)
