"""Bad input: each kind draws one clear message that says where and what, and nothing is half-written."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from offload.analysis.result import simulate
from offload.cli import app
from offload.policies import table
from offload.scenario.load import ScenarioError, load
from offload.simulation.run import PolicyError

HERE = Path(__file__).parent
REFUSED = HERE / "refused"
SMALL = HERE / "small.toml"
FILES = sorted(REFUSED.glob("*.toml"))
GIVE = "give a scenario file (TOML)"
TASK = "devices.car.tasks.objects"


@pytest.fixture(autouse=True)
def _own_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scenarios name the classes of bad_policies.py, in this process and in others."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def message(path: Path, *settings: str) -> str:
    """Return what loading a scenario is refused with."""
    with pytest.raises(ScenarioError) as caught:
        load(path, settings)
    return str(caught.value)


def call(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result: Result) -> str:
    """Check that a command ended as bad input must end; return what it said."""
    assert result.exit_code == 2, result.exception
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.removesuffix("\n")


# Files beside their messages


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_draws_its_message(path: Path) -> None:
    expected = path.with_suffix(".txt").read_text().removesuffix("\n")
    assert message(path) == expected.replace("{file}", str(path)).replace("{here}", str(REFUSED))


def test_every_file_has_a_message_and_every_message_a_file() -> None:
    assert len(FILES) > 60
    assert {path.stem for path in FILES} == {path.stem for path in REFUSED.glob("*.txt")}


@pytest.mark.parametrize("name", ["many-faults", "many-names", "not-utf8", "profile-without-layers"])
@pytest.mark.parametrize("command", ["check", "run", "compare"])
def test_command_prints_the_message(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = REFUSED / f"{name}.toml"
    expected = path.with_suffix(".txt").read_text().removesuffix("\n")
    said = refused(call(command, path, "--json"))
    assert said == expected.replace("{file}", str(path)).replace("{here}", str(REFUSED))
    assert list(tmp_path.iterdir()) == []


def test_real_command_line(tmp_path: Path) -> None:
    """The same as its own process, with the path as it was written."""
    (tmp_path / "bad.toml").write_bytes((REFUSED / "unknown-key.toml").read_bytes())
    command = [sys.executable, "-c", "from offload.cli import main; main()", "compare", "bad.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    expected = (REFUSED / "unknown-key.txt").read_text().replace("{file}", "bad.toml")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


# Files that are made here: too large, too deep, or none


def test_no_file(tmp_path: Path) -> None:
    assert message(tmp_path / "no.toml") == f"{tmp_path / 'no.toml'}: No such file or directory; {GIVE}"


def test_folder(tmp_path: Path) -> None:
    assert message(tmp_path) == f"{tmp_path}: Is a directory; {GIVE}"


def test_ten_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_bytes(SMALL.read_bytes() + b"#" * 10_000_000)
    assert message(path) == f"{path}: 10 MB; a scenario has at most 1 MB"


@pytest.mark.parametrize(("opening", "middle", "closing"), [("[", "", "]"), ("{ a = ", "1", " }")])
def test_nested_too_deeply(opening: str, middle: str, closing: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.toml"
    path.write_text(f"name = {opening * 5000}{middle}{closing * 5000}\n")
    assert message(path) == f"{path}: nested too deeply to be a scenario"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('name = "small"', "name"),
        ("seed = 3", "seed"),
        ('models = ["net"]', f"{TASK}.models"),
        ('kind = "edge"', "nodes.cabinet.kind"),
        ('hardware = "x86-core"', "devices.car.hardware"),
        ('name = "quickest"', "policy.name"),
    ],
)
@pytest.mark.parametrize("depth", [100, 5000])
def test_dotted_too_deeply(line: str, key: str, depth: int, tmp_path: Path) -> None:
    """TOML reads a dotted key of any length, so the depth comes through to whoever shows the value."""
    path = tmp_path / "deep.toml"
    text = SMALL.read_text()
    assert text.count(line) == 1
    path.write_text(text.replace(line, f"{key.rpartition('.')[2]}{'.a' * depth} = 1"))
    said = message(path)
    assert f": {key}" in said
    assert len(said) < 1000


def test_deep_policy_option(tmp_path: Path) -> None:
    path = tmp_path / "deep.toml"
    path.write_text(
        SMALL.read_text().replace('name = "quickest"', f'name = "quickest"\nsplit{".a" * 5000} = 1')
    )
    said = message(path)
    assert ": policy.split: must be" in said
    assert len(said) < 1000


def test_deep_profile(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    profile = tmp_path / "mine" / "net.fp32.x86-core.json"
    profile.write_text("[" * 5000 + "]" * 5000)
    path = tmp_path / "scenario.toml"
    text = (REFUSED / "profile-not-json.toml").read_text()
    path.write_text(text.replace("profile-not-json", "mine").replace('["mine"]', '["net"]'))
    assert str(profile) in message(path)


def test_impossible_file_names() -> None:
    assert "devices.car.mobility.trace" in message(SMALL, 'devices.car.mobility.trace="a\\u0000b"')
    assert "profiles" in message(SMALL, 'profiles="a\\u0000b"')


def test_trace_with_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Spreadsheets write one; it is no fault."""
    trace = tmp_path / "cars.csv"
    trace.write_text("\ufefftime,id,x,y\n0,a,0,0\n10,a,5,0\n0,b,0,0\n")
    scenario = load(SMALL, [f'devices.car.mobility.trace="{trace}"'])
    assert list(scenario.tracks["car"]) == ["a", "b"]


