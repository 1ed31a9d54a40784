"""Variants over seeds: made once, kept, measured on test images alone, and put into a table."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from offload.dnn import (
    answers,
    pictures,
    small,
    stored,
    structure,
    training,
    trials,
    variant_table,
    variants,
)
from offload.dnn.pictures import Split
from offload.dnn.trials import Outcome, Trial
from offload.dnn.variants import RECIPES, WHAT, Bench, Subject
from offload.networks import Answers
from offload.planning import exits as planned

SLICE = pictures.test_slice()
IMAGES = Split(SLICE.take(slice(160)), SLICE.take(slice(160, 220)), SLICE.take(slice(220, 300)))
SUBJECT = Subject(small.NAME, small.build, small.INPUT_SHAPE, IMAGES, epochs=1)
SOME = ["fp32", "int8", "exits"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Trial], Path]:
    """Three variants of two seeds, and where they are kept; to be read only."""
    folder = tmp_path_factory.mktemp("trials")
    return trials.run(SUBJECT, (0, 1), SOME, folder), folder


def test_each_variant_of_each_seed_is_measured(done: tuple[list[Trial], Path]) -> None:
    found, _ = done
    assert [(trial.variant, trial.seed) for trial in found] == [
        (v, seed) for seed in (0, 1) for v in SOME
    ]
    fp32, int8, exits = found[:3]
    assert fp32.parameters == int8.parameters == 170_298
    assert fp32.macs == int8.macs == 16_571_264
    assert int8.size_bytes < 0.26 * fp32.size_bytes
    assert fp32.task == "10 classes"
    assert [outcome.confidence for outcome in fp32.outcomes] == [None]
    assert len(exits.exits) == 3
    assert [outcome.chosen for outcome in exits.outcomes] == [False, True, False, False]
    assert [outcome.confidence for outcome in exits.outcomes][2:] == [0.7, 0.9]
    for outcome in exits.outcomes:
        assert sum(outcome.leaving) == pytest.approx(1)
    assert exits.outcomes[0].leaving == [0, 0, 1]
    assert exits.outcomes[0].accuracy == exits.exits[2]


def test_what_is_kept_is_what_was_measured(done: tuple[list[Trial], Path]) -> None:
    found, folder = done
    for name, network in trials.networks(SUBJECT, SOME, folder, seed=1).items():
        trial = next(each for each in found if (each.variant, each.seed) == (name, 1))
        assert training.answers(network, IMAGES.test).right.mean(1).tolist() == trial.exits


def test_what_is_finished_is_not_made_again(
    done: tuple[list[Trial], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, folder = done

    def make(_bench: Bench, variant: str) -> None:
        raise AssertionError(variant)

    monkeypatch.setattr(Bench, "make", make)
    assert trials.run(SUBJECT, (0, 1), SOME, folder) == found
    with pytest.raises(AssertionError, match="fp32"):  # other settings make other networks
        trials.run(replace(SUBJECT, epochs=2), (0,), SOME, folder)
    with pytest.raises(AssertionError, match="bf16"):
        trials.run(SUBJECT, (0,), ["bf16"], folder)


def test_a_spoilt_record_is_made_again(done: tuple[list[Trial], Path], tmp_path: Path) -> None:
    found, folder = done
    path = trials.network_path(tmp_path, SUBJECT, "fp32", 0)
    path.parent.mkdir()
    path.write_bytes(trials.network_path(folder, SUBJECT, "fp32", 0).read_bytes())
    path.with_suffix(".json").write_text("{")
    (again,) = trials.run(SUBJECT, (0,), ["fp32"], tmp_path)
    assert (
        again.model_copy(update={"seconds": found[0].seconds}) == found[0]
    )  # the same seed, the same network
    assert Trial.model_validate_json(path.with_suffix(".json").read_bytes()) == again


def test_settings_tell_what_would_train_another_network(tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"1")
    other = Split(IMAGES.train, IMAGES.validation, IMAGES.test.take(slice(10)))
    subjects = [
        SUBJECT,
        replace(SUBJECT, epochs=2),
        replace(SUBJECT, images=other),
        replace(SUBJECT, weights=weights),
        replace(SUBJECT, weights=weights, tune="last"),
    ]
    assert len({trials.settings(each) for each in subjects}) == len(subjects)
    assert trials.settings(SUBJECT) == trials.settings(replace(SUBJECT))


@pytest.mark.parametrize(
    "name", ["bf16", "int4", "pruned-75", "student-distilled", "sparse-80", "separable", "bottleneck-4"]
)
def test_every_recipe_makes_a_network_that_reads_back(
    done: tuple[list[Trial], Path], name: str, tmp_path: Path
) -> None:
    bench = Bench(SUBJECT, 0)
    path = trials.network_path(done[1], SUBJECT, "fp32", 0)
    bench.base = lambda: stored.read(path, small.build, small.INPUT_SHAPE)
    made = bench.make(name)
    stored.write(tmp_path / "n.safetensors", made.kept, made.form, {})
    back = stored.read(tmp_path / "n.safetensors", small.build, small.INPUT_SHAPE)
    assert back(IMAGES.test.inputs()).shape == (80, 10)
    if name == "sparse-80":  # training on has not filled the holes
        assert trials.parameters(made) < 0.21 * 170_298


def test_new_classes_are_learnt_after_the_others_or_from_nothing() -> None:
    bench = Bench(SUBJECT, 0)
    few = variants.few_others(IMAGES)
    assert few.train.classes == SLICE.classes[5:]
    assert few.train.labels.bincount().tolist() == [variants.FEW] * 5
    assert len(few.test) == len(variants.tested_on(SUBJECT, "tuned-last"))
    last, whole = (bench.make(f"tuned-{how}").kept.state_dict() for how in ("last", "whole"))
    body = [name for name in last if not name.startswith("output")]
    assert all(torch.equal(last[name], bench.elsewhere[name]) for name in body)
    assert not torch.equal(whole["features.stem.0.weight"], bench.elsewhere["features.stem.0.weight"])
    two = replace(SUBJECT, images=variants.first_half(variants.first_half(IMAGES)))
    assert "tuned-last" not in variants.possible(two)
    with pytest.raises(structure.StructureError, match="to learn half of 2 classes later"):
        Bench(two, 0).make("tuned-last")


def test_the_last_layer_alone_is_tuned(done: tuple[list[Trial], Path]) -> None:
    weights = trials.network_path(done[1], SUBJECT, "fp32", 0)
    three = Split(*(part.only((2, 4, 6)) for part in (IMAGES.train, IMAGES.validation, IMAGES.test)))
    subject = replace(SUBJECT, images=three, weights=weights, tune="last")
    made = Bench(subject, 0).make("fp32")
    assert made.form.steps == (("classes", 3),)
    before = stored.read(weights, small.build, small.INPUT_SHAPE).state_dict()
    after = made.kept.state_dict()
    assert torch.equal(before["features.stage3.1.conv2.weight"], after["features.stage3.1.conv2.weight"])
    assert after["output.weight"].shape == (3, 64)


def test_a_network_that_is_no_classifier_is_refused() -> None:
    for build in (lambda: nn.Conv2d(1, 2, 3), lambda: nn.Sequential(nn.Flatten(1, 2), nn.LSTM(28, 4))):
        with pytest.raises(structure.StructureError, match="no classifier"):
            _ = replace(SUBJECT, build=build).steps


def test_a_recipe_that_does_not_fit_says_so_in_one_line() -> None:
    subject = replace(SUBJECT, build=lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    bench = Bench(subject, 0)
    with pytest.raises(structure.StructureError, match="Sequential: no chain of 2 stages") as caught:
        bench.make("exits")
    assert "\n" not in str(caught.value)


def test_times_rise_from_exit_to_exit(done: tuple[list[Trial], Path]) -> None:
    networks = trials.networks(SUBJECT, SOME, done[1])
    found = trials.times(networks, SUBJECT.example, runs=20)
    assert {name: len(times) for name, times in found.items()} == {"fp32": 1, "int8": 1, "exits": 3}
    early, later, end = found["exits"]
    assert 0 < early < later < end
    assert not networks["exits"].heads[0]._forward_hooks


def test_answers_are_those_of_the_images_in_order(
    done: tuple[list[Trial], Path], tmp_path: Path
) -> None:
    networks = trials.networks(SUBJECT, SOME, done[1])
    found = trials.answers_to(IMAGES.test, networks)
    answers.write(tmp_path / "a.parquet", found)
    (exits,) = answers.read(tmp_path / "a.parquet")["exits"]
    assert (exits.codec, exits.cut, exits.coded) == (None, 0, None)
    answered = training.answers(networks["exits"], IMAGES.test)
    for exit_ in range(3):
        assert list(exits.answers.right[exit_]) == answered.right[exit_].astype(int).tolist()
        assert list(exits.answers.confidence[exit_]) == answered.confidence[exit_].tolist()
    # The planning and the training agree on who leaves where.
    for confidence in (None, 0.15, 0.3):
        leaves = planned._taken(exits.answers, confidence, 2)
        assert list(leaves) == answered.leaving(confidence).tolist()
    assert isinstance(exits.answers, Answers)


def outcome(
    accuracy: float, confidence: float | None = None, leaving: tuple[float, ...] = (1.0,)
) -> Outcome:
    return Outcome(
        confidence=confidence, chosen=confidence is not None, accuracy=accuracy, precision=accuracy,
        recall=accuracy, f1=accuracy, leaving=list(leaving),
    )  # fmt: skip


def trial(variant: str, seed: int, *outcomes: Outcome, task: str = "10 classes") -> Trial:
    return Trial(
        variant=variant, seed=seed, settings="", task=task, size_bytes=1000 + seed, parameters=5, macs=7,
        seconds=1.0, exits=[0.5] * len(outcomes[0].leaving), outcomes=list(outcomes),
    )  # fmt: skip


def test_rows_are_means_and_deviations_over_seeds(tmp_path: Path) -> None:
    found = [
        trial(
            "exits",
            seed,
            outcome(0.8 + seed / 10, leaving=(0, 1)),
            outcome(0.7, 0.6 + seed / 10, (0.5, 0.5)),
        )
        for seed in (0, 1)
    ]
    table = variant_table.rows(SUBJECT, found, {"exits": (1e-3, 3e-3)})
    whole, early = table
    assert (whole["accuracy"], whole["accuracy_sd"]) == (
        0.85,
        pytest.approx(np.std([0.8, 0.9], ddof=1), abs=1e-4),
    )
    assert (whole["cpu_ms"], early["cpu_ms"]) == (3.0, 2.0)
    assert (whole["leave_at"], early["leave_at"]) == ("", "0.6 to 0.7 (chosen)")
    assert (early["leaving"], early["seeds"], early["size_bytes"]) == ("0.500/0.500", 2, 1000)
    variant_table.write(tmp_path / "t.csv", table)
    with (tmp_path / "t.csv").open() as file:
        assert [row["leave_at"] for row in csv.DictReader(file)] == ["", "0.6 to 0.7 (chosen)"]
    lines = variant_table.markdown(table).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert "| 85.00 ±7.07 |" in lines[2]


def test_one_seed_has_no_deviation_and_other_tasks_say_so() -> None:
    found = [trial("fp32", 0, outcome(0.9)), trial("tuned-last", 0, outcome(0.5), task="5 classes")]
    table = variant_table.rows(SUBJECT, found, {"fp32": (1e-3,)})
    assert table[0]["accuracy_sd"] is None
    shown = variant_table.shown(table)
    assert [row["variant"] for row in shown] == ["fp32", "tuned-last (5 classes)"]
    assert (shown[0]["accuracy %"], shown[1]["CPU ms"]) == ("90.00", "-")


def test_differences_claim_nothing_where_seeds_disagree() -> None:
    found = [
        trial(name, seed, outcome(0.8 + gain))
        for seed in (0, 1)
        for name, gain in (
            ("student", 0),
            ("student-distilled", 0.01 - 0.02 * seed),
            ("pruned-75", 0.01),
        )
    ]
    distilled, pruned = variant_table.differences(found)
    assert distilled == (
        "student-distilled minus student: +0.00 points (+1.00, -1.00): seeds disagree, no gain to claim"
    )
    assert pruned == "pruned-75 minus student: +1.00 points (+1.00, +1.00)"


def test_every_recipe_is_described() -> None:
    assert RECIPES.keys() == WHAT.keys()
