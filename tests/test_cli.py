"""The command line: what it prints, what it writes, and that a second run goes on from the first."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from offload.analysis.rows import SCHEMA
from offload.cli import app
from offload.policies import table
from offload.policies.table import NAMED

SMALL = Path(__file__).parent / "small.toml"
URBAN = Path(__file__).parents[1] / "scenarios" / "urban-intersection.toml"
CORRIDOR = URBAN.with_name("camera-corridor.toml")
SHORT = ["--set", 'duration="3 s"', "--set", 'warm_up="1 s"', "--replications", "2"]
MEASURED = {
    "useful", "on_time", "latency_mean_s", "latency_p50_s", "latency_p95_s", "latency_p99_s",
    "energy_j", "accuracy", "money",
}  # fmt: skip
PAIRED = {"useful", "on_time", "latency_mean_s", "energy_j"}
FIGURES = {"latency-cdf", "legs", "useful-energy"}
MAIN = [sys.executable, "-c", "from offload.cli import main; main()"]


def call(*arguments: str | Path) -> str:
    """Run a command in this process; return its standard output."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, (done.stderr, done.exception)
    return done.stdout


def call_json(*arguments: str | Path) -> Any:
    """Run a command that prints one JSON value in one line and nothing else."""
    printed = call(*arguments, "--json")
    assert printed.count("\n") == 1
    # NaN and Infinity are no JSON, though Python reads them.
    return json.loads(printed, parse_constant=lambda word: pytest.fail(f"{word} in the output"))


def rows_files(out: Path) -> dict[str, Path]:
    return {str(path.relative_to(out)): path for path in sorted(out.rglob("requests.parquet"))}


def assert_same_rows(one: Path, other: Path) -> None:
    """Check that two folders hold the same files with the same rows."""
    files, others = rows_files(one), rows_files(other)
    assert files
    assert files.keys() == others.keys()
    for name, path in files.items():
        assert_frame_equal(pl.read_parquet(path), pl.read_parquet(others[name]), check_exact=True)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The shipped comparison, shortened: what it printed and where it wrote."""
    out = tmp_path_factory.mktemp("compared")
    return call_json("compare", URBAN, *SHORT, "--jobs", "1", "--out", out), out


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished small comparison, made in one process; to be read only."""
    out = tmp_path_factory.mktemp("small")
    call("compare", SMALL, "--jobs", "1", "--out", out)
    return out


# compare --json


def test_compare_tells_what_it_compared(compared: tuple[dict[str, Any], Path]) -> None:
    told, _ = compared
    assert {"scenario", "seed", "replications", "level", "policies", "pairs"} <= told.keys()
    assert told["scenario"] == "urban-intersection"
    assert (told["seed"], told["replications"], told["level"]) == (7, 2, 0.95)
    assert {policy["name"] for policy in told["policies"]} <= set(NAMED)
    assert len(told["policies"]) > 1
    assert [p["knowledge"] for p in told["policies"] if p["name"] == "clairvoyant"] == ["clairvoyant"]


def test_compare_gives_each_policy_its_measures(compared: tuple[dict[str, Any], Path]) -> None:
    for policy in compared[0]["policies"]:
        assert {"label", "name", "knowledge", "requests", "unfinished", "saturated"} <= policy.keys()
        assert policy.keys() >= MEASURED
        assert isinstance(policy["saturated"], bool)
        assert 0 <= policy["unfinished"] <= policy["requests"]
        assert policy["requests"] > 1000
        for measure in MEASURED:
            found = policy[measure]
            if found is not None:
                assert found.keys() == {"low", "mean", "high"}
                assert found["low"] <= found["mean"] <= found["high"]
        assert 0 <= policy["useful"]["mean"] <= policy["on_time"]["mean"] <= 1
        assert policy["energy_j"]["mean"] > 0
        # Over 600 requests after the warm-up leave fewer than ten beyond the 99th percentile.
        assert policy["latency_p99_s"] is None
        assert policy["latency_p95_s"] is None or policy["latency_p95_s"]["mean"] > 0
        assert (policy["latency_mean_s"] is None) == (policy["unfinished"] > 0)


def test_all_policies_meet_the_same_births(compared: tuple[dict[str, Any], Path]) -> None:
    assert len({policy["requests"] for policy in compared[0]["policies"]}) == 1


