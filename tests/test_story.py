"""Folders of results read again: what compare found, the order of policies, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from offload.analysis import story as story_module
from offload.analysis.compare import Comparison, compare
from offload.analysis.files import to_json
from offload.analysis.folder import FolderError, Kept
from offload.analysis.rows import SCHEMA
from offload.analysis.statistics import Interval
from offload.analysis.story import read
from offload.analysis.until import Until
from offload.analysis.until import read as read_targets
from offload.policies.table import choose
from offload.scenario.load import load
from tests.hand_made import ROOT
from tests.test_compare import scenario as rescaled

SMALL = ROOT / "tests" / "small.toml"
SHORT = ['duration="4 s"']
NAMES = ("random", "edge", "clairvoyant", "local")  # no order that names or results have


def made(out: Path, *settings: str, names=NAMES, replications=2, seed=None) -> Comparison:
    """Compare policies on the small scenario, and leave what the command leaves."""
    scenario = load(SMALL, [*SHORT, *settings])
    chosen = [choose({"name": name}) for name in names]
    found = compare(scenario, chosen, replications, seed, out=out, second_opinion=False)
    (out / "summary.json").write_text(json.dumps(to_json(found.as_json())))
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> tuple[Path, Comparison]:
    """Return a folder of results, and what was found; only to be read."""
    out = tmp_path_factory.mktemp("kept")
    return out, made(out)


@pytest.fixture
def folder(kept, tmp_path) -> Path:
    """Return a copy of the folder that a test may break."""
    return Path(shutil.copytree(kept[0], tmp_path / "results"))


def refused(where: Path) -> str:
    with pytest.raises(FolderError) as caught:
        read(where)
    return str(caught.value)


# What is read


def test_it_tells_what_compare_found_in_the_same_order(kept):
    out, found = kept
    story = read(out)
    assert story.found == found
    assert story.labels == list(NAMES)
    assert (story.folder, story.left_out) == (out, ())
    assert story.scenario.file.name == "small"
    assert [choice.name for choice in story.choices] == list(NAMES)


def test_rows_and_counts_are_those_that_measures_count(kept):
    story = read(kept[0])
    for policy in story.found.policies:
        counted = story.counted(policy.label).collect()
        assert counted.height == policy.requests > 0
        assert counted["born_s"].min() >= story.found.warm_up_s == 1.0
        rows = [story.rows(policy.label, number) for number in (0, 1)]
        assert [dict(each.schema) for each in rows] == [dict(SCHEMA)] * 2
        assert rows[0]["born_s"].is_sorted()
        assert sum((each["born_s"] >= 1.0).sum() for each in rows) == counted.height
    assert {device.name for device in story.setting(1).devices} == {"car-0", "car-1"}


def test_the_best_is_a_contender_by_the_headline(kept):
    """The clairvoyant is a reference; of the others whoever is most often useful."""
    story = read(kept[0])
    means = {
        p.label: p.measures["useful"].mean for p in story.found.policies if p.label != "clairvoyant"
    }
    assert story.best == max(means, key=means.get)
    undefined = tuple(replace(p, measures=dict.fromkeys(p.measures)) for p in story.found.policies)
    assert replace(story, found=replace(story.found, policies=undefined)).best == "random"


def test_a_warm_up_that_was_found_is_found_again(tmp_path):
    settings = ['warm_up="auto"', 'links.cell.up="4 Mbit/s"', "devices.car.count=12"]
    found = made(tmp_path, *settings, names=("edge", "local"))
    assert found.warm_up_s > 0.0
    story = read(tmp_path)
    assert story.found == found
    assert story.counted("edge").collect()["born_s"].min() >= found.warm_up_s


def test_setting_has_the_ways_of_its_replication(tmp_path):
    scenario = load(ROOT / "scenarios" / "highway-platoon.toml", ['duration="2 s"', 'warm_up="0 s"'])
    compare(scenario, [choose({"name": "local"})], 2, out=tmp_path, second_opinion=False)
    story = read(tmp_path)
    here = [story.setting(number).devices[0].place.track.position(1.0) for number in (0, 0, 1)]
    assert here[0] == here[1] != here[2]


def test_without_a_summary_names_are_in_order(folder):
    for text in (
        None,
        "{",
        '{"policies": [1]}',
        '{"policies": [{"label": "local"}, {"label": "gone"}]}',
    ):
        (folder / "summary.json").unlink(missing_ok=True)
        if text is not None:
            (folder / "summary.json").write_text(text)
        first = ["local"] if text and "local" in text else []
        assert read(folder).labels == first + sorted(set(NAMES) - set(first))


def test_one_file(kept):
    out, _ = kept
    story = read(out / "edge" / "0" / "requests.parquet")
    assert (story.labels, story.folder, story.found.replications) == (["edge"], out, 1)
    assert story.rows("edge").equals(read(out).rows("edge"))
    assert refused(out / "edge" / "1" / "requests.parquet").endswith(
        "is not of replication 0; give that one, or the folder of all"
    )


def test_a_relative_folder(kept, monkeypatch):
    monkeypatch.chdir(kept[0].parent)
    story = read(Path(kept[0].name))
    assert story.found == kept[1]
    monkeypatch.chdir(kept[0])
    assert read(Path()).found == kept[1]


def test_replications_that_not_all_have_are_left_out_and_named(folder):
    shutil.rmtree(folder / "edge" / "1")
    story = read(folder)
    assert story.found.replications == 1
    assert story.left_out == ("random/1", "clairvoyant/1", "local/1")
    with pytest.raises(FolderError, match="no replication 1 of all policies; give 0 to 0"):
        story.rows("local", 1)
    with pytest.raises(FolderError, match="no policy locla; there is random, edge"):
        story.rows("locla")


def test_a_second_opinion_is_no_part_of_it(folder, kept):
    shutil.copytree(kept[0] / "edge", folder / "second-opinion" / "edge")
    assert read(folder).found == kept[1]


# What is refused


def test_no_folder_and_an_empty_one(tmp_path):
    gone = tmp_path / "gone"
    assert refused(gone) == f"{gone}: no such folder; give one that run, compare or sweep has written"
    assert "no requests.parquet lies in it" in refused(tmp_path)


def test_a_file_of_something_else_is_not_to_be_deleted(tmp_path):
    file = tmp_path / "city.toml"
    file.write_text("format = 1\n")
    assert refused(file) == (
        f"{file}: no rows; give a folder that run, compare or sweep wrote, or its requests.parquet"
    )


def test_replication_0_lacks(folder):
    shutil.rmtree(folder / "edge" / "0")
    assert refused(folder) == f"{folder}: no replication 0 of edge; compare again, which adds what lacks"


def test_points_of_a_sweep(tmp_path):
    for point in ("a", "b"):
        made(tmp_path / point, f"devices.car.count={len(point) + ord(point) - 97}", names=("local",))
    said = refused(tmp_path)
    assert (
        said == f"{tmp_path}: holds 2 points of a sweep; give the folder of one, like {tmp_path / 'a'}"
    )
    assert read(tmp_path / "b").labels == ["local"]


def test_rows_of_several_seeds(folder):
    made(folder, names=("thrifty",), seed=11)
    assert refused(folder) == f"{folder}: holds rows of seeds 3, 11; delete those of all but one"


def test_a_truncated_file(folder):
    file = folder / "edge" / "1" / "requests.parquet"
    file.write_bytes(file.read_bytes()[:-50])
    said = refused(folder)
    assert said.startswith(f"{file}: no whole file of rows")
    assert said.endswith("delete it and simulate again")
    assert "\n" not in said
    file.write_bytes(b"")
    assert "no whole file of rows" in refused(folder)


def test_damaged_rows(folder):
    """The foot is whole, so that the file says what it is, but a column is not."""
    file = folder / "edge" / "0" / "requests.parquet"
    content = bytearray(file.read_bytes())
    content[4:3000] = bytes(2996)
    file.write_bytes(content)
    assert refused(folder).endswith("delete it and simulate again")


def test_a_newer_format_and_metadata_that_lack(folder):
    file = folder / "edge" / "0" / "requests.parquet"
    frame, told = pl.read_parquet(file), pl.read_parquet_metadata(file)
    frame.write_parquet(file, metadata={**told, "format": "99", "offload": "7.0"})
    assert refused(folder) == (
        f"{file}: rows of format 99; this version reads 1; use the one that wrote them (7.0)"
    )
    frame.write_parquet(file, metadata={"format": "1"})
    assert "its metadata lacks resolved, scenario_file" in refused(folder)
    for key in ("seed", "resolved", "policy_table"):
        frame.write_parquet(file, metadata={**told, key: "-1"})
        assert "it was not written by offload" in refused(folder)


def test_foreign_columns(folder):
    file = folder / "edge" / "0" / "requests.parquet"
    frame, told = pl.read_parquet(file), pl.read_parquet_metadata(file)
    for other in (frame.drop("wan_s"), frame.with_columns(extra=1), frame.cast({"born_s": pl.Float32})):
        other.write_parquet(file, metadata=told)
        assert refused(folder) == (
            f"{file}: its columns are not those of rows; it was not written by offload, so delete it"
        )


def test_a_file_that_lies_where_compare_puts_none(folder):
    (folder / "edge").rename(folder / "renamed")
    said = refused(folder)
    assert said.startswith(
        f"{folder / 'renamed' / '0' / 'requests.parquet'}: is edge, replication 0; move it to"
    )


def test_all_faults_at_once(folder):
    for name in ("edge", "local"):
        (folder / name / "0" / "requests.parquet").write_bytes(b"none")
    assert refused(folder).count("no whole file of rows") == 2


def test_what_an_earlier_comparison_left(folder):
    made(folder, "devices.car.count=3", names=("quickest",))
    said = refused(folder)
    assert "was left by another scenario, or other options, than what was written last" in said


def test_a_file_at_the_root_has_a_folder_too():
    assert Kept(Path("/requests.parquet"), {}).folder == Path("/")


def test_what_only_the_summary_tells_is_taken_from_there(tmp_path):
    """A second opinion, and the level at which intervals were taken that replications were added for."""
    chosen = [choose({"name": name}) for name in ("quickest", "edge")]
    found = compare(rescaled(), chosen, 3, out=tmp_path)
    assert found.second_opinion is not None
    summary = tmp_path / "summary.json"
    summary.write_text(json.dumps(to_json(found.as_json())))
    assert read(tmp_path).found == found
    told = json.loads(summary.read_text())
    for changed in ({"replications": 2}, {"seed": 99}, {"second_opinion": {"measure": 1}}):
        summary.write_text(json.dumps(told | changed))
        assert read(tmp_path).found == replace(found, second_opinion=None)


def test_intervals_are_taken_at_the_level_that_adding_replications_asks_for(tmp_path):
    scenario = load(SMALL, SHORT)
    chosen = [choose({"name": name}) for name in ("edge", "random")]
    found = compare(scenario, chosen, 20, out=tmp_path, until=Until(read_targets(["useful ±50%"])))
    (tmp_path / "summary.json").write_text(json.dumps(to_json(found.as_json())))
    assert (found.level, found.taken_at) == (0.95, 0.97)
    assert read(tmp_path).found == found
    (tmp_path / "summary.json").unlink()
    (one, other) = (each.policies[0].measures["useful"] for each in (found, read(tmp_path).found))
    assert one.low < other.low < other.high < one.high


def test_a_check_of_polars_that_fails_is_a_damaged_file(folder, monkeypatch):
    def panic(*_args, **_options):
        error = pl.exceptions.PanicException("index out of bounds\nat line 7")
        raise error

    monkeypatch.setattr(story_module, "summarise", panic)
    assert refused(folder) == (
        f"{folder / 'random' / '0' / 'requests.parquet'}: its rows cannot be read (index out of bounds);"
        " delete it and simulate again"
    )


def test_one_replication_has_the_same_best_as_many(tmp_path):
    """Without pairs too the best is by useful answers, where these are known: all parts say the same."""
    made(tmp_path, replications=1)
    story = read(tmp_path)
    found = story.found
    assert not found.pairs
    assert found.headline == "useful"
    swapped = {"random": (0.9, 0.2), "edge": (0.1, 0.8)}  # useful, on time
    policies = tuple(
        replace(each, measures=each.measures | dict(zip(
            ("useful", "on_time"), (Interval(x, x, x) for x in swapped.get(each.label, (0.5, 0.5))),
            strict=True,
        )))
        for each in found.policies
    )  # fmt: skip
    assert replace(story, found=replace(found, policies=policies)).best == "random"
    nobody = tuple(replace(each, measures=each.measures | {"useful": None}) for each in policies)
    assert replace(story, found=replace(found, policies=nobody)).best == "edge"
