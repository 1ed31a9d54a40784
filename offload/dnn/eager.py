"""A network as PyTorch runs it, timed layer by layer beside the network as a whole."""

import time
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from statistics import mean

import torch
from torch import nn

from offload.dnn import machine
from offload.dnn.capturing import captured, check_exact
from offload.dnn.graph import Graph, instrument, split
from offload.dnn.profiles import Part, Round

# Cuts at which the two parts are timed as well: about these shares of the work lie before them.
PARTS = (0.25, 0.5, 0.75)


class Eager:
    """A network at one batch size, ready to be timed again and again.

    In a round, whole runs of the network as PyTorch runs it and runs with a time stamp between
    layers take turns, so that both meet the same machine. Means, not medians, since what strikes a
    few layers now and then strikes every whole run.
    """

    def __init__(
        self, name: str, module: nn.Module, example: tuple[torch.Tensor, ...], threads: int = 1
    ) -> None:
        self.module = module
        self.example = example
        self.batch = example[0].shape[0]
        self.threads = threads
        self.now = machine.clock(threads)
        self.stamp_s = machine.stamp_cost_s(self.now)
        self.graph = captured(name, module, example)
        check_exact(name, module, self.graph, example)
        self.layers, self.cuts = self.graph.layers, self.graph.cuts
        # A network that answers early returns one value for each exit.
        self.exits = self.graph.outputs if getattr(module, "answers_early", False) else ()
        self.stamps: list[int] = []
        self.stamped = instrument(self.graph, machine.stamper(self.stamps, self.now))
        self.parts = _parts(self.graph) if self.batch == 1 else []

    def round(self, budget_s: float, fastest_spin_s: float) -> Round:
        """Time whole runs, stamped runs and the network's parts in turn until the budget is spent."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        stamps, parts = self.stamps, self.parts
        layers = [0.0] * len(self.layers)
        halves: list[list[tuple[float, float]]] = [[] for _ in parts]
        whole: list[float] = []
        spins: list[float] = []
        wall_s = cpu_s = 0.0
        with torch.inference_mode():
            for run in machine.turns(budget_s):
                spins.append(machine.spin())
                wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
                stamps.clear()
                if run % 2:  # neither always comes first
                    self.stamped(*self.example)
                begun = self.now()
                self.module(*self.example)
                mine = (self.now() - begun) * 1e-9
                if not run % 2:
                    self.stamped(*self.example)
                ran_s = (time.thread_time_ns() - cpu) * 1e-9
                lasted_s = (time.perf_counter_ns() - wall) * 1e-9
                both = self._halves(parts[run % len(parts)]) if parts else None
                if run < 0:
                    continue  # warming up
                whole.append(mine)
                cpu_s += ran_s
                wall_s += lasted_s
                if both:
                    halves[run % len(parts)].append(both)
                for layer, (before, after) in enumerate(pairwise(stamps)):
                    layers[layer] += (after - before) * 1e-9
        end_to_end = mean(whole)
        seconds = [max(0.0, total / len(whole) - self.stamp_s) for total in layers]
        busy = 1 - cpu_s / wall_s if self.threads == 1 else 0.0
        spin = mean(spins) / fastest_spin_s
        return Round(
            at=at,
            batch=self.batch,
            runs=len(whole),
            layers_s=[round(each, 9) for each in seconds],
            end_to_end_s=end_to_end,
            residual=round(sum(seconds) / end_to_end - 1, 5),
            busy_share=round(busy, 4),
            spin=round(spin, 3),
            rejected=machine.why_busy(busy, spin),
            ratios=[round(each / end_to_end, 4) for each in whole],
            parts=[
                Part(after=after, before_s=mean(b for b, _ in each), after_s=mean(a for _, a in each))
                for (after, _, _), each in zip(parts, halves, strict=True)
            ],
        )

    def _halves(self, part: tuple[int, nn.Module, nn.Module]) -> tuple[float, float]:
        """Time the part before a cut, then the part after it."""
        _, before, after = part
        begun = self.now()
        crossing = before(*self.example)
        between = self.now()
        after(*crossing)
        return (between - begun) * 1e-9, (self.now() - between) * 1e-9


def _parts(graph: Graph) -> list[tuple[int, nn.Module, nn.Module]]:
    """Divide a network where about these shares of its FLOPs have been done."""
    done = list(accumulate((layer.flops for layer in graph.layers), initial=0))
    chosen = {
        min(
            range(1, len(graph.cuts) - 1),
            key=lambda cut: abs(done[graph.cuts[cut].after] - share * done[-1]),
        )
        for share in PARTS
        if len(graph.cuts) > 2
    }
    return [(graph.cuts[cut].after, *split(graph, cut)) for cut in sorted(chosen)]
