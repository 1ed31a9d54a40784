"""What codecs do at the cuts of a small classifier: answers by hand, times, files that merge."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from offload.cli import app
from offload.dnn import answers, crossing_table
from offload.dnn import pictures as pictures_module
from offload.dnn.codec import decode, named
from offload.dnn.crossing import Course, Crossing, CrossingError
from offload.dnn.graph import split
from offload.dnn.pictures import NORMAL, Pictures
from offload.dnn.pixels import Pixels
from offload.networks import Answers, Coded
from offload.shipped import DATA

GREY = Pixels(*NORMAL[1])


class Exits(nn.Module):
    """A convolution, an answer on the way, another convolution and the last answer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2)
        self.early, self.late = nn.Linear(4, 3), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.one(x))
        return self.early(x.mean((2, 3))), self.late(torch.relu_(self.two(x)).mean((2, 3)))


def pictures(count: int = 12) -> Pictures:
    """Return noise of 12 x 12 pixels, and labels."""
    generator = torch.Generator().manual_seed(3)
    raw = torch.randint(0, 256, (count, 1, 12, 12), generator=generator).to(torch.uint8)
    labels = torch.randint(0, 3, (count,), generator=generator)
    return Pictures("noise", raw, labels, ("a", "b", "c"))


@pytest.fixture(scope="module")
def course() -> Course:
    """A network with random weights, large enough that 8 bits change some answers."""
    torch.manual_seed(0)
    return Course("exits:fp32", Exits().eval(), pictures(), timed=3)


def after(course: Course, layers: int) -> int:
    """Return the cut after this many layers."""
    return next(number for number, cut in enumerate(course.graph.cuts) if cut.after == layers)


def by_hand(course: Course, cut: int, name: str) -> list[tuple[Tensor, ...]]:
    """Return the logits of each image by itself, with what crosses coded."""
    before, rest = split(course.graph, cut)
    codec = named(name, GREY)
    with torch.inference_mode():
        return [
            rest(*decode(codec.encode(before(course.images.inputs(slice(i, i + 1))))))
            for i in range(len(course.images))
        ]


def test_answers_are_those_of_each_image_coded_by_itself(course: Course) -> None:
    for cut in (0, 1, 2):
        for each in course.at(cut, [named("uint8"), named("fp16"), named("jpeg-75", GREY)]):
            expected = by_hand(course, cut, each.codec)
            for exit_ in range(2):
                logits = torch.cat([made[exit_] for made in expected])
                sure = (logits.softmax(1).max(1).values * 255).floor()
                assert torch.equal(each.said.classes[exit_], logits.argmax(1))
                assert (each.said.confidence[exit_] - sure).abs().max() <= 1  # a batch rounds otherwise


def test_an_exit_before_the_cut_has_answered_from_what_never_crossed(course: Course) -> None:
    known = course.wide.outputs[0]
    late = after(course, known)
    assert late < len(course.graph.cuts) - 1
    rough = named("jpeg-1", GREY)
    (at_input,) = course.at(0, [rough])
    assert not torch.equal(at_input.said.confidence[0], course.said.confidence[0])
    for each in course.at(late, [named("uint8"), named("fp16")]):
        assert torch.equal(each.said.confidence[0], course.said.confidence[0])


def test_codecs_that_do_nothing_are_left_out(course: Course) -> None:
    every = [named(name, GREY) for name in ("raw", "fp16", "uint8+lz4", "png", "webp-80")]
    assert [each.codec for each in course.at(0, every)] == ["raw", "fp16", "uint8+lz4", "png", "webp-80"]
    assert [each.codec for each in course.at(1, every)] == ["raw", "fp16", "uint8+lz4"]
    assert list(course.cuts) == list(range(len(course.graph.cuts) - 1))


def test_bytes_and_times_are_means_over_single_images(course: Course) -> None:
    raw, packed, png = course.at(0, [named("raw"), named("uint8+zstd"), named("png", GREY)])
    inputs = [course.images.inputs(slice(i, i + 1)) for i in range(3)]
    sizes = [len(named("png", GREY).encode([each])) for each in inputs]
    assert png.payload_bytes == pytest.approx(sum(sizes) / 3)
    assert raw.payload_bytes == 4 * 144 + 13 + 1 + 4 + 16
    assert packed.payload_bytes < raw.payload_bytes / 3
    assert raw.whole_s == packed.whole_s > 0
    assert all(each.encode_s > 0 and each.decode_s > 0 for each in (raw, packed, png))
    assert png.encode_s > raw.encode_s


def test_a_lossless_codec_changes_no_answer(course: Course) -> None:
    for each in course.at(1, [named("raw"), named("raw+zstd")]):
        assert each.said is course.said


def test_what_is_no_classifier_is_told() -> None:
    with pytest.raises(CrossingError, match=r"^maps: no classifier: its outputs are no logits"):
        Course("maps", nn.Conv2d(1, 2, 3), pictures(2))