# What would never end, or fill the memory, before the first request

BURSTS = '{ models = ["net"], every = "1 s", deadline = "1 s", input = "1 B", arrivals = "on-off",'


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (["devices.car.count=100000", f"{TASK}.streams=1000", f'{TASK}.every="1e6 s"'], "devices.car"),
        ([f'{TASK}={BURSTS} on = "1 ns", off = "1 ns" }}'], TASK),
        (['devices.car.mobility={ trace = "tiny.csv", loop = true }'], "devices.car.mobility"),
    ],
    ids=["streams", "on-off", "loop"],
)
def test_endless_scenarios(settings: list[str], key: str, tmp_path: Path) -> None:
    """They are refused at once: in a process of its own, which may not take all memory or time."""
    path = tmp_path / "scenario.toml"
    path.write_bytes(SMALL.read_bytes())
    (tmp_path / "tiny.csv").write_text("time,id,x,y\n0,a,0,0\n1e-9,a,1,0\n0,b,0,0\n1e-9,b,1,0\n")
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-c", "from offload.cli import main; main()", "run", str(path), *options]

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4_000_000_000, 4_000_000_000))
        resource.setrlimit(resource.RLIMIT_CPU, (4, 4))

    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=bound)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr[-500:]
    assert key in done.stderr
    assert "Traceback" not in done.stderr


# --set


HOW = "write KEY=VALUE, like nodes.cabinet.servers=4"
UNIT = 'with a unit, like "20 s"'


@pytest.mark.parametrize(
    ("setting", "where", "what"),
    [
        ("seed", "seed", HOW),
        ("=3", "=3", HOW),
        ("a b=3", "a b=3", HOW),
        ("duration=3", "duration", f"duration: 3 is a bare number; write it {UNIT}"),
        (
            "duration=x",
            "duration",
            "duration: 'x' is not a time; write a number and a unit, like \"20 s\"",
        ),
        ("duration.x=3", "duration.x", "x does not lie in a table"),
        ("duration=", "duration", "duration: missing; it must be given"),
        ("devices.car.radio_powr=", "devices.car.radio_powr", "there is no such key to leave out"),
        ("seed=-1", "seed", "seed: input should be greater than or equal to 0, not -1"),
        (
            "devices.car.cout=3",
            "devices.car.cout",
            'devices.car.cout: no such key; did you mean "count"?',
        ),
        (
            'links.cell.to="cabnet"',
            "links.cell.to",
            'links.cell.to: no node "cabnet"; did you mean "cabinet"?',
        ),
        (
            "compare.policies.0.varian=3",
            "compare.policies.0.varian",
            'compare.policies.0.varian: no such option; did you mean "variant"?',
        ),
        ("compare.policies.9.name=3", "compare.policies.9.name", "9 is not a table of the file"),
        (
            "policy.name=magic:Wand",
            "policy.name",
            "policy.name: magic:Wand cannot be loaded: ModuleNotFoundError: No module named 'magic'",
        ),
    ],
)
def test_bad_settings(setting: str, where: str, what: str) -> None:
    assert message(SMALL, setting) == f"--set {where}: {what}"


def test_all_settings_are_checked_at_once() -> None:
    said = message(SMALL, "seed", "duration=3", "devices.car.cout=3").splitlines()
    assert [line.split(":")[0] for line in said] == [
        "--set seed", "--set duration", "--set devices.car.cout"
    ]  # fmt: skip


def test_value_holds_one_value_only() -> None:
    """What follows a line break is no part of the value, and is not dropped in silence."""
    assert message(SMALL, 'name="a"\nseed=5').startswith("--set name")


