"""The file of measured costs: what it holds, and what is said of one that cannot be used."""

import json
from pathlib import Path

import pytest

from offload.scenario.measured_costs import MAX_BYTES, MeasuredCostsError, read
from tests.test_overheads import COSTS


def refused(path: Path, told: object) -> str:
    """Return what is said of a file that holds this."""
    path.write_text(told if isinstance(told, str) else json.dumps(told))
    with pytest.raises(MeasuredCostsError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_was_measured_is_read(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(COSTS | {"details": {"runs": [1, 2]}, "later": 3}))
    found = read(path)
    assert (found.hop.message_s, found.security["mutual-tls"].handshake_s) == (80e-6, 3e-3)
    assert (found.after_idle.within_s, found.co_location.slower) == (0.5, 0.07)


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ("{", "Invalid JSON"),
        ("[]", "Input should be an object"),
        (COSTS | {"format": 2}, "format: Input should be 1"),
        (COSTS | {"known": "assumed"}, "known: Input should be 'measured'"),
        ({key: value for key, value in COSTS.items() if key != "hop"}, "hop: Field required"),
        (
            COSTS | {"hop": {"message_s": -1e-6, "per_byte_s": 0}},
            "hop.message_s: Input should be greater",
        ),
        (COSTS | {"after_idle": {"slower": 0.1, "within_s": 0}}, "after_idle.within_s: Input should"),
        (COSTS | {"co_location": {"slower": "7 %"}}, "co_location.slower: Input should be a valid"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, told: object, what: str) -> None:
    assert f"holds no measured costs of format 1: {what}" in refused(tmp_path / "a.json", told)


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    assert "has more than 1 MB" in refused(tmp_path / "b.json", " " * (MAX_BYTES + 1))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(MeasuredCostsError, match="nothing was measured here"):
        read(tmp_path / "c.json")
