"""Any unsplit plan, by chance."""

from dataclasses import dataclass, field

import numpy as np

from offload.entities import Observation, Plan, Request
from offload.planning.columns import columns


@dataclass
class Random:
    """Uniform over the plans that run in one place: each variant, on the device, at each node."""

    rng: np.random.Generator = field(init=False, repr=False)

    def start(self, rng: np.random.Generator) -> None:
        """Keep the generator."""
        self.rng = rng

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return any unsplit plan."""
        del request
        table = columns(seen.facts, seen.serving)
        if not table.plans:  # nothing runs on the device alone: wait for the nearest cell
            table = columns(seen.facts, next(iter(seen.uplinks)))
        (unsplit,) = np.nonzero(table.unsplit)
        return table.plans[int(unsplit[int(self.rng.random() * len(unsplit))])]