# Records and rows


@pytest.fixture(scope="module")
def crossings(course: Course) -> list[Crossing]:
    return [each for cut in (0, 1) for each in course.at(cut, [named("raw"), named("uint8")])]


def test_records_are_what_simulating_reads(
    course: Course, crossings: list[Crossing], tmp_path: Path
) -> None:
    path = tmp_path / "exits.answers.parquet"
    crossing_table.merge_answers(path, crossing_table.records("fp32", course, crossings, "here"))
    found = answers.read(path)["fp32"]
    assert [(each.codec, each.cut) for each in found] == [
        (None, 0), ("raw", 0), ("uint8", 0), ("raw", 1), ("uint8", 1),
    ]  # fmt: skip
    uncoded, raw = found[0], found[1]
    assert uncoded.answers.right == raw.answers.right
    right = course.said.classes == course.images.labels
    assert [list(each) for each in uncoded.answers.right] == right.int().tolist()
    assert [list(each) for each in uncoded.answers.confidence] == course.said.confidence.tolist()
    one = crossings[0]
    shares = one.encode_s / one.whole_s, one.decode_s / one.whole_s
    assert raw.coded == Coded(one.payload_bytes, *shares, "measured", "here")


def test_records_replace_those_of_the_same_crossing_and_keep_the_rest(
    course: Course, crossings: list[Crossing], tmp_path: Path
) -> None:
    path = tmp_path / "exits.answers.parquet"
    for variant in ("fp32", "other"):
        crossing_table.merge_answers(path, crossing_table.records(variant, course, crossings, "old"))
    again = [each for each in crossings if each.codec == "uint8" and each.cut == 1]
    crossing_table.merge_answers(path, crossing_table.records("fp32", course, again, "new"))
    found = answers.read(path)
    assert list(found) == ["fp32", "other"]
    assert len(found["other"]) == 5
    told = {(e.codec, e.cut): e.coded.source for e in found["fp32"] if e.coded}
    assert told == {("raw", 0): "old", ("uint8", 0): "old", ("raw", 1): "old", ("uint8", 1): "new"}


def test_records_of_a_network_that_answers_otherwise_all_go(
    course: Course, crossings: list[Crossing], tmp_path: Path
) -> None:
    path = tmp_path / "exits.answers.parquet"
    old = crossing_table.records("fp32", course, crossings, "old")
    (uncoded, *_) = old
    wrong = Answers(uncoded.answers.data, (bytes(12), bytes(12)), uncoded.answers.confidence)
    crossing_table.merge_answers(path, [replace(uncoded, answers=wrong), *old[1:]])
    crossing_table.merge_answers(path, crossing_table.records("fp32", course, crossings[:1], "new"))
    assert [(each.codec, each.cut) for each in answers.read(path)["fp32"]] == [(None, 0), ("raw", 0)]


def test_answers_to_other_images_are_not_mixed(
    course: Course, crossings: list[Crossing], tmp_path: Path
) -> None:
    path = tmp_path / "exits.answers.parquet"
    records = crossing_table.records("fp32", course, crossings, "here")
    crossing_table.merge_answers(path, records)
    other = Course("exits:fp32", course.network, pictures(6), timed=1)
    other.images = Pictures("others", other.images.raw, other.images.labels, ())
    mixed = crossing_table.records("int8", other, [], "here")
    before = path.read_bytes()
    with pytest.raises(CrossingError, match=r"holds answers to other images \(noise\)"):
        crossing_table.merge_answers(path, mixed)
    assert path.read_bytes() == before


def test_rows_tell_accuracy_or_agreement(course: Course, crossings: list[Crossing]) -> None:
    for score, truth in (("accuracy", course.images.labels), ("agreement", course.said.classes[-1])):
        rows = crossing_table.rows("exits", "fp32", course, crossings, score, "here", "today")
        assert [row["cut"] for row in rows] == [0, 0, 1, 1]
        for row, each in zip(rows, crossings, strict=True):
            right = (each.said.classes[-1] == truth).float().mean()
            assert row["score"] == pytest.approx(float(right), abs=1e-4)
            assert row["encode_share"] == pytest.approx(each.encode_s / each.whole_s, abs=1e-4)
            assert row["values_bytes"] == course.graph.cuts[each.cut].payload_bytes
        assert (rows[0]["uncoded_score"] == 1) == (score == "agreement")
        assert rows[0]["last_layer"] == "input"


def test_smallest_is_the_fewest_bytes_that_cost_little(
    course: Course, crossings: list[Crossing]
) -> None:
    rows = crossing_table.rows("exits", "fp32", course, crossings, "agreement", "here", "today")
    rows[1] |= {"score": 0.9}  # uint8 at the input: small, but wrong too often
    assert [row["codec"] for row in crossing_table.smallest(rows)] == ["raw", "uint8"]
    assert [row["codec"] for row in crossing_table.smallest(rows, loss=0.2)] == ["uint8", "uint8"]


