"""Profile files: what a reader makes of them, and that each kind of damage is told by name."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.dnn import profiles
from offload.dnn.profiles import ProfileError, ProfileFile, read, spread, write
from tests import hand_made

SHIPPED = sorted((hand_made.ROOT / "data" / "profiles").glob("*.json"))
LIMITS = {"resnet18": 0.05, "resnet50": 0.05, "vgg16": 0.05, "mobilenetv2": 0.15}


def whole() -> dict[str, Any]:
    """Return a small file with nothing wrong: two layers, three rounds, one of them rejected."""
    layer = {
        "name": "conv", "op": "aten.conv2d", "kind": "conv", "flops": 10, "parameters": 1,
        "input_elements": 4, "output_elements": 4, "output_bytes": 16,
    }  # fmt: skip

    def round_(batch: int, layers: list[float], whole_s: float, rejected: str = "") -> dict[str, Any]:
        return {
            "at": "2026-01-02T03:04:05+00:00", "batch": batch, "runs": 2, "layers_s": layers,
            "end_to_end_s": whole_s, "residual": sum(layers) / whole_s - 1, "busy_share": 0.0,
            "spin": 1.0, "rejected": rejected, "ratios": [0.9, 1.1],
        }  # fmt: skip

    return {
        "format": 1, "model": "net", "variant": "fp32", "precision": "fp32", "task": "classification",
        "input_shape": [3, 8, 8], "weights": "random",
        "accuracy": {"value": 0.7, "known": "published", "source": "a paper"},
        "hardware": "box", "known": "measured",
        "machine": {"processor": "a processor", "threads": 1, "python": "3.11", "torch": "2.13",
                    "system": "Linux", "allocator": "glibc"},
        "layers": [layer, {**layer, "name": "relu", "kind": "activation"}],
        "cuts": [{"after": 0, "payload_bytes": 768, "tensors": 1},
                 {"after": 1, "payload_bytes": 16, "tensors": 1},
                 {"after": 2, "payload_bytes": 16, "tensors": 1}],
        "rounds": [round_(1, [0.2, 0.6], 1.0), round_(1, [0.4, 0.8], 1.4),
                   round_(1, [9.0, 9.0], 99.0, "busy"), round_(4, [1.0, 1.0], 3.0)],
    }  # fmt: skip


def put(folder: Path, told: object) -> Path:
    """Write a file."""
    path = folder / "net.fp32.box.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told))
    return path


def test_scaled_layers_sum_to_the_end_to_end_mean(tmp_path: Path) -> None:
    found = read(put(tmp_path, whole()))
    # Rejected rounds count for nothing: means are (0.3, 0.7) of a whole that took 1.2.
    assert found.layers_s[1] == pytest.approx((0.36, 0.84))
    assert found.raw_sum_s[1] == pytest.approx(1.0)
    assert sum(found.layers_s[4]) == pytest.approx(3.0)
    assert found.residual == pytest.approx(np.median([-0.2, 1.2 / 1.4 - 1]))
    assert found.variant.cuts[1].payload_bytes == 16
    assert found.variant.accuracy.value == 0.7
    assert (found.known, found.hardware) == ("measured", "box")
    for word in ("a processor", "1 thread", "torch 2.13", "2026-01-02", "random weights"):
        assert word in found.source


def test_exits_are_layers_in_a_file_and_cuts_in_a_variant(tmp_path: Path) -> None:
    told = whole()
    assert read(put(tmp_path, told)).variant.exits == ()
    layer = told["layers"][0]
    told["layers"] = [layer] * 4
    told["cuts"] = [{**told["cuts"][0], "after": after} for after in (0, 2, 3, 4)]
    for each in told["rounds"]:
        each["layers_s"] = [0.1] * 4
    told["exits"] = [2, 4]
    assert read(put(tmp_path, told)).variant.exits == (1, 3)


def test_spread_pools_runs_of_accepted_rounds_over_their_common_mean(tmp_path: Path) -> None:
    found = read(put(tmp_path, whole())).spread
    # Runs took 0.9, 1.1 and 1.26, 1.54; the quantile function is scaled to a mean of one.
    assert found[-1] / found[0] == pytest.approx(1.54 / 0.9)
    assert np.trapezoid(found, dx=1 / (len(found) - 1)) == pytest.approx(1.0, rel=1e-12)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=200))
def test_spread_has_mean_one_and_rises(ratios: list[float]) -> None:
    found = spread(ratios)
    assert len(found) == profiles.QUANTILES + 1
    middles = [(a + b) / 2 for a, b in itertools.pairwise(found)]
    assert sum(middles) / len(middles) == pytest.approx(1.0, rel=1e-12)
    assert (np.diff(found) >= -1e-12).all()
    assert found[-1] / found[0] == pytest.approx(max(ratios) / min(ratios), rel=1e-9)


@pytest.mark.parametrize("ratios", [[], [1.3]])
def test_too_few_runs_have_no_spread(ratios: list[float]) -> None:
    assert spread(ratios) == (1.0,)


def test_a_written_file_reads_back(tmp_path: Path) -> None:
    told = ProfileFile.model_validate(whole())
    path = tmp_path / "deeper" / "net.fp32.box.json"
    write(path, told)
    assert ProfileFile.model_validate_json(path.read_bytes()) == told
    assert [each.name for each in path.parent.iterdir()] == [path.name]  # nothing left aside
    write(path, told)  # and again over itself
    assert read(path).layers_s == read(put(tmp_path, whole())).layers_s


def drop(*keys: Any) -> Callable[[Any], None]:
    """Return a change that takes a key away."""

    def change(told: Any) -> None:
        for key in keys[:-1]:
            told = told[key]
        del told[keys[-1]]

    return change


def set_(value: Any, *keys: Any) -> Callable[[Any], None]:
    """Return a change that sets a key."""

    def change(told: Any) -> None:
        for key in keys[:-1]:
            told = told[key]
        told[keys[-1]] = value

    return change


DAMAGE = {
    "another format": (set_(2, "format"), "format"),
    "a key too few": (drop("machine"), "machine"),
    "a key too many": (set_(1, "extra"), "extra"),
    "a layer's key too few": (drop("layers", 0, "flops"), "layers.0.flops"),
    "a negative count": (set_(-1, "layers", 1, "flops"), "layers.1.flops"),
    "no layers": (set_([], "layers"), "layers"),
    "one cut": (set_([{"after": 0, "payload_bytes": 1, "tensors": 1}], "cuts"), "cuts"),
    "no rounds": (set_([], "rounds"), "rounds"),
    "a negative time": (set_(-0.1, "rounds", 0, "layers_s", 0), "rounds.0.layers_s.0"),
    "an endless time": (set_(float("inf"), "rounds", 0, "end_to_end_s"), "rounds.0.end_to_end_s"),
    "a time that is no number": (set_(float("nan"), "rounds", 0, "layers_s", 1), "rounds.0.layers_s.1"),
    "a residual that is no number": (set_(float("nan"), "rounds", 0, "residual"), "rounds.0.residual"),
    "no time at all": (set_(0.0, "rounds", 0, "end_to_end_s"), "rounds.0.end_to_end_s"),
    "idle layers": (set_([0.0, 0.0], "rounds", 1, "layers_s"), "rounds[1].layers_s: the layers take no"),
    "layers missing in a round": (
        set_([0.1], "rounds", 3, "layers_s"),
        "rounds[3].layers_s has 1 entries",
    ),
    "cuts that do not begin": (set_(1, "cuts", 0, "after"), "cuts must rise from 0"),
    "cuts that do not end": (set_(3, "cuts", 2, "after"), "cuts must rise from 0"),
    "cuts that fall": (set_(2, "cuts", 1, "after"), "cuts must rise from 0"),
    "a batch of none": (set_(0, "rounds", 0, "batch"), "rounds.0.batch"),
    "an accuracy of two": (set_(2, "accuracy", "value"), "accuracy.value"),
    "words for a number": (set_("fast", "rounds", 0, "end_to_end_s"), "rounds.0.end_to_end_s"),
    "not measured": (set_("assumed", "known"), "known"),
    "only rejected rounds": (
        lambda told: [set_("busy", "rounds", index, "rejected")(told) for index in (0, 1)],
        "no accepted round at batch 1",
    ),
    "no input shape": (set_([], "input_shape"), "input_shape"),
    "an exit where no cut is": (
        lambda told: [drop("cuts", 1)(told), set_([1, 2], "exits")(told)],
        "exits must rise and name cuts",
    ),
    "exits that fall": (set_([2, 1], "exits"), "exits must rise and name cuts"),
    "an exit twice": (set_([1, 1, 2], "exits"), "exits must rise and name cuts"),
    "exits without the end": (
        set_([1], "exits"),
        "exits must end with the last answer, known when all 2",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_kind_of_damage_is_refused_by_file_and_place(tmp_path: Path, damage: str) -> None:
    change, place = DAMAGE[damage]
    told = whole()
    change(told)
    path = put(tmp_path, told)
    with pytest.raises(ProfileError) as refused:
        read(path)
    assert all(line.startswith(f"{path}: ") for line in str(refused.value).splitlines())
    assert place in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1', "\ufffd", "[" * 100_000])
def test_what_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    path = put(tmp_path, text)
    with pytest.raises(ProfileError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}: ")


def test_bytes_a_folder_nothing_and_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for name in ("bytes.json", "", "nowhere.json"):
        with pytest.raises(ProfileError) as refused:
            read(tmp_path / name)
        assert str(refused.value).startswith(f"{tmp_path / name}: ")
    path = put(tmp_path, whole())
    monkeypatch.setattr(profiles, "MAX_BYTES", 100)
    with pytest.raises(ProfileError, match="larger than"):
        read(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_profiles_are_whole(path: Path) -> None:
    told = ProfileFile.model_validate_json(path.read_bytes())
    found = read(path)
    assert path.name == f"{told.model}.{told.variant}.{told.hardware}.json"
    assert 1 in found.layers_s
    assert set(found.layers_s) == {round_.batch for round_ in told.rounds}
    for batch, layers_s in found.layers_s.items():
        accepted = [r for r in told.rounds if r.batch == batch and not r.rejected]
        assert len(accepted) >= 5
        assert sum(layers_s) == pytest.approx(np.mean([r.end_to_end_s for r in accepted]))
        for round_ in accepted:
            expected = sum(round_.layers_s) / round_.end_to_end_s - 1
            assert round_.residual == pytest.approx(expected, abs=1e-4)
    assert abs(found.residual) < LIMITS.get(told.model, 0.15)
    # Larger batches take longer as a whole, and less a piece.
    sizes = sorted(found.layers_s)
    for small, large in itertools.pairwise(sizes):
        assert sum(found.layers_s[small]) < sum(found.layers_s[large])


def test_networks_whose_residual_is_promised_are_shipped() -> None:
    assert {path.name.split(".")[0] for path in SHIPPED} >= set(LIMITS)
