"""What the laws share: scenarios written as text, and Student's interval over replications."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.special import stdtrit

from offload.scenario.load import Scenario, load

HEAD = """
format = 1
name = "law"
duration = "{duration} s"
drain = "{drain} s"
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = {{ value = "2 W", known = "assumed", source = "a law" }}
busy_power = {{ value = "5 W", known = "assumed", source = "a law" }}
"""

LoadText = Callable[..., Scenario]
Agree = Callable[..., None]


@pytest.fixture
def load_text(tmp_path: Path) -> LoadText:
    """Return a function that loads a scenario from its tables; `core` is the only hardware."""

    def load_tables(tables: str, duration: float, drain: float = 1e6, *settings: str) -> Scenario:
        path = tmp_path / "law.toml"
        path.write_text(HEAD.format(duration=duration, drain=drain) + tables)
        return load(path, settings)

    return load_tables


@pytest.fixture
def agree() -> Agree:
    """Return a function that asserts that means of replications agree with theory."""

    def check(means: Sequence[float], theory: float, within: float = 0.1) -> None:
        n = len(means)
        half = stdtrit(n - 1, 0.9995) * np.std(means, ddof=1) / math.sqrt(n)
        assert n >= 10
        # An interval that holds anything proves nothing.
        assert half < within * theory, f"{half / theory:.1%} is too wide to tell theories apart"
        assert abs(np.mean(means) - theory) <= half, f"{np.mean(means)} +- {half}, theory {theory}"

    return check
