"""Every key of a scenario file: that it has a meaning, an example that is taken, and is found."""

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from pydantic import ConfigDict, TypeAdapter
from typer.testing import CliRunner, Result

from offload.cli import app
from offload.policies.table import GENERIC
from offload.scenario.comparing import PolicyTable
from offload.scenario.energy import RADIOS, RadioPower
from offload.scenario.fields import Table, Written
from offload.scenario.forms import forms
from offload.scenario.keys import FREE, NEEDED, Key, NoSuchKeyError, at, find, keys, meanings, there
from offload.scenario.measured_costs import measured_costs
from offload.scenario.overheads import AfterIdling, CoLocation, HopCost, Security
from offload.scenario.schema import ScenarioFile
from offload.views.keys import page

ROOT = Path(__file__).parents[1]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.toml"))
URBAN = ROOT / "scenarios" / "urban-intersection.toml"
PAGE = ROOT / "notebooks" / "guide" / "scenario-keys.md"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def tables(table: type[Table] = ScenarioFile) -> set[type[Table]]:
    """All tables that a scenario file may have."""
    found = {table}
    for field in table.model_fields.values():
        found |= {each for form in below(forms(field.annotation, [field])) for each in tables(form)}
    return found


def below(found: Any) -> set[type[Table]]:
    own = {form.table for form in found if form.table is not None}
    return own.union(*(below(form.of) for form in found))


@pytest.mark.parametrize("table", sorted(tables(), key=str), ids=lambda table: table.__name__)
def test_every_field_has_a_meaning(table: type[Table]) -> None:
    told = meanings(table)
    assert set(told) >= set(table.model_fields)
    for name in table.model_fields:
        assert 10 <= len(told[name]) <= 300, name
        assert told[name].endswith((".", ")")), name
        assert "  " not in told[name]
    assert table.__doc__


def test_meanings_say_nothing_of_what_is_no_field() -> None:
    for table in tables():
        assert set(meanings(table)) == set(table.model_fields), table


def test_there_are_no_two_of_a_key() -> None:
    told = [(key.dotted, key.beside) for key in keys()]
    assert len(told) == len(set(told)) > 200


@pytest.mark.parametrize("key", keys(), ids=lambda key: f"{key.dotted} {key.beside}")
def test_examples_and_defaults_are_taken(key: Key) -> None:
    """What is shown of a key is what the schema takes there."""
    if key.path[-1] == "OPTION":
        pytest.skip("policies check their options")
    for text in {key.example, key.default} - {"", NEEDED}:
        value = tomllib.loads(f"value = {text}")["value"]
        taken = [each for each in fields(key) if accepts(each, value)]
        assert taken, (key.dotted, text)


def fields(key: Key) -> list[Any]:
    """The annotations of the fields that a key may be."""
    name = key.spoken[-1]
    return [
        (field.annotation, field.metadata)
        for table in tables()
        for own, field in table.model_fields.items()
        if (field.alias or own) == name and meanings(table)[own] == key.meaning
    ]


def accepts(field: Any, value: Any) -> bool:
    annotation, metadata = field
    own = isinstance(annotation, type) and issubclass(annotation, Table)
    for mark in metadata:  # in the order in which pydantic applies them
        annotation = Annotated[annotation, mark]
    try:
        strict = None if own else ConfigDict(strict=True)
        TypeAdapter(annotation, config=strict).validate_python(value)
    except ValueError:
        return False
    return True


def test_every_key_of_the_shipped_scenarios_is_known() -> None:
    seen: set[str] = set()
    for path in SCENARIOS:
        for place in places(tomllib.loads(path.read_text())):
            seen.add(at(place).dotted)
    assert len(seen) > 60


