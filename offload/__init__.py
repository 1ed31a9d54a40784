"""Simulate where neural networks run: on the device, at the edge, in the cloud, or split.

>>> import offload
>>> scenario = offload.load("scenarios/urban-intersection.toml", ["duration='3 s'", "warm_up='1 s'"])
>>> result = offload.simulate(scenario, "quickest")
>>> sorted(result.rows()["cause"].unique())[0]
''
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offload.analysis.compare import compare as compare
    from offload.analysis.result import Result as Result
    from offload.analysis.result import simulate as simulate
    from offload.entities import Facts as Facts
    from offload.entities import Observation as Observation
    from offload.entities import Outcome as Outcome
    from offload.entities import Plan as Plan
    from offload.entities import Question as Question
    from offload.entities import Report as Report
    from offload.entities import Request as Request
    from offload.entities import Uplink as Uplink
    from offload.planning.columns import tabulate as tabulate
    from offload.planning.price import Prices as Prices
    from offload.planning.price import price as price
    from offload.planning.price import price_at as price_at
    from offload.planning.slot import Slot as Slot
    from offload.policies.protocol import Policy as Policy
    from offload.scenario.faults import ScenarioError as ScenarioError
    from offload.scenario.load import Scenario as Scenario
    from offload.scenario.load import load as load
    from offload.simulation.answering import PolicyError as PolicyError
    from offload.simulation.check import check_policy as check_policy
    from offload.units import BitsPerSecond as BitsPerSecond
    from offload.units import Bytes as Bytes
    from offload.units import Count as Count
    from offload.units import Hertz as Hertz
    from offload.units import Joules as Joules
    from offload.units import Metres as Metres
    from offload.units import Seconds as Seconds
    from offload.units import Share as Share
    from offload.units import Watts as Watts
    from offload.units import Weight as Weight

# Found when first used: `import offload` stays quick.
_PLACES = {
    "BitsPerSecond": "offload.units",
    "Bytes": "offload.units",
    "Count": "offload.units",
    "Facts": "offload.entities",
    "Hertz": "offload.units",
    "Joules": "offload.units",
    "Metres": "offload.units",
    "Observation": "offload.entities",
    "Outcome": "offload.entities",
    "Plan": "offload.entities",
    "Policy": "offload.policies.protocol",
    "PolicyError": "offload.simulation.answering",
    "Prices": "offload.planning.price",
    "Question": "offload.entities",
    "Report": "offload.entities",
    "Request": "offload.entities",
    "Result": "offload.analysis.result",
    "Scenario": "offload.scenario.load",
    "ScenarioError": "offload.scenario.faults",
    "Seconds": "offload.units",
    "Share": "offload.units",
    "Slot": "offload.planning.slot",
    "Uplink": "offload.entities",
    "Watts": "offload.units",
    "Weight": "offload.units",
    "check_policy": "offload.simulation.check",
    "compare": "offload.analysis.compare",
    "load": "offload.scenario.load",
    "price": "offload.planning.price",
    "price_at": "offload.planning.price",
    "simulate": "offload.analysis.result",
    "tabulate": "offload.planning.columns",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> object:
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    msg = f"module offload has no attribute {name}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return __all__
