"""Any unsplit plan, by chance."""

from dataclasses import dataclass, field

import numpy as np

from offload.entities import Observation, Plan, Request
from offload.planning.price import open_to


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
        table = open_to(seen)
        if seen.begun is not None:
            return table.plans[int(self.rng.random() * len(table.plans))]
        (unsplit,) = np.nonzero(table.unsplit)
        return table.plans[int(unsplit[int(self.rng.random() * len(unsplit))])]
