"""What only the summary beside the rows tells of a comparison: rows do not hold it."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from offload.analysis.compare import Comparison
from offload.analysis.survival import Survival

MOST_BYTES = 100_000_000


class _Summary(BaseModel):
    scenario: str
    seed: int
    replications: int
    second_opinion: Survival | None = None
    unmet: Annotated[tuple[str, ...], Field(max_length=10_000)] = ()


def recall(found: Comparison, folder: Path) -> Comparison:
    """Add the second opinion, and which intervals are wider than was asked for, as far as they are told.

    A summary of other replications than these, or one that cannot be read, tells nothing.
    """
    file = folder / "summary.json"
    try:
        if file.stat().st_size > MOST_BYTES:
            return found
        told = _Summary.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return found
    same = found.scenario, found.seed, found.replications
    if (told.scenario, told.seed, told.replications) != same:
        return found
    return replace(found, second_opinion=told.second_opinion, unmet=told.unmet)