def test_setting_without_a_value_leaves_the_key_out() -> None:
    assert load(SMALL, ["links.backhaul.jitter=", "policy="]).policy is None
    assert load(SMALL, ["links.backhaul.jitter="]).file.links["backhaul"].jitter is None
    assert load(SMALL, ['description=""']).file.description == ""


def test_bad_setting_on_the_command_line() -> None:
    said = refused(call("run", SMALL, "--set", "duration=3"))
    assert said == '--set duration: duration: 3 is a bare number; write it with a unit, like "20 s"'


# Command-line options


@pytest.mark.parametrize(
    "options",
    [
        ["--replications", "0"],
        ["--replications", "1000000000"],
        ["--seed", "-1"],
        ["--seed", "many"],
        ["--jobs", "0"],
        ["--no-such-option"],
    ],
)
def test_bad_options(options: list[str]) -> None:
    said = refused(call("run", SMALL, *options))
    assert options[0] in said


def test_unknown_policy_on_the_command_line() -> None:
    said = refused(call("run", SMALL, "--policy", "quickst"))
    assert said.startswith('--policy quickst: no policy "quickst"; did you mean "quickest"?')


def test_no_policy_at_all(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(SMALL.read_text().partition("[policy]")[0])
    load(path)
    assert refused(call("run", path)) == f"{path}: no [policy] table; add one or give --policy"
    said = refused(call("compare", path))
    assert said == f"{path}: no [compare] table; add one or give --policy, repeatedly"


@pytest.mark.parametrize("command", ["run", "compare"])
def test_out_below_a_file(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    out = tmp_path / "file" / "below"
    said = refused(call(command, SMALL, "--out", out, "--json"))
    assert said == f"--out {out}: Not a directory; give a folder that can be written"
    assert (tmp_path / "file").read_text() == "kept"


def test_out_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    said = refused(call("run", SMALL, "--out", tmp_path / "file"))
    assert said == f"--out {tmp_path / 'file'}: File exists; give a folder that can be written"
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_out_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    said = refused(call("run", SMALL, "--out", tmp_path / "below"))
    assert "Permission denied; give a folder that can be written" in said


def test_file_where_a_label_would_write(tmp_path: Path) -> None:
    (tmp_path / "quickest").write_text("kept")
    said = refused(call("run", SMALL, "--out", tmp_path))
    assert str(tmp_path / "quickest") in said
    assert (tmp_path / "quickest").read_text() == "kept"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no rows at all" * 9])
def test_repeat_of_what_holds_no_rows(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "requests.parquet"
    path.write_bytes(content)
    said = refused(call("run", path, "--out", tmp_path / "out"))
    assert said.startswith(f"{path}: no file of rows: ")
    assert not (tmp_path / "out").exists()


# Policies that fail while they run


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ReturnsNone", "it is NoneType, no Plan"),
        ("ReturnsList", "it is list, no Plan"),
        ("UnknownEdge", "edge is 'cabnet'; the edge nodes are: cabinet"),
        ("UnknownUplink", "uplinks is ('wifi',); choose one of (cell,)"),
        ("CutsCross", "its cuts (2, 1) must satisfy 0 <= device_cut <= edge_cut <= 2"),
        ("CutsBeyond", "its cuts (3, 3) must satisfy 0 <= device_cut <= edge_cut <= 2"),
        ("CutsNegative", "its cuts (-1, -1) must satisfy 0 <= device_cut <= edge_cut <= 2"),
        ("CutsNan", "its cuts (nan, nan) must satisfy 0 <= device_cut <= edge_cut <= 2"),
        ("OtherVariant", "its variant is none of this task's: net:fp32"),
        ("UsesCodec", "codec is 'jpeg'; this task offers: none"),
        ("UsesConfidence", "nobody measured net:fp32 leaving early"),
        ("Raises", "KeyError: 'weights'"),
        ("TooFew", "0 plans for 1 questions"),
        ("TooMany", "2 plans for 1 questions"),
        ("JointNone", "TypeError: 'NoneType' object is not iterable"),
    ],
)
def test_policy_that_fails(name: str, expected: str) -> None:
    """The message names the policy and the request, and says what is wrong."""
    with pytest.raises(PolicyError) as caught:
        simulate(load(SMALL), f"bad_policies:{name}")
    said = str(caught.value)
    assert said.startswith(f"policy bad_policies:{name}")
    assert expected in said
    assert "request " in said
    assert "task objects of car-" in said
    assert "\n" not in said
    assert refused(call("run", SMALL, "--policy", f"bad_policies:{name}", "--json")) == said


@pytest.mark.parametrize("name", ["Hangs", "Dawdles", "JointHangs"])
def test_policy_that_takes_too_long(name: str) -> None:
    settings = [f'policy={{ name = "bad_policies:{name}", time_limit = "50 ms" }}']
    with pytest.raises(PolicyError) as caught:
        simulate(load(SMALL, settings))
    said = str(caught.value)
    assert said.startswith(f"policy bad_policies:{name} failed for request ")
    assert said.endswith("it took longer than its time_limit of 50 ms")
    assert "variants: net:fp32; nodes: " in said
    assert refused(call("run", SMALL, "--set", *settings, "--json")) == said


def test_policy_that_keeps_within_its_limit() -> None:
    settings = ['policy={ name = "quickest", time_limit = "1 s" }']
    hurried, calm = simulate(load(SMALL, settings)), simulate(load(SMALL), "quickest")
    assert hurried.rows().equals(calm.rows())


@pytest.mark.parametrize("name", ["ReturnsNone", "ReturnsList", "UnknownEdge", "TooFew", "JointNone"])
def test_an_estimate_does_not_hide_what_is_wrong(name: str) -> None:
    said = []
    for more in ("", ', estimate = "ewma"'):
        with pytest.raises(PolicyError) as caught:
            simulate(load(SMALL, [f'policy={{ name = "bad_policies:{name}"{more} }}']))
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RaisesWhenMade", " failed when it was made: OSError: no weights here"),
        ("RaisesInStart", " failed in start(rng): RuntimeError: no luck"),
    ],
)
def test_policy_that_fails_before_the_first_request(name: str, expected: str) -> None:
    with pytest.raises(PolicyError) as caught:
        simulate(load(SMALL), f"bad_policies:{name}")
    said = re.sub(r" \(bad_policies\.py:\d+\)$", "", str(caught.value))
    assert said != str(caught.value)
    assert said == f"policy bad_policies:{name}{expected}"


