"""Any unsplit plan, by chance."""

from dataclasses import dataclass, field

import numpy as np

from offload.entities import Observation, Plan, Request
from offload.planning.columns import columns
from offload.planning.onward import onward


@dataclass
class Random:
    """Uniform over the plans that run in one place: each variant, on the device, at each node."""

    rng: np.random.Generator = field(init=False, repr=False)

    def start(self, rng: np.random.Generator) -> None:
        """Keep the generator."""
        self.rng = rng

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return any unsplit plan; for a request that has begun, any way to go on."""
        del request
        if seen.begun is not None:
            plans = onward(seen.facts, seen.begun).plans
            return plans[int(self.rng.random() * len(plans))]
        table = columns(seen.facts, seen.serving)
        if not table.plans:  # nothing runs on the device alone: wait for the nearest cell
            table = columns(seen.facts, next(iter(seen.uplinks)))
        (unsplit,) = np.nonzero(table.unsplit)
        return table.plans[int(unsplit[int(self.rng.random() * len(unsplit))])]
