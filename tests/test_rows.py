"""Rows of what leaves early and what crosses coded: columns, labels and what repeats them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from offload.analysis import rows
from offload.analysis.rows import plan_label
from offload.cli import app
from offload.dnn import answers
from offload.entities import Plan
from offload.scenario.load import load
from tests import hand_made

NET = hand_made.variant([100, 50, 40, 30, 5], name="exits", exits=(1, 3, 4))
FAR = Plan(NET, 2, 3, "cabinet", "region", ("cell",))


@pytest.mark.parametrize(
    ("plan", "label"),
    [
        (Plan(NET, 4, 4), "net:exits device[0:4]"),
        (Plan(NET, 4, 4, confidence=0.75), "net:exits@0.75 device[0:4]"),
        (Plan(NET, 4, 4, exit=0), "net:exits device[0:1]"),
        (Plan(NET, 0, 4, "cabinet", None, ("cell",), "jpeg"), "net:exits jpeg cabinet[0:4]"),
        (Plan(NET, 2, 2, None, "region", ("cell",), "uint8"), "net:exits device[0:2] uint8 region[2:4]"),
        (FAR, "net:exits device[0:2] cabinet[2:3] region[3:4]"),
        (
            replace(FAR, codec="uint8", confidence=0.9),
            "net:exits@0.9 device[0:2] uint8 cabinet[2:3] region[3:4]",
        ),
        (
            replace(FAR, codec="uint8", confidence=0.9, exit=1, cloud=None),
            "net:exits@0.9 device[0:2] uint8 cabinet[2:3]",
        ),
    ],
)
def test_labels_tell_what_runs_where_and_how_it_crosses(plan: Plan, label: str) -> None:
    assert plan_label(plan) == label


SCENARIO = """
format = 1
name = "line"
duration = "3 s"
profiles = "profiles"
[devices.gateway]
count = 2
hardware = "x86-core"
[devices.gateway.tasks.look]
models = ["pictures"]
every = "20 ms"
jitter = "5 ms"
deadline = "30 ms"
input = "784 B"
codecs = ["uint8"]
confidences = [0.7]
[nodes.site]
kind = "edge"
hardware = "x86-core"
[links]
cell = { from = "*", to = "site", up = "5 Mbit/s", down = "5 Mbit/s", delay = "1 ms" }
[compare]
replications = 2
policies = [
  { name = "local", confidence = 0.7 },
  { name = "edge", codec = "uint8", after = 5, variant = "plain" },
  { name = "edge", label = "mixed", codec = "uint8", after = 3, variant = "exits", confidence = 0.7 },
]
"""


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """Return a scenario of two gateways, with its profiles."""
    hand_made.write_pictures(tmp_path / "profiles", **{"x86-core": 1.0})
    path = tmp_path / "line.toml"
    path.write_text(SCENARIO)
    return path


def call(*arguments: str | Path) -> Any:
    """Run a command; return what it printed."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, (done.stderr, done.exception)
    return done.stdout


def test_columns_tell_codec_confidence_and_the_exit_taken(line: Path, tmp_path: Path) -> None:
    call("compare", line, "--jobs", "1", "--out", tmp_path / "out")
    local, edge, mixed = (
        pl.read_parquet(tmp_path / "out" / label / "0" / "requests.parquet")
        for label in ("local", "edge", "mixed")
    )
    assert set(local["exit"]) == set(mixed["exit"]) == {0, 1, 2}
    assert (set(local["confidence"]), set(local["codec"])) == ({0.7}, {None})
    assert set(local["plan"]) == {"pictures:exits@0.7 device[0:8]"}
    assert (set(edge["exit"]), set(edge["confidence"]), set(edge["codec"])) == (
        {None},
        {None},
        {"uint8"},
    )
    assert set(edge["plan"]) == {"pictures:plain device[0:5] uint8 site[5:8]"}
    # The first exit lies at the cut: who takes it sends nothing.
    stayed = mixed.filter(pl.col("exit") == 0)
    assert stayed.height > 20
    assert stayed["up_bytes"].max() == stayed["uplink_s"].max() == 0
    assert mixed.filter(pl.col("exit") > 0)["up_bytes"].unique().to_list() == [1500.0]
    told = pl.read_parquet_metadata(tmp_path / "out" / "mixed" / "0" / "requests.parquet")
    assert json.loads(told["answers"]) == dict.fromkeys(
        ("pictures:exits", "pictures:plain"), "made-up pictures"
    )