def places(table: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, value in table.items():
        found.append((*path, name))
        if isinstance(value, dict):
            found += places(value, (*path, name))
    return found


def test_policy_tables_are_described_as_they_are_checked() -> None:
    assert set(PolicyTable.model_fields) == {"name", "label", "knowledge", *GENERIC}
    for name, (_, default) in GENERIC.items():
        assert PolicyTable.model_fields[name].default == default


def test_words_that_stand_for_measurements_are_those_that_were_measured() -> None:
    def words(annotation: Any) -> tuple[str, ...]:
        (written,) = [each for each in get_args(annotation) if isinstance(each, Written)]
        return written.words

    assert words(Security) == tuple(measured_costs().security)
    assert words(HopCost) == words(AfterIdling) == words(CoLocation) == ("measured",)
    assert words(RadioPower) == tuple(RADIOS)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("links.cell.up", ["links.NAME.up"]),
        ("links.NAME.up", ["links.NAME.up"]),
        ("devices.*.tasks.*.late", ["devices.NAME.tasks.NAME.late"]),
        ("deadline", ["devices.NAME.tasks.NAME.deadline"]),
        ("devices", ["devices.NAME", "costs.devices"]),
        ("devices.car", ["devices.NAME"]),
        ('devices."my car".count', ["devices.NAME.count"]),
        ("from", ["links.NAME.from"]),
        ("links.cell.price_per_GB", ["links.NAME.price_per_GB"]),
        ("hop_cost.per_MB", ["links.NAME.hop_cost.per_MB"]),
        ("policy", ["nodes.NAME.policy", "policy"]),
        ("policy.margin", ["policy.OPTION"]),
        ("policy.overhead", ["policy.overhead"]),
        ("compare.policies.0.label", ["compare.policies.N.label"]),
        ("hardware.x86-core.price.value", ["hardware.NAME.price.value"]),
        ("models.net.variants.fp32.layers.0.output", ["models.NAME.variants.NAME.layers.N.output"]),
    ],
)
def test_finds_what_is_asked_for(asked: str, found: list[str]) -> None:
    assert [key.dotted for key in find(asked)] == found


def test_keys_of_tables_that_exclude_each_other_are_told_apart() -> None:
    speeds = {key.beside: key.takes for key in find("devices.car.mobility.speed")}
    assert speeds == {
        "waypoints": "speed",
        'model = "random-waypoint"': "list of 2: speed",
        'model = "manhattan"': "speed",
    }


def test_says_what_a_key_takes() -> None:
    (up,) = find("links.cell.up")
    assert up.takes == "rate, or table with trace | states | mean"
    assert up.ranges == "more than 0 bit/s, to 1e+06 Gbit/s"
    (late,) = find("late")
    assert (late.takes, late.default) == ('"drop" | "finish"', '"drop"')
    (every,) = find("reports.every")
    assert every.default == NEEDED
    (reports,) = find("reports")
    assert reports.default == '{ every = "100 ms" }'
    assert reports.inside == ("every",)
    (count,) = find("stages.x.count")
    assert count.default == "1"
    (warm_up,) = find("warm_up")
    assert (warm_up.takes, warm_up.default) == ('time, or "auto"', '"0 s"')


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("deadlin", "did you mean devices.NAME.tasks.NAME.deadline?"),
        ("links.cell.upp", "did you mean nodes.NAME.scale.up, links.NAME.up?"),
        ("xyzzy", "--explain '*' tells of all"),
        ("", "--explain '*' tells of all"),
        ("links.a.b.c.d", "tells of all"),
        ("\x1b[31m" + "a" * 10_000, ""),
    ],
)
def test_what_no_file_can_have(asked: str, hint: str) -> None:
    with pytest.raises(NoSuchKeyError) as caught:
        find(asked)
    said = str(caught.value)
    assert "no such key" in said
    assert hint in said
    assert len(said) < 500
    assert said.isprintable()


