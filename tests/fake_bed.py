"""A testbed without processes: it draws how long work takes, and reckons the queues by itself."""

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from offload.entities import Outcome, Request
from offload.networks import Profile
from offload.testbed.timing import Span, Timing
from offload.testbed.validate.matrix import DELAY_S, WIRE_BPS, WIRE_S, Cell


class FakeBed:
    """Plays requests of a cell, each place as quick as a profile says, times what a test plants.

    `slower(play)` multiplies work in a play, `hidden_s` is lost before anything is sent, `spins(play)`
    are the sentinel's seconds of the device before it, and `loses(request)` tells what is not answered.
    """

    def __init__(
        self,
        cell: Cell,
        profile: Profile,
        seed: int = 1,
        slower: Callable[[int], float] = lambda _: 1.0,
        hidden_s: float = 0.0,
        spins: Callable[[int], float] = lambda _: 1e-4,
        loses: Callable[[Request], bool] = lambda _: False,
    ) -> None:
        self.cell, self.slower, self.hidden_s, self.spins, self.loses = (
            cell, slower, hidden_s, spins, loses,
        )  # fmt: skip
        stations = cell.stations_s(profile)
        self.up_s = stations.pop("uplink", 0.0)
        self.work_s = stations
        self.down_s = 8 * profile.variant.cuts[-1].payload_bytes / (1e6 * cell.mbps)
        self.down_bytes = profile.variant.cuts[-1].payload_bytes
        edge_cut = cell.edge or 0
        cuts = {cut.after: cut.payload_bytes for cut in profile.variant.cuts}
        self.mid_bytes = cuts[edge_cut] if edge_cut else cell.input_bytes
        self.chance = np.random.default_rng(seed)
        self.plays = 0
        self.spun = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def spin(self) -> dict[str, float]:
        self.spun += 1
        found = {"device-0": self.spins(self.spun - 1), "edge": 1e-4, "cloud": 1e-4}
        # Who computes nothing in this plan is slow before and after two plays of six: nobody's affair.
        idle_s = 5e-4 if self.spun % 6 == 0 else 1e-4
        return {
            name: seconds if name.partition("-")[0] in self.work_s else idle_s
            for name, seconds in found.items()
        }

    def play(self, requests: Sequence[Request]) -> list[tuple[Outcome, Timing]]:
        free = dict.fromkeys(("device", "uplink", "edge", "wire", "cloud", "down"), 0.0)
        times = self.slower(self.plays)
        self.plays += 1
        return [self._one(request, free, times) for request in requests]

    def _one(self, request: Request, free: dict[str, float], times: float) -> tuple[Outcome, Timing]:
        now, spans = request.born_s, {}
        legs = dict.fromkeys(("device_s", "uplink_s", "edge_s", "wan_s", "cloud_s", "downlink_s"), 0.0)

        def serve(station: str, seconds: float) -> None:
            nonlocal now
            received, begun = now, max(now, free[station])
            now = free[station] = begun + seconds
            if station in self.work_s:
                spans[station] = Span(received, begun, now)

        def leg(name: str, begun: float) -> float:
            legs[name] += now - begun
            return now

        def work(place: str) -> None:
            # Skewed, with a coefficient of variation of 10 %.
            serve(place, times * self.work_s[place] * self.chance.gamma(100.0) / 100.0)

        mark = now
        if "device" in self.work_s:
            work("device")
            mark = leg("device_s", mark)
        if self.cell.device is not None:
            now += self.hidden_s
            serve("uplink", self.up_s)
            now += DELAY_S
            mark = leg("uplink_s", mark)
            if "edge" in self.work_s:
                work("edge")
                mark = leg("edge_s", mark)
            if "cloud" in self.work_s:
                serve("wire", 8 * self.mid_bytes / WIRE_BPS)
                now += WIRE_S
                mark = leg("wan_s", mark)
                work("cloud")
                mark = leg("cloud_s", mark)
                now += WIRE_S + 8 * self.down_bytes / WIRE_BPS
                mark = leg("wan_s", mark)
            serve("down", self.down_s)
            now += DELAY_S
            leg("downlink_s", mark)
        cause = "no-answer" if self.loses(request) else ""
        nothing = dict.fromkeys(("up_bytes", "down_bytes", "energy_j", "edge_j", "cloud_j"), 0.0)
        row = Outcome(
            request=request, first_plan=None, plan=None, attempts=1, ended_s=now, cause=cause,
            correct=None, decide_s=0.0, batch=1, **legs, **nothing,
        )  # fmt: skip
        where = (spans.get(place) for place in ("device", "edge", "cloud"))
        return row, Timing(request.id, request.born_s, request.born_s, *where, now)