def test_the_same_rows_with_two_processes_and_again_from_themselves(line: Path, tmp_path: Path) -> None:
    call("compare", line, "--jobs", "1", "--out", tmp_path / "one")
    call("compare", line, "--jobs", "2", "--out", tmp_path / "two")
    for path in sorted((tmp_path / "one").rglob("requests.parquet")):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert_frame_equal(pl.read_parquet(path), pl.read_parquet(other), check_exact=True)
    again = call("run", tmp_path / "one" / "mixed" / "1" / "requests.parquet", "--json")
    assert json.loads(again)["identical"] is True


def test_other_answers_make_another_scenario(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "same", "other"):
        folder = tmp_path / name
        hand_made.write_pictures(folder / "profiles", **{"x86-core": 1.0})
        (folder / "line.toml").write_text(SCENARIO)
        if name == "other":
            records = hand_made.pictures_records()
            each = records[-1].answers
            surer = dataclasses.replace(each, confidence=(b"\xff" * each.images, *each.confidence[1:]))
            records[-1] = dataclasses.replace(records[-1], answers=surer)
            answers.write(folder / "profiles" / "pictures.answers.parquet", records)
        digests.append(load(folder / "line.toml").digest)
    assert digests[0] == digests[1] != digests[2]


def test_check_shows_what_is_on_offer(line: Path) -> None:
    printed = " ".join(call("check", line).split())
    told = "codecs uint8; exits after layers 3, 5, 8; confidences 0.7"
    assert f"gateway.look, pictures:exits: {told}" in printed
    assert "gateway.look, pictures:plain: codecs uint8; exits" not in printed
    assert load(line).known.endswith("accuracy measured; power assumed; codecs assumed")
    offers = json.loads(call("check", line, "--json"))["offers"]
    assert [each["variant"] for each in offers] == ["pictures:exits", "pictures:plain"]
    assert "exits" not in call("check", hand_made.ROOT / "tests" / "small.toml")


def test_a_codec_that_nobody_measured_is_refused_by_its_nearest(line: Path) -> None:
    line.write_text(SCENARIO.replace('["uint8"]', '["unit8"]'))
    done = CliRunner().invoke(app, ["check", str(line)])
    assert done.exit_code == 2
    where = f"{line}:15: devices.gateway.tasks.look.codecs.0"
    assert done.stderr == f'{where}: no codec "unit8"; did you mean "uint8"?\n'


def test_networks_whose_answers_are_about_other_images_do_not_mix(line: Path, tmp_path: Path) -> None:
    told = hand_made.pictures_profile("plain", "x86-core") | {"model": "others"}
    (tmp_path / "profiles" / "others.plain.x86-core.json").write_text(json.dumps(told))
    other = answers.Record("plain", None, 0, None, hand_made.answers(([1, 0], [9, 9]), data="others"))
    answers.write(tmp_path / "profiles" / "others.answers.parquet", [other])
    line.write_text(SCENARIO.replace('["pictures"]', '["pictures", "others"]'))
    done = CliRunner().invoke(app, ["check", str(line)])
    assert done.exit_code == 2
    assert done.stderr == (
        f"{line}:10: devices.gateway.tasks.look.models: answers were measured on different images"
        ' (pictures:exits: 60 of "made-up pictures", others:plain: 2 of "others"), but one image stands'
        " for a request under every variant; choose variants with answers to the same ones\n"
    )


def test_versions_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who installs an extra takes the project's metadata away for a moment, while a sweep may run."""
    asked = []
    rows._version.cache_clear()
    monkeypatch.setattr(rows.installed, "version", lambda package: asked.append(package) or "1")
    assert [rows._version("offload"), rows._version("offload")] == ["1", "1"]
    rows._version.cache_clear()
    assert asked == ["offload"]