def test_shows_what_stands_in_a_file() -> None:
    raw = tomllib.loads(URBAN.read_text())

    def found(asked: str) -> dict[str, Any]:
        return {
            ".".join(map(str, path)): value
            for key in find(asked)
            for path, value in there(raw, key, asked)
        }

    assert found("links.cell.up") == {"links.cell.up": "120 Mbit/s"}
    assert found("deadline") == {
        "devices.car.tasks.objects.deadline": "130 ms",
        "devices.camera.tasks.objects.deadline": "130 ms",
        "devices.phone.tasks.lookup.deadline": "260 ms",
    }
    assert set(found("devices.*.count")) == {
        "devices.car.count",
        "devices.camera.count",
        "devices.phone.count",
    }
    assert found("compare.policies.5.margin") == {"compare.policies.5.margin": "10 ms"}
    assert set(found("nodes")) == {"nodes"}
    assert found("nodes.region") == {"nodes.region": raw["nodes"]["region"]}
    assert found("links.cell.jitter") == {}


def test_command() -> None:
    done = call("--explain", "links.cell.up", URBAN)
    assert done.exit_code == 0
    (line,) = [n for n, text in enumerate(URBAN.read_text().splitlines()) if text.startswith("cell")]
    assert done.stdout.splitlines()[0] == "links.NAME.up"
    assert f'{URBAN}:{line + 1}: links.cell.up = "120 Mbit/s"' in done.stdout
    assert "bit/s, kbit/s, Mbit/s, Gbit/s" in done.stdout
    assert "more than 0 bit/s, to 1e+06 Gbit/s" in done.stdout


def test_command_as_json() -> None:
    (told,) = json.loads(call("--explain", "links.cell.up", URBAN, "--json").stdout)
    assert told["key"] == "links.NAME.up"
    (found,) = told["found"]
    assert found["where"].startswith(f"{URBAN}:")
    assert (found["key"], found["value"]) == ("links.cell.up", "120 Mbit/s")
    assert told["default"] is None
    assert not told["needed"]


def test_what_toml_has_and_json_has_not(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text("[links.cell]\nup = nan\ndown = 2026-11-22\n")
    assert "links.cell.down = 2026-11-22\n" in call("--explain", "links.cell.down", path).stdout
    for key, value in (("up", "NaN"), ("down", "2026-11-22")):
        said = call("--explain", f"links.cell.{key}", path, "--json").stdout
        (told,) = json.loads(said, parse_constant=pytest.fail)
        assert told["found"][0]["value"] == value


def test_command_without_a_file_tells_of_all() -> None:
    done = call("--explain", "*")
    assert done.exit_code == 0
    said = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in said if line[:1].strip()] == [key.dotted for key in keys()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--explain", "deadlin"], "--explain deadlin: no such key; did you mean"),
        ([], "give a scenario file (TOML) to check, or --explain KEY"),
        (["--explain", "late", "no.toml"], "no.toml: No such file or directory"),
        (["--explain", "late", str(URBAN), "--set", "seed=1"], "--set: has no part in what --explain"),
    ],
)
def test_command_refuses(arguments: list[str], said: str) -> None:
    done = call(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr


def test_a_file_that_is_wrong_is_explained_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('duration = 3\n[devices."\u009b2J[bold]"]\ncount = "many"\n')
    done = call("--explain", "count", path)
    assert done.exit_code == 0
    assert f'{path}:3: devices.?2J[bold].count = "many"' in done.stdout
    assert "\u009b" not in done.stdout


def test_the_page_is_what_the_schema_says() -> None:
    assert PAGE.read_text() == page(), (
        "offload schema --format markdown --out notebooks/guide/scenario-keys.md"
    )


def test_the_page_has_every_key() -> None:
    told = page()
    headings = set(re.findall(r"^## (.*)$", told, re.MULTILINE))
    for key in keys():
        path = ".".join(key.path[: len(key.spoken) - 1]) or "The file"
        assert (f"{path}, with {key.beside}" if key.beside else path) in headings
    assert not FREE & headings