def test_policy_that_fails_to_learn() -> None:
    with pytest.raises(PolicyError) as caught:
        simulate(load(SMALL), "bad_policies:RaisesInLearn")
    said = str(caught.value)
    assert said.startswith("policy bad_policies:RaisesInLearn failed in learn(outcome)")
    assert re.search(r"RuntimeError: cannot learn \(bad_policies\.py:\d+\)$", said)


def test_failure_in_another_process_is_told_alike(tmp_path: Path) -> None:
    command = ["compare", str(SMALL), "--policy", "bad_policies:Fine", "--policy", "bad_policies:Raises"]
    command += ["--replications", "1"]  # of two that fail, either may be the first to
    one = call(*command, "--jobs", "1", "--out", tmp_path / "one", "--json")
    two = call(*command, "--jobs", "2", "--out", tmp_path / "two", "--json")
    assert refused(one).splitlines()[-1] == refused(two).splitlines()[-1]
    for out in ("one", "two"):
        left = [path for path in (tmp_path / out).rglob("*") if path.is_file()]
        assert {path.name for path in left} <= {"requests.parquet", "devices.parquet", ".lock"}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"name": "bad_policies:OddOption"}, "name"),
        ({"name": "bad_policies:FloatOption", "weight": 10**400}, "weight"),
        ({"name": "bad_policies:FloatOption", "weight": float("nan")}, "weight"),
        ({"name": "bad_policies:FloatOption", "weight": True}, "weight"),
        ({"name": "bad_policies:FloatOption", "weight": "1 ms"}, "weight"),
        ({"name": "quickest", "overhead": "-1 ms"}, "overhead"),
        ({"name": "quickest", "overhead": float("inf")}, "overhead"),
        ({"name": "quickest", "label": ""}, "label"),
        ({"name": "quickest", "time_limit": "0 s"}, "time_limit"),
        ({"name": "quickest", "time_limit": 1}, "time_limit"),
        ({"name": ":"}, "name"),
        ({"name": "json:"}, "name"),
        ({"name": ".json:loads"}, "name"),
        ({"name": ["quickest"]}, "name"),
    ],
)
def test_policy_table_that_is_refused(options: dict[str, object], fault: str) -> None:
    with pytest.raises(table.PolicyTableError) as caught:
        table.choose(options)
    assert [key for key, _ in caught.value.faults] == [fault]


def test_a_setting_is_to_blame_for_what_its_new_table_lacks() -> None:
    told = sorted(message(SMALL, "nodes.cabinett.servers=4").splitlines())
    assert told == [
        f"--set nodes.cabinett: nodes.cabinett.{key}: missing; it must be given"
        for key in ("hardware", "kind")
    ]


def test_a_star_is_for_vary() -> None:
    said = "--set nodes.*.servers=4: write KEY=VALUE, like nodes.cabinet.servers=4; a * is for --vary"
    assert message(SMALL, "nodes.*.servers=4") == said
