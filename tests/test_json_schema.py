"""The JSON Schema of scenario files: it takes what ships, and refuses what has a wrong shape."""

import json
import tomllib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from offload.cli import app
from offload.scenario.fields import Table
from offload.scenario.json_schema import json_schema
from offload.scenario.load import ScenarioError, load
from offload.units import UNITS

HERE = Path(__file__).parent
SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
SMALL = tomllib.loads((HERE / "small.toml").read_text())
GOOD = [*sorted((HERE.parent / "scenarios").glob("*.toml")), *sorted(HERE.glob("*.toml"))]
GOOD += sorted((HERE.parent / "data" / "starters").glob("*.toml"))


def parsed(path: Path) -> dict[str, Any] | None:
    """What a file says; None if it is no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


# What a schema of shapes cannot know, and the files of tests/refused that are wrong in no other way.
BLIND = {
    "how much a quantity is, or comes to": """
        births-repeat-endless births-repeat-too-soon huge-rate-of-births inf-by-exponent memory-zero
        mmpp-huge-rate mmpp-huge-switching mobility-endless-turns zero-period zero-rate
        battery-restless crops-huge memory-too-small resident-too-large
    """,
    "whether the values of a table go together": """
        at-and-mobility batch-and-queue births-but-periodic births-with-streams cloud-policy
        crops-at-first crops-mean-over-max crops-of-two-kinds crops-without-max handover-of-ones-own
        harvest-at-night jitter-too-long mmpp-silent mmpp-with-every mmpp-without-states
        mobility-area-upside-down mobility-one-crossing mobility-one-waypoint on-but-periodic
        on-without-off repeat-without-trace resident-without-load scale-and-servers
        scale-max-below-min size-cv-alone size-cv-nan size-mean-out-of-bounds size-min-over-max
        size-without-cv stages-and-models states-but-poisson too-few-seconds warm-up-too-long
        labels-one-folder labels-twice births-without-file stage-after-itself stage-after-twice
        stages-in-a-circle wire-to-itself
    """,
    "what a name stands for": """
        codec-of-none confidences-without-exits crops-of-unknown-group fallback-without-profile
        handover-without-wires load-of-unknown-weights many-names no-plan one-unknown-variant
        published-latency-of-unknown-model resident-unknown scene-unknown-group stage-after-unknown
        stage-of-unknown-model unknown-group unknown-hardware unknown-model unknown-node
        unknown-variant wire-from-nowhere
    """,
    "what a policy and its options are": """
        node-policy-clairvoyant node-policy-option node-policy-unknown option-negative
        option-of-a-choice option-of-another option-of-wrong-type option-out-of-bounds
        option-without-unit policy-class-missing policy-module-missing policy-without-decide
        unknown-option unknown-policy-unlike-any unknown-policy
    """,
    "what is in a file": """
        births-absent births-of-whom births-unknown-device births-unsorted points-with-start
        profile-all-rejected profile-misnamed profile-nan profile-no-input-shape profile-not-json
        profile-not-utf8 profile-of-other-length profile-without-layers profile-wrong-cuts
        profiles-absent recording-entities recording-jumps recording-looped recording-too-late
        recording-too-short trace-absent trace-few trace-hollow trace-nan trace-no-x trace-single
        trace-unsorted
    """,
}
REFUSED = {
    path.stem: said for path in sorted((HERE / "refused").glob("*.toml")) if (said := parsed(path))
}
BLINDLY = {name for names in BLIND.values() for name in names.split()}


def faults(said: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(said)]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA, allow_nan=False)) == SCHEMA


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_takes_what_is_right(path: Path) -> None:
    assert faults(parsed(path)) == []


@pytest.mark.parametrize("name", sorted(set(REFUSED) - BLINDLY))
def test_refuses_what_has_a_wrong_shape(name: str) -> None:
    assert faults(REFUSED[name])


@pytest.mark.parametrize("name", sorted(BLINDLY))
def test_what_it_cannot_know_is_known(name: str) -> None:
    """Were it refused, the list above would say too much."""
    assert faults(REFUSED[name]) == []


def test_most_of_what_is_wrong_has_a_wrong_shape() -> None:
    assert len(set(REFUSED) - BLINDLY) > 80


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("duration", "60 s", True),
        ("duration", "1_000.5e1 ms", True),
        ("duration", " +60s ", True),
        ("duration", "60", False),
        ("duration", "60 m", False),
        ("duration", "-60 s", False),
        ("duration", 60, False),
        ("warm_up", "auto", True),
        ("warm_up", "never", False),
        ("seed", 3.5, False),
        ("seed", -1, False),
        ("seed", 2**63, False),
        ("durations", "60 s", False),
        ("map", [["-1 m", "0 m"], ["1 km", "1 km"]], True),
        ("map", [["0 m"], ["1 km", "1 km"]], False),
        ("devices", {}, False),
        ("nodes", {".hidden": {"kind": "edge", "hardware": "t4"}}, False),
        ("nodes", {"a/b": {"kind": "edge", "hardware": "t4"}}, False),
    ],
)
def test_shapes(key: str, value: Any, right: bool) -> None:
    """What the schema says of a value is what the check says of its shape."""
    assert (not faults(SMALL | {key: value})) is right
    text = json.dumps(value)
    if key != "nodes" and not isinstance(value, dict | list):
        expected = nullcontext() if right else pytest.raises(ScenarioError)
        with expected:
            load(HERE / "small.toml", [f"{key}={text}"])


@pytest.mark.parametrize(("weight", "right"), [(0, False), (1e-3, True), (1e6, True), (1.1e6, False)])
def test_bounds_of_plain_numbers(weight: float, right: bool) -> None:
    """More than 0, and a million at most."""
    car = SMALL["devices"]["car"] | {"weight": weight}
    assert (not faults(SMALL | {"devices": {"car": car}})) is right


def test_every_unit_is_taken() -> None:
    links = SMALL["links"]
    for unit in UNITS["rate"]:
        cell = links["cell"] | {"up": f"20 {unit}"}
        assert faults(SMALL | {"links": links | {"cell": cell}}) == []


def test_editors_are_told_what_keys_mean() -> None:
    late = SCHEMA["$defs"]["Task"]["properties"]["late"]
    assert late["enum"] == ["drop", "finish"]
    assert late["default"] == "drop"
    assert late["description"].startswith("What becomes of a request past its deadline")
    for name, table in SCHEMA["$defs"].items():
        assert table["description"], name
        for key, said in table["properties"].items():
            assert len(said["description"]) > 10, (name, key)


def test_every_table_is_there() -> None:
    def below(table: type[Table]) -> set[str]:
        return {table.__name__}.union(*(below(each) for each in table.__subclasses__()))

    assert set(SCHEMA["$defs"]) <= below(Table)
    assert len(SCHEMA["$defs"]) > 35


def test_command(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["schema"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == SCHEMA
    out = tmp_path / "scenario.schema.json"
    assert CliRunner().invoke(app, ["schema", "--out", str(out)]).exit_code == 0
    assert out.read_text() == done.stdout
    assert list(tmp_path.iterdir()) == [out]


def test_command_refuses_what_cannot_be_written(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["schema", "--out", str(tmp_path / "no" / "x.json")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