def test_only_rows_of_the_same_source_stay_beside_new_ones(
    course: Course, crossings: list[Crossing], tmp_path: Path
) -> None:
    path = tmp_path / "codecs.csv"

    def merge(variant: str, some: list[Crossing], source: str) -> None:
        rows = crossing_table.rows("exits", variant, course, some, "agreement", source, "today")
        crossing_table.merge_rows(path, rows)

    merge("a", crossings[2:], "1")
    merge("b", crossings, "1")
    merge("a", crossings[:2], "1")
    found = crossing_table.read(path)
    assert [(row["variant"], row["cut"], row["codec"]) for row in found] == [
        (variant, cut, codec) for variant in "ba" for cut in (0, 1) for codec in ("raw", "uint8")
    ]
    assert crossing_table.of(path, "exits", "b", "1") == found[:4] == crossing_table.rows(
        "exits", "b", course, crossings, "agreement", "1", "today"
    )  # fmt: skip
    merge("a", crossings[:1], "2")
    assert [row["source"] for row in crossing_table.read(path)] == ["1"] * 4 + ["2"]
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("content", ["network,codec\n", "", "\0\0\0", "\xff\xfe"])
def test_what_is_no_table_stays_as_it_is(content: str, tmp_path: Path) -> None:
    path = tmp_path / "codecs.csv"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(CrossingError, match=r"codecs.csv: no table of codecs \(.*\); move it away"):
        crossing_table.merge_rows(path, [{"network": "n", "variant": "v", "cut": 0, "codec": "raw"}])
    assert path.read_bytes() == content.encode("latin-1")


def test_the_shipped_table_says_what_the_shipped_answers_say() -> None:
    rows = crossing_table.read(DATA / "codecs.csv")
    assert {row["network"] for row in rows} == {"fashion-cnn", "mobilenetv2"}
    assert {row["score_is"] for row in rows if row["network"] == "mobilenetv2"} == {"agreement"}
    found = answers.read(DATA / "profiles" / "fashion-cnn.answers.parquet")
    shipped = {(variant, each.codec, each.cut): each for variant in found for each in found[variant]}
    for row in rows:
        if row["network"] == "fashion-cnn":
            one = shipped[row["variant"], row["codec"], row["cut"]]
            assert one.coded
            assert one.coded.payload_bytes == pytest.approx(float(row["bytes"]), abs=0.06)
            assert sum(one.answers.right[-1]) / 2000 == pytest.approx(float(row["score"]))


# The command


def test_the_command_measures_the_network_that_comes_with_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = pictures_module.test_slice().take(slice(0, 100))
    monkeypatch.setattr(pictures_module, "test_slice", lambda: some)
    options = ["--codec", "uint8", "--timed", "1", "--out", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, ["codecs", "fashion-cnn", "--variant", "student", *options])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert {row["codec"] for row in rows} == {"uint8"}
    assert all(row["score_is"] == "accuracy" and row["uncoded_score"] > 0.8 for row in rows)
    assert max(abs(row["score"] - row["uncoded_score"]) for row in rows) < 0.05
    found = answers.read(tmp_path / "fashion-cnn.answers.parquet")["student"]
    assert found[0].answers.images == 100
    assert sum(found[0].answers.right[-1]) / 100 == pytest.approx(rows[0]["uncoded_score"])
    assert len(found) == len(rows) + 1
    # What is measured is not measured again, but what is left is.
    monkeypatch.setattr(Course, "_times", None)
    done = CliRunner().invoke(app, ["codecs", "fashion-cnn", "--variant", "student", *options])
    assert (done.exit_code, json.loads(done.stdout)) == (0, rows)
    monkeypatch.undo()
    monkeypatch.setattr(pictures_module, "test_slice", lambda: some)
    both = [*options, "--codec", "fp16"]
    done = CliRunner().invoke(app, ["codecs", "fashion-cnn", "--variant", "student", *both])
    again = json.loads(done.stdout)
    assert [row for row in again if row["codec"] == "uint8"] == rows
    assert sum(row["codec"] == "fp16" for row in again) > 10


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["resnet18"], "resnet18: give a folder of pictures to code with --images"),
        (["fashion-cnn", "--images", "."], "is measured on its own test images; leave it out"),
        (["fashion-cnn", "--codec", "gif"], '"gif": no codec of that name'),
        (["resnet18", "--images", "empty"], "empty: no images in it"),
        (["bert-base", "--images", "empty"], "for networks that take 1 or 3 channels"),
        (["fashion-cnn", "--variant", "fp31"], "fashion-cnn:fp31: no such variant"),
    ],
)
def test_bad_input_is_told(
    arguments: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(app, ["codecs", *arguments, "--out", "out"])
    assert done.exit_code == 2
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