def test_compare_pairs_every_two_policies(compared: tuple[dict[str, Any], Path]) -> None:
    told, _ = compared
    means = {policy["label"]: policy for policy in told["policies"]}
    assert {pair["measure"] for pair in told["pairs"]} == PAIRED
    n = len(means)
    for measure in PAIRED:
        labels = [label for label, policy in means.items() if policy[measure] is not None]
        found = [pair for pair in told["pairs"] if pair["measure"] == measure]
        assert len(found) == len(labels) * (len(labels) - 1) / 2 <= n * (n - 1) / 2
        for pair in found:
            assert pair.keys() == {"a", "b", "measure", "low", "mean", "high", "differs"}
            gap = means[pair["a"]][measure]["mean"] - means[pair["b"]][measure]["mean"]
            assert pair["mean"] == pytest.approx(gap, abs=1e-12)
            assert pair["low"] <= pair["mean"] <= pair["high"]
            assert pair["differs"] == (pair["low"] > 0 or pair["high"] < 0)


def test_compare_writes_rows_summary_and_figures(compared: tuple[dict[str, Any], Path]) -> None:
    told, out = compared
    assert json.loads((out / "summary.json").read_text()) == told
    for name in FIGURES:
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (out / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    files = rows_files(out)
    labels = [policy["label"] for policy in told["policies"]]
    assert files.keys() == {f"{label}/{r}/requests.parquet" for label in labels for r in (0, 1)}
    for path in files.values():
        frame = pl.read_parquet(path)
        assert frame.schema == SCHEMA
        assert frame["request"].is_unique().all()
        assert pl.read_parquet(path.with_name("devices.parquet")).height == 60 + 4 + 60
    for policy in told["policies"]:
        born = [pl.read_parquet(files[f"{policy['label']}/{r}/requests.parquet"]) for r in (0, 1)]
        assert policy["requests"] == sum(f.filter(pl.col("born_s") >= 1.0).height for f in born)
    assert [path.name for path in out.rglob(".*")] == [".lock"]  # what holds the folder; nothing else


def test_detection_has_no_useful_share() -> None:
    told = call_json("compare", URBAN.with_name("robotaxi.toml"), *SHORT, "--policy", "local",
                     "--policy", "edge", "--jobs", "1", "--out", "unused")  # fmt: skip
    assert all(policy["useful"] is None for policy in told["policies"])
    assert {pair["measure"] for pair in told["pairs"]} >= {"on_time", "energy_j"}
    assert "useful" not in {pair["measure"] for pair in told["pairs"]}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write below the current folder if they are not told where."""
    monkeypatch.chdir(tmp_path)


def test_folder_by_default(tmp_path: Path) -> None:
    call("compare", SMALL, "--jobs", "1")
    call("compare", SMALL, "--jobs", "1", "--policy", "local")
    call("compare", SMALL, "--jobs", "1", "--policy", "local", "--set", "seed=3")
    # What differs from the file replaces nothing.
    found = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert found[:2] == ["small", "small-local"]
    assert len(found) == 3
    assert all((tmp_path / "results" / name / "summary.json").is_file() for name in found)


def test_one_replication_has_means_without_bounds(tmp_path: Path) -> None:
    told = call_json("run", SMALL)
    energy = told["policies"][0]["energy_j"]
    assert energy["mean"] > 0
    assert (energy["low"], energy["high"]) == (None, None)
    assert "±" not in call("run", SMALL)


def test_options_of_a_label_hold_on_the_command_line(tmp_path: Path) -> None:
    path = Path(SMALL).parent.parent / "scenarios" / "camera-corridor.toml"
    shorten = ("--set", 'duration="2 s"', "--set", 'warm_up="0 s"')
    told = call_json("compare", path, *shorten, "--replications", "2", "--policy", "quickest-unsplit",
                     "--jobs", "1", "--out", tmp_path)  # fmt: skip
    assert told["policies"][0]["label"] == "quickest-unsplit"
    rows = pl.read_parquet(tmp_path / "quickest-unsplit" / "0" / "requests.parquet")
    assert not rows["split"].any()


def test_table_names_policies_and_how_figures_are_known(tmp_path: Path) -> None:
    printed = call("compare", SMALL, "--jobs", "1", "--out", tmp_path)
    assert all(name in printed for name in ("local", "edge", "random", "assumed", "latency-cdf.png"))


def test_run_needs_no_folder(tmp_path: Path) -> None:
    told = call_json("run", SMALL)
    assert [policy["name"] for policy in told["policies"]] == ["quickest"]
    assert told["pairs"] == []
    assert told["replications"] == 1
    assert list(tmp_path.iterdir()) == []


def test_options_of_the_command_line_win() -> None:
    told = call_json("run", SMALL, "--policy", "local", "--policy", "edge", "--policy", "local",
                     "--seed", "99", "--replications", "2", "--set", 'name="other"')  # fmt: skip
    assert [policy["label"] for policy in told["policies"]] == ["local", "edge"]
    assert (told["seed"], told["replications"], told["scenario"]) == (99, 2, "other")


def test_setting_changes_what_is_simulated() -> None:
    usual = call_json("run", SMALL)["policies"][0]["requests"]
    more = call_json("run", SMALL, "--set", "devices.car.count=4")["policies"][0]["requests"]
    assert more == pytest.approx(2 * usual, abs=8)


# The same rows


def test_same_seed_same_rows(small: Path, tmp_path: Path) -> None:
    call("compare", SMALL, "--jobs", "1", "--out", tmp_path)
    assert_same_rows(small, tmp_path)


def test_number_of_processes_does_not_matter(small: Path, tmp_path: Path) -> None:
    call("compare", SMALL, "--jobs", "2", "--out", tmp_path)
    assert_same_rows(small, tmp_path)
    assert json.loads((small / "summary.json").read_text()) == json.loads(
        (tmp_path / "summary.json").read_text()
    )


def test_other_seed_other_rows(small: Path, tmp_path: Path) -> None:
    call("compare", SMALL, "--jobs", "1", "--seed", "4", "--out", tmp_path)
    others = rows_files(tmp_path)
    for name, path in rows_files(small).items():
        assert not pl.read_parquet(path)["born_s"].equals(pl.read_parquet(others[name])["born_s"])


def test_replications_differ(small: Path) -> None:
    first, second = (pl.read_parquet(small / "local" / r / "requests.parquet") for r in "01")
    assert not first["born_s"].equals(second["born_s"])


# Going on


def stamps(out: Path) -> dict[str, int]:
    """When each file of rows was written; a file that is written anew gets a new inode."""
    return {name: path.stat().st_ino for name, path in rows_files(out).items()}


def test_what_lies_there_is_not_simulated_again(tmp_path: Path) -> None:
    first = call_json("compare", SMALL, "--jobs", "1", "--out", tmp_path)
    before = stamps(tmp_path)
    (tmp_path / "edge" / "1" / "requests.parquet").unlink()
    assert call_json("compare", SMALL, "--jobs", "1", "--out", tmp_path) == first
    after = stamps(tmp_path)
    assert after.keys() == before.keys()
    missing = "edge/1/requests.parquet"
    assert {k: v for k, v in after.items() if k != missing} == {
        k: v for k, v in before.items() if k != missing
    }


@pytest.mark.parametrize(
    "change",
    [
        ["--seed", "4"],
        ["--set", 'devices.car.tasks.objects.deadline="90 ms"'],
        ["--set", 'models.net.variants.fp32.costs.t4.seconds=["3 ms", "3 ms"]'],
    ],
    ids=["seed", "deadline", "costs"],
)
def test_what_lies_there_of_another_run_is_replaced(change: list[str], tmp_path: Path) -> None:
    call("compare", SMALL, "--jobs", "1", "--out", tmp_path)
    before = {name: pl.read_parquet(path) for name, path in rows_files(tmp_path).items()}
    kept = stamps(tmp_path)
    call("compare", SMALL, "--jobs", "1", "--out", tmp_path, *change)
    after = stamps(tmp_path)
    assert after.keys() == kept.keys()
    assert all(after[name] != kept[name] for name in kept)
    files = rows_files(tmp_path)
    assert any(not frame.equals(pl.read_parquet(files[name])) for name, frame in before.items())


@pytest.mark.parametrize("content", [b"", b"PAR1 cut off"])
def test_damaged_rows_are_made_again(content: bytes, small: Path, tmp_path: Path) -> None:
    call("compare", SMALL, "--jobs", "1", "--out", tmp_path)
    (tmp_path / "local" / "0" / "requests.parquet").write_bytes(content)
    call("compare", SMALL, "--jobs", "1", "--out", tmp_path)
    assert_same_rows(small, tmp_path)


def test_rows_repeat_themselves(small: Path, tmp_path: Path) -> None:
    path = small / "random" / "1" / "requests.parquet"
    told = call_json("run", path, "--out", tmp_path)
    assert told == {"file": str(path), "requests": pl.read_parquet(path).height, "identical": True}
    assert_frame_equal(pl.read_parquet(tmp_path / "requests.parquet"), pl.read_parquet(path))


def test_rows_that_were_changed_do_not_repeat(small: Path, tmp_path: Path) -> None:
    path = small / "random" / "1" / "requests.parquet"
    changed = pl.read_parquet(path).with_columns(pl.col("energy_j") + 1e-9)
    copy = tmp_path / "requests.parquet"
    changed.write_parquet(copy, metadata=pl.read_parquet_metadata(path))
    done = CliRunner().invoke(app, ["run", str(copy), "--json"])
    assert done.exit_code == 2
    assert json.loads(done.stdout)["identical"] is False


def test_rows_are_not_replaced_by_their_repetition(small: Path, tmp_path: Path) -> None:
    """What does not repeat itself is evidence; and what cannot apply is not passed over."""
    file = tmp_path / "requests.parquet"
    file.write_bytes((small / "random" / "1" / "requests.parquet").read_bytes())
    before = file.stat().st_ino
    done = CliRunner().invoke(app, ["run", str(file), "--out", str(tmp_path)])
    assert (done.exit_code, file.stat().st_ino) == (2, before)
    assert done.stderr == (
        f"--out {tmp_path}: holds {file} itself, which would be replaced; give another folder\n"
    )
    done = CliRunner().invoke(app, ["run", str(file), "--jobs", "2", "--most", "30", "--seed", "0"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"{file} says what made it; --seed, --most, --jobs cannot apply\n"


def test_rows_with_settings_repeat_themselves(tmp_path: Path) -> None:
    call("run", SMALL, "--set", "nodes.cabinet.servers=3", "--seed", "8", "--out", tmp_path)
    assert call_json("run", tmp_path / "quickest" / "0" / "requests.parquet")["identical"] is True


# Interrupted


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupted_run_keeps_what_is_finished(jobs: str, tmp_path: Path) -> None:
    def command(replications: str) -> list[str]:
        return [
            *MAIN, "compare", str(SMALL), "--set", 'duration="100 s"', "--policy", "random", "--policy",
            "edge", "--jobs", jobs, "--out", str(tmp_path / "out"), "--json",
            "--replications", replications,
        ]  # fmt: skip

    # Its own process group, so that the signal reaches its workers as Ctrl-C would, and not us.
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command("2000"), stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )
    try:
        until = time.monotonic() + 60
        while not any((tmp_path / "out").glob("*/2/requests.parquet")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        printed, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, printed) == (130, "")
    assert "what is finished is kept" in said
    assert "Traceback" not in said
    kept = rows_files(tmp_path / "out")
    assert 3 <= len(kept) < 4000
    assert all(pl.read_parquet(path).height > 0 for path in kept.values())
    assert not (tmp_path / "out" / "summary.json").exists()

    before = stamps(tmp_path / "out")
    done = subprocess.run(command("3"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["replications"] == 3
    after = stamps(tmp_path / "out")
    assert all(after[name] == inode for name, inode in before.items())
    wanted = {f"{label}/{r}/requests.parquet" for label in ("random", "edge") for r in range(3)}
    assert wanted <= after.keys()


def test_the_second_opinion_is_simulated_unless_skipped(tmp_path: Path) -> None:
    rivals = ("--policy", "edge", "--policy", "quickest", "--jobs", "1", "--out", tmp_path)
    without = call_json("compare", CORRIDOR, *SHORT, *rivals, "--no-second-opinion")
    assert without["second_opinion"] is None
    assert not (tmp_path / "second-opinion").exists()
    told = call_json("compare", CORRIDOR, *SHORT, *rivals)
    assert told["second_opinion"]["measure"] == "useful"
    assert told == without | {"second_opinion": told["second_opinion"]}
    assert (tmp_path / "second-opinion" / "quickest" / "1" / "requests.parquet").is_file()
    assert "second opinion: " in call("compare", CORRIDOR, *SHORT, *rivals)
    assert "rescaled to cortex-a53: mobilenetv2:int8: total published" in " ".join(
        call("compare", CORRIDOR, *SHORT, *rivals).split()
    )


# Lists and checks


def test_models() -> None:
    rows = call_json("models")
    assert all({"name", "variant", "hardware", "known", "residual"} <= row.keys() for row in rows)
    networks = {"alexnet", "vgg16", "resnet18", "resnet50", "mobilenetv2", "squeezenet"}
    assert networks <= {row["name"] for row in rows if row["known"] == "measured"}
    int8 = {row["name"] for row in rows if row["variant"] == "int8" and row["known"] == "measured"}
    assert {"resnet50", "mobilenetv2"} <= int8
    for row in rows:
        assert row["known"] in ("measured", "rescaled", "published", "assumed")
        assert (row["residual"] is not None) == (row["known"] == "measured")
        assert row["latency_s"] > 0
        assert row["source"]


def test_hardware() -> None:
    rows = call_json("hardware")
    assert {"x86-core", "cortex-a53", "t4"} <= {row["name"] for row in rows}
    assert all(0 <= row["idle_w"] <= row["busy_w"] and row["source"] for row in rows)
    told = {row["name"]: row for row in rows}
    assert told["cortex-a53"]["method"] == "int8: roofline"
    assert told["cortex-a53"]["error"].startswith("int8: mean ")
    assert told["t4"]["error"] == "int8: error unknown"
    printed = " ".join(call("hardware").split())
    assert printed.count("error unknown") == 5
    assert "choice of method left out too" in printed


def test_errors_of_methods() -> None:
    rows = call_json("hardware", "--errors")
    assert {row["hardware"] for row in rows} == {
        r["name"] for r in call_json("hardware") if r["anchors"]
    }
    for row in rows:
        known = [row[key] for key in ("mean", "median", "max")]
        assert known == [None] * 3 if row["networks"] == 1 else 0 < known[1] < known[2]
    used = {row["hardware"]: row["method"] for row in rows if row["note"] == "used"}
    assert used["cortex-a53"] == "roofline"
    assert call("hardware", "--errors").count("error unknown") == 5


def test_policies() -> None:
    rows = call_json("policies")
    assert [row["name"] for row in rows] == list(NAMED)
    told = {row["name"]: row for row in rows}
    assert told["clairvoyant"]["knowledge"] == "clairvoyant"
    (margin,) = told["thrifty"]["options"]
    assert margin == {"option": "margin", "takes": "time (s, ms, us, ns, min, h)", "default": "0 s"}
    assert all(row["what"].endswith(".") for row in rows)


@pytest.mark.parametrize("name", NAMED)
def test_a_policy_is_told_of_in_full(name: str) -> None:
    told = call_json("policies", name)
    made = table.load(name)
    assert told["class"] == NAMED[name]
    assert told["doc"].startswith(inspect.cleandoc(made.__doc__))
    assert {each["option"] for each in told["options"]} == set(table.options(made))
    printed = call("policies", name)
    assert printed.startswith(f"{name}  ({NAMED[name]}; knows: {told['knowledge']})\n\n")
    # What a table says as its default, it takes.
    choice = table.choose({"name": name, **{
        each["option"]: each["default"] for each in told["options"] if " (" in each["takes"]
        and each["default"] not in (None, "(needed)")
    }})  # fmt: skip
    for key, value in choice.options:
        assert value == pytest.approx(table.options(made)[key][1])


def test_a_policy_that_there_is_not_is_refused() -> None:
    found = CliRunner().invoke(app, ["policies", "thrifti"])
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr == 'no policy "thrifti"; did you mean "thrifty"?\n'


def test_models_for_people_tell_every_error_on_a_narrow_terminal() -> None:
    printed = call("models")
    rows = call_json("models")
    assert printed.count("error unknown") == sum(row["error"] == "error unknown" for row in rows) > 5
    assert printed.count("total published") == sum("total published" in row["error"] for row in rows) > 5


@pytest.mark.parametrize("command", ["models", "hardware", "policies"])
def test_lists_for_people(command: str) -> None:
    printed = call(command)
    assert len(printed.splitlines()) > 5
    assert "{" not in printed


def test_check_says_what_runs_where_and_how_that_is_known() -> None:
    told = call_json("check", SMALL)
    assert (told["scenario"], told["devices"]) == ("small", 2)
    assert {(row["variant"], row["place"], row["known"]) for row in told["profiles"]} == {
        ("net:fp32", place, "assumed") for place in ("car", "cabinet", "region")
    }
    printed = call("check", SMALL)
    assert all(word in printed for word in ("net:fp32", "cabinet", "region", "assumed"))


# What is imported


def imported(arguments: list[str]) -> set[str]:
    """Return the top modules, and scipy.stats, that a command loads."""
    script = (
        "import sys; from offload.cli import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit as end: code = end.code\n"
        "print('\\n' + ' '.join(sys.modules)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = set(done.stdout.splitlines()[-1].split())
    return {name.partition(".")[0] for name in names} | (names & {"scipy.stats"})


def test_help_loads_little() -> None:
    heavy = {"torch", "scipy", "matplotlib", "polars", "pydantic", "joblib", "numpy", "simpy"}
    loaded = imported(["--help"])
    assert "typer" in loaded
    assert not heavy & loaded


def test_simulating_does_not_load_torch() -> None:
    loaded = imported(["run", str(SMALL), "--json"])
    assert {"polars", "simpy"} <= loaded
    assert not {"torch", "scipy.stats", "matplotlib"} & loaded


def test_policies_of_the_current_folder_are_found(tmp_path: Path) -> None:
    """In other processes too."""
    source = (
        "from offload.planning.price import price\n\n\nclass Mine:\n"
        "    def decide(self, request, seen):\n"
        "        prices = price(request, seen)\n"
        "        return prices.least(prices.latency_s)\n"
    )
    (tmp_path / "my_policy.py").write_text(source)
    names = ["--policy", "my_policy:Mine", "--policy", "quickest"]
    command = [*MAIN, "compare", str(SMALL), *names, "--jobs", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    mine, quickest = json.loads(done.stdout)["policies"]
    assert mine["name"] == "my_policy:Mine"
    assert mine["on_time"] == quickest["on_time"]


@pytest.mark.parametrize(
    "options",
    [
        ["--policy", "local", "--replications", "1"],
        ["--policy", "local", "--set", "links={}", "--set", "nodes={}"],
        ["--policy", "local", "--set", 'devices.car.tasks.objects.deadline="10 s"'],
        ["--policy", "edge", "--set", 'links.cell.up="1 bit/s"'],
        ["--policy", "edge", "--set", 'devices.car.tasks.objects.every="1e6 s"'],
    ],
    ids=["single", "alone", "far-deadline", "none-finished", "none-born"],
)
@pytest.mark.filterwarnings("error")
def test_figures_of_odd_results(options: list[str], tmp_path: Path) -> None:
    """They are drawn without a warning, which a user would see beside the table."""
    call("compare", SMALL, "--jobs", "1", "--out", tmp_path, *options)
    assert {path.stem for path in tmp_path.glob("*.png")} <= FIGURES
    assert (tmp_path / "summary.json").is_file()


def test_files_named_like_libraries_do_not_stand_in_for_them(tmp_path: Path) -> None:
    """Students call their files click.py or queue.py; a policy beside them is found all the same."""
    for name in ("click", "queue", "statistics", "polars", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the current folder')\n")
    (tmp_path / "homework.py").write_text(
        "class Stay:\n"
        '    """Stays."""\n\n'
        "    def decide(self, request, seen):\n"
        "        raise NotImplementedError\n"
    )
    # -P: Python itself puts nothing on the path, as for the installed command
    done = subprocess.run(
        [MAIN[0], "-P", *MAIN[1:], "policies", "homework:Stay"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(URBAN.parents[1])}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Stays." in done.stdout
    assert done.stderr == ""


def test_a_comparison_says_what_comes_next(tmp_path: Path) -> None:
    out = tmp_path / "two words"
    printed = call("compare", SMALL, *SHORT, "--out", out, "--no-second-opinion")
    assert printed.endswith(f"Next:\n  offload explain '{out}'\n  offload report '{out}'\n")
