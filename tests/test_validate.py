"""The reality check against a testbed whose truth the tests plant."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from offload.analysis.files import to_json
from offload.cli import app
from offload.scenario.load import load
from offload.scenario.measured_costs import MeasuredCosts
from offload.testbed.validate import results
from offload.testbed.validate.charges import head_bytes
from offload.testbed.validate.judge import Judged
from offload.testbed.validate.matrix import MATRIX, SHORT, Cell, shipped
from offload.testbed.validate.protocol import (
    QUICK,
    TEXT,
    USUAL,
    Rules,
    Schedule,
    accepted,
    is_slow,
    medians,
)
from offload.views.validate import summary_text
from offload.views.validate_figures import scatter
from tests.fake_bed import FakeBed

RULES = replace(USUAL, loaded_blocks=14, replications=8)
LOADED = Cell("mobilenetv2", "int8", 20, "loaded", 24)
IDLE = Cell("mobilenetv2", "int8", 100, "idle", 41, 81)
LOCAL, OTHER = Cell("mobilenetv2", "int8", 20, "idle"), Cell("mobilenetv2", "fp32", 20, "idle")


def check(
    out: Path,
    *beds: tuple[Cell, dict[str, Any]],
    rules: Rules = RULES,
    costs: MeasuredCosts | None = None,
) -> tuple[list[Judged], dict[str, Any]]:
    """Measure cells on fake beds and judge them."""
    for cell, planted in beds:
        bed = FakeBed(cell, shipped(cell), **planted)
        results.measure_cell(cell, out, rules, lambda _scenario, _choice, bed=bed: bed, lambda _: None)
    return results.judge_all([cell for cell, _ in beds], out, rules, costs, lambda _: None)


def test_what_is_planted_in_all_alike_is_predicted_within_noise(tmp_path: Path) -> None:
    rows, told = check(tmp_path, (LOADED, {"seed": 3}), (IDLE, {}))
    for judged in rows:
        row = judged.row
        assert row["calibrated_close"], row["why"]
        assert abs(row["calibrated_error_mean"]) < 0.02
        assert abs(row["calibrated_error_work"]) < 0.02
        assert (
            row["calibrated_error_mean_low"]
            < row["calibrated_error_mean"]
            < row["calibrated_error_mean_high"]
        )
        assert row["lost"] == row["excluded"] == row["missing"] == 0
        # Legs are the same things on both sides.
        for leg in ("device", "uplink", "edge", "wan", "cloud", "downlink"):
            gap_s = row[f"calibrated_{leg}_s"] - row[f"measured_{leg}_s"]
            assert abs(gap_s) < 0.03 * row["measured_mean_s"], leg
    assert told["calibrated"]["close"] == 1.0
    assert told["cells"] == 2


def test_the_spread_of_work_is_predicted_too(tmp_path: Path) -> None:
    local = Cell("mobilenetv2", "int8", 20, "idle")
    ((judged,), _) = check(tmp_path, (local, {"slower": lambda _: 1.4}))
    # Of a gamma distribution with a coefficient of variation of 10 %.
    ratio = judged.row["calibrated_p95_s"] / judged.row["calibrated_mean_s"]
    assert ratio == pytest.approx(1.17, abs=0.03)
    assert abs(judged.row["calibrated_error_p95"]) < 0.05


def test_slower_work_is_calibrated_away_and_stays_in_the_offline_error(tmp_path: Path) -> None:
    ((judged,), told) = check(tmp_path, (IDLE, {"slower": lambda _: 1.3}))
    assert abs(judged.row["calibrated_error_work"]) < 0.02
    assert judged.row["offline_error_work"] == pytest.approx(1 / 1.3 - 1, abs=0.02)
    # A slow link flatters: the error of the whole is much less.
    assert abs(judged.row["offline_error_mean"]) < 0.05
    assert told["offline"]["median_work"] > 0.2


def test_a_hidden_cost_is_named_with_its_leg(tmp_path: Path) -> None:
    ((judged,), told) = check(tmp_path, (IDLE, {"hidden_s": 0.004}))
    row = judged.row
    assert row["calibrated_error_mean"] == pytest.approx(-0.004 / row["measured_mean_s"], abs=0.01)
    assert row["calibrated_error_mean_high"] < -0.05
    assert not row["calibrated_close"]
    assert row["why"].startswith("uplink")
    assert told["worst"] == {"cell": IDLE.name, "why": row["why"]}


def test_what_is_foretold_leaves_out_cells_that_can_only_be_noise(tmp_path: Path) -> None:
    _, told = check(tmp_path, (OTHER, {}), (IDLE, {"hidden_s": 0.004}))
    assert (told["calibrated"]["close"], told["foretold"]["close"]) == (0.5, 0.0)
    assert told["foretold"]["median_mean"] > 1.5 * told["calibrated"]["median_mean"]
    assert "without local, idle ones" in summary_text(told)


def test_drift_shows_in_the_noise_floor(tmp_path: Path) -> None:
    local = Cell("mobilenetv2", "int8", 20, "idle")
    ((judged,), told) = check(tmp_path, (local, {"slower": lambda play: 1.0 if play <= 11 else 1.2}))
    assert judged.row["half_mean"] == pytest.approx(1 / 1.2 - 1, abs=0.03)
    assert abs(judged.row["odd_mean"]) < 0.03
    assert not judged.row["noise_close"]
    # Calibration requests met the same machine.
    assert abs(judged.row["calibrated_error_mean"]) < 0.03
    assert told["noise"]["close"] == 0.0


def test_halves_and_parities_of_a_loaded_cell_are_the_same_requests(tmp_path: Path) -> None:
    ((judged,), _) = check(tmp_path, (LOADED, {}), rules=replace(RULES, loaded_blocks=10))
    # Another 400 births would differ by 10 % and more.
    assert abs(judged.row["half_mean"]) < 0.02
    assert abs(judged.row["odd_mean"]) < 0.02
    for block in range(1, 6):
        plan = results.plan_of(LOADED, replace(RULES, loaded_blocks=10))
        assert plan.blocks[block] == plan.blocks[block + 5]
        assert plan.test[block] == plan.test[block + 5]


def test_a_block_is_excluded_by_its_sentinel_and_played_again(tmp_path: Path) -> None:
    """Two plays are slow, and the sentinel says so; a third is slow unseen and stays."""
    bad = {4, 9}

    def spins(spun: int) -> float:
        return 1.2e-4 if spun in {5, 10} else 1e-4  # after plays 4 and 9, before 5 and 10

    local = Cell("mobilenetv2", "int8", 20, "idle")
    first = Cell("mobilenetv2", "fp32", 20, "idle")  # so that the session knows the usual sentinel
    (_, judged), told = check(
        tmp_path,
        (first, {}),
        (local, {"slower": lambda play: 3.0 if play in {*bad, 12} else 1.0, "spins": spins}),
    )
    plays = pl.read_parquet(tmp_path / local.name / "plays.parquet")
    assert plays["block"].to_list() == [*range(23), 4, 5, 9, 10]
    row = judged.row
    assert row["missing"] == 0
    assert row["excluded"] == pytest.approx(4 / 26)
    assert told["excluded"] == pytest.approx(4 / 48)
    timings = pl.read_parquet(tmp_path / local.name / "timings.parquet").filter("test")
    kept = timings.filter(~pl.col("play").is_in([4, 5, 9, 10]) & (pl.col("block") > 0))
    assert row["measured_mean_s"] == pytest.approx((kept["ended_s"] - kept["born_s"]).mean())
    assert row["unexcluded_mean_s"] > 1.1 * row["calibrated_mean_s"]


def slow_from(look: int) -> dict[str, Any]:
    """A sentinel that is slow from its so-manieth look on."""
    return {"spins": lambda spun: 1.2e-4 if spun >= look else 1e-4}


def test_a_cell_with_too_few_blocks_is_not_close_and_is_told_of(tmp_path: Path) -> None:
    found, told = check(tmp_path, (OTHER, {}), (LOCAL, slow_from(20)))
    row = found[1].row
    assert row["missing"] == 22 - 18
    assert row["requests"] == 180
    assert abs(row["calibrated_error_mean"]) < 0.02
    assert not row["calibrated_close"]
    assert told["calibrated"]["close"] == 0.5
    (fault,) = told["few"]
    assert results.insane(found, RULES) == []  # but it is not wrong
    assert fault.startswith(f"{LOCAL.name}: 180 requests for the test, where 200 are needed")
    assert fault.endswith("plays of 4 blocks")


def test_a_quick_look_excludes_nothing(tmp_path: Path) -> None:
    _, told = check(tmp_path, (OTHER, {}), (LOCAL, slow_from(3)), rules=QUICK)
    assert told["excluded"] == 0.0
    assert told["missing"] == 0


def test_two_blocks_less_leave_enough(tmp_path: Path) -> None:
    found, told = check(tmp_path, (OTHER, {}), (LOCAL, slow_from(22)))
    assert (found[1].row["missing"], found[1].row["requests"]) == (2, 200)
    assert found[1].row["calibrated_close"]
    assert told["few"] == []
    assert RULES.least(LOADED) == QUICK.least(LOADED) == QUICK.least(LOCAL) == 0  # claim nothing


def test_a_cell_of_which_nothing_counts_does_not_keep_the_others_from_being_judged(
    tmp_path: Path,
) -> None:
    third = Cell("resnet18", "int8", 20, "idle")
    found, told = check(tmp_path, (OTHER, {}), (third, {}), (LOCAL, slow_from(0)))
    assert [each.cell for each in found] == [OTHER, third]
    (fault,) = told["unfit"]
    assert fault.startswith(f"{LOCAL.name}: no block counts, the sentinel was slow in all plays")
    assert fault.endswith(f"; remove {tmp_path / LOCAL.name} and measure it again")
    # Alone it would be its own standard: a session is a folder, whatever is asked for.
    with pytest.raises(results.ResultsError, match="no block counts"):
        results.judge_all([LOCAL], tmp_path, RULES, None, lambda _: None)


def test_a_part_of_a_session_is_judged_as_in_the_whole(tmp_path: Path) -> None:
    both, _ = check(tmp_path, (OTHER, {}), (LOCAL, slow_from(10)))
    ((alone,), _) = results.judge_all([LOCAL], tmp_path, RULES, None, lambda _: None)
    assert both[1].row["excluded"] == pytest.approx(25 / 33)
    assert to_json(alone.row) == to_json(both[1].row)  # two NaN are not equal


def test_births_of_another_schedule_are_not_compared(tmp_path: Path) -> None:
    check(tmp_path, (LOCAL, {}))
    file = tmp_path / LOCAL.name / "timings.parquet"
    pl.read_parquet(file).with_columns(pl.col("born_s") + 1e-3).write_parquet(file)
    with pytest.raises(results.ResultsError, match="born when the shipped profiles of another time"):
        results.judge_all([LOCAL], tmp_path, RULES, None, lambda _: None)


def test_what_an_interruption_left_of_other_births_is_not_simulated(tmp_path: Path) -> None:
    ((before,), _) = check(tmp_path, (LOADED, {}))
    births = tmp_path / LOADED.name / "births.csv"
    births.write_text("time\n1.0\n")
    ((after,), _) = results.judge_all([LOADED], tmp_path, RULES, None, lambda _: None)
    assert after.row == before.row


def test_where_nothing_was_answered_there_is_nothing_to_judge(tmp_path: Path) -> None:
    with pytest.raises(results.ResultsError, match="no request was answered"):
        check(tmp_path, (IDLE, {"loses": lambda _: True}))


def test_a_play_too_many_is_not_excluded(tmp_path: Path) -> None:
    """Blocks were played again which the whole session's median then finds calm."""
    check(tmp_path, (OTHER, {}), (LOCAL, slow_from(22)))
    file = tmp_path / LOCAL.name / "plays.parquet"
    plays = pl.read_parquet(file)
    assert plays.height > 23
    plays.with_columns(pl.lit(1e-4).alias("spin_device-0_s")).write_parquet(file)
    ((judged,), told) = results.judge_all([LOCAL], tmp_path, RULES, None, lambda _: None)
    assert judged.row["excluded"] == told["excluded"] == 0.0
    assert judged.row["missing"] == 0


def test_latency_never_excludes(tmp_path: Path) -> None:
    local = Cell("mobilenetv2", "int8", 20, "idle")
    ((judged,), _) = check(tmp_path, (local, {"slower": lambda play: 5.0 if play % 3 == 0 else 1.0}))
    assert judged.row["excluded"] == 0.0
    assert judged.row["requests"] == 220


def test_what_is_lost_is_counted_and_never_close(tmp_path: Path) -> None:
    ((judged,), told) = check(tmp_path, (IDLE, {"loses": lambda request: request.id % 50 == 7}))
    assert told["lost"] == judged.row["lost"] > 0
    assert abs(judged.row["calibrated_error_mean"]) < 0.02
    assert not judged.row["calibrated_close"]


COSTS = MeasuredCosts.model_validate({
    "format": 1, "hardware": "x86-core", "known": "measured", "source": 'a "test"',
    "hop": {"message_s": 1e-3, "per_byte_s": 1e-8},
    "security": {"mutual-tls": {
        "handshake_s": 1.0, "message_s": 5e-4, "per_byte_s": 2e-8, "message_bytes": 1000.0,
        "bytes_per_byte": 0.0,
    }},
    "after_idle": {"slower": 0.5, "within_s": 1e-6}, "co_location": {"slower": 0.0}, "decide_s": 1e-3,
})  # fmt: skip


def test_measured_costs_are_charged(tmp_path: Path) -> None:
    edge = Cell("mobilenetv2", "int8", 20, "idle", 24)
    ((plain,), _) = check(tmp_path / "plain", (edge, {}))
    ((judged,), _) = check(tmp_path / "charged", (edge, {}), costs=COSTS)
    up_bytes, down_bytes = 25_088, 4_000
    # A decision, two messages, their bytes' seconds, and frames and heads at 20 Mbit/s: a link in user
    # space shapes what is in the clear, so that the 1000 bytes of TLS take no time there.
    more_s = 1e-3 + 2 * 1.5e-3 + 3e-8 * (up_bytes + down_bytes) + 2 * 8 * head_bytes() / 20e6
    gap_s = judged.row["calibrated_mean_s"] - plain.row["calibrated_mean_s"]
    assert gap_s == pytest.approx(more_s, rel=0.01)
    assert 150 < head_bytes() < 250
    assert judged.row["calibrated_work_s"] == pytest.approx(plain.row["calibrated_work_s"])
    # Offline, what is idle between requests is half as slow again.
    assert judged.row["offline_work_s"] == pytest.approx(1.5 * plain.row["offline_work_s"], rel=0.01)


def test_plans_are_ranked_within_a_setting_where_they_differ(tmp_path: Path) -> None:
    local, edge = Cell("resnet18", "int8", 20, "idle"), Cell("resnet18", "int8", 20, "idle", 0)
    other = Cell("resnet18", "int8", 100, "idle", 0)
    found, told = check(tmp_path, (local, {}), (edge, {}), (other, {}))
    assert told["calibrated"]["ranking"] == {"pairs": 1, "differ": 1, "agree": 1, "wrong": []}
    # What is measured the other way round is told.
    swapped = [
        Judged(found[0].cell, found[0].row, found[1].means_s),
        Judged(found[1].cell, found[1].row, found[0].means_s),
    ]
    from offload.testbed.validate.judge import ranking

    assert ranking(swapped, "calibrated")["wrong"] == [[local.name, edge.name]]
    same = [found[0], Judged(found[1].cell, found[1].row, found[0].means_s)]
    assert ranking(same, "calibrated")["differ"] == 0


def test_what_was_measured_is_not_measured_again_unless_it_is_another(tmp_path: Path) -> None:
    check(tmp_path, (IDLE, {}))
    assert results.missing([IDLE, LOADED], tmp_path, RULES) == [LOADED]
    assert results.missing([IDLE], tmp_path, replace(RULES, slow=1.3)) == [IDLE]
    results.missing([IDLE], tmp_path, RULES)  # writes its births again
    with pytest.raises(results.ResultsError, match="no cell of these has been measured"):
        results.judge_all([LOADED], tmp_path, RULES, None, lambda _: None)


def test_a_prediction_can_be_repeated_from_its_file(tmp_path: Path) -> None:
    import offload

    ((judged,), _) = check(tmp_path, (LOADED, {}))
    folder = tmp_path / LOADED.name
    plan = results.plan_of(LOADED, RULES)
    scenario = load(folder / "calibrated.toml")
    means = []
    for replication in range(RULES.replications):
        frame = offload.simulate(scenario, replication=replication).rows()
        test = [each for block in plan.test[1:] for each in block]
        latency_s = frame["latency_s"].to_numpy()[len(plan.blocks[0]) :]
        means.append(latency_s[np.array(test)].mean())
    assert np.mean(means) == pytest.approx(judged.row["calibrated_mean_s"])
    assert "measured" in scenario.known


@pytest.mark.parametrize("cell", [*MATRIX, *SHORT], ids=lambda cell: cell.name)
def test_every_cell_is_a_scenario_that_can_be_carried_out(cell: Cell, tmp_path: Path) -> None:
    from offload.testbed.validate import predict

    plan = results.plan_of(cell, USUAL)
    file = predict.write_offline(cell, plan, USUAL, {}, tmp_path)
    predict.write_measured(cell, plan, USUAL, tmp_path)
    found = predict.predict(file, replace(USUAL, replications=1))
    assert found.latency_s.shape == (1, len(plan.births_s))
    expected_s = cell.unloaded_s(shipped(cell))
    at = plan.positions(3)
    quick = found.latency_s[0, at].min()
    assert expected_s * 0.85 < quick < expected_s * 1.15 + 0.01


def test_the_matrix_is_as_the_protocol_says() -> None:
    assert len(MATRIX) == len({cell.name for cell in MATRIX}) >= 40
    assert len({cell.network for cell in MATRIX}) >= 3
    for network in {cell.network for cell in MATRIX}:
        assert {cell.form for cell in MATRIX if cell.network == network} == {"fp32", "int8"}
    assert {cell.load for cell in MATRIX} == {"idle", "loaded"}
    assert len({cell.mbps for cell in MATRIX}) == 2
    assert any("+cloud" in cell.plan for cell in MATRIX)
    for cell in MATRIX:
        plan = results.plan_of(cell, USUAL)
        tests = sum(sum(each) for each in plan.test[1:])
        calibration = sum(map(len, plan.test[1:])) - tests
        assert tests == calibration >= (200 if cell.load == "idle" else 1000)
        assert len(plan.blocks[0]) >= 20
        assert all(len({*each}) == 2 for each in plan.test)
    assert results.minutes(MATRIX, USUAL) < 45


def test_births_are_idle_or_at_the_load(tmp_path: Path) -> None:
    idle: Schedule = results.plan_of(IDLE, USUAL)
    gaps = np.diff(idle.blocks[1]) - IDLE.unloaded_s(shipped(IDLE))
    assert gaps.min() > 0.039
    assert gaps.max() < 0.061
    loaded = results.plan_of(LOADED, USUAL)
    busiest_s = max(LOADED.stations_s(shipped(LOADED)).values())
    load = busiest_s / np.mean([np.diff(block).mean() for block in loaded.blocks[1:14]])
    assert load == pytest.approx(0.6, rel=0.1)
    assert len({block[0] for block in loaded.blocks}) == 14  # another seed each


def test_sentinels_are_compared_with_the_median_of_the_session() -> None:
    plays = pl.DataFrame({
        "play": [0, 1, 2, 3, 4], "block": [0, 1, 2, 1, 2],
        "spin_edge_s": [1.0, 1.3, 1.1, 1.06, 1.05], "spin_device_s": [1.0, 1.0, 1.0, 1.0, 1.0],
    })  # fmt: skip
    usual = medians([plays, plays])
    assert usual == {"edge": 1.06, "device": 1.0}
    assert accepted(plays, usual, USUAL) == [2, 3]  # of block 2 the first
    assert not is_slow({"edge": 9.0}, {}, USUAL)


def test_pinned_says_what_it_cannot_find(tmp_path: Path) -> None:
    from offload import PolicyError, simulate

    plan = results.plan_of(IDLE, USUAL)
    results.predict.write_measured(IDLE, plan, USUAL, tmp_path)
    wrong: Sequence[tuple[list[str], str]] = [
        (["policy.edge=999"], "mobilenetv2:int8 has no cut after 999 layers"),
        (['policy.variant="fp64"'], "has no variant fp64"),
    ]
    for settings, message in wrong:
        with pytest.raises(PolicyError, match=message):
            simulate(load(tmp_path / "scenario.toml", settings))


def _offload(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["testbed", "validate", *arguments])


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the command start fake beds; what is started is written down."""
    begun: list[str] = []
    cells = {cell.name: cell for cell in (*MATRIX, *SHORT)}

    def start(scenario: Any, choice: Any) -> FakeBed:
        assert scenario.policy == choice
        begun.append(scenario.file.name)
        cell = cells[scenario.file.name]
        return FakeBed(cell, shipped(cell), slower=lambda _: 1.2)

    monkeypatch.setattr("offload.cli.validate._start", start)
    return begun


def test_the_short_form_measures_judges_and_can_judge_again(tmp_path: Path, fake: list[str]) -> None:
    out = tmp_path / "out"
    done = _offload("--short", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "3 of 3 cells to measure" in done.stderr
    assert "aim" not in done.stdout  # a quick look claims nothing
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80  # its last line names a folder
    assert fake == [cell.name for cell in SHORT]
    written = {path.name for path in out.iterdir() if path.is_file() and path.suffix}
    assert written == {"cells.csv", "summary.json", "scatter.png", "scatter.pdf"}

    again = _offload("--short", "--out", str(out), "--json")
    assert fake == [cell.name for cell in SHORT]
    told = json.loads(again.stdout)
    assert told["summary"] == json.loads((out / "summary.json").read_text())
    assert told["faults"] == []

    (out / SHORT[0].name / "cell.json").unlink()  # as if it had been interrupted there
    assert "1 of 3 cells to measure" in _offload("--short", "--out", str(out)).stderr
    before = (out / "summary.json").read_text()
    report = _offload("--report", str(out), "--cells", "*loaded", "--json")
    assert (out / "summary.json").read_text() == before  # it tells of all
    assert [row["cell"] for row in json.loads(report.stdout)["cells"]] == [SHORT[2].name]
    assert len(fake) == 4


def test_a_machine_slower_than_its_profiles_is_insane_but_in_a_quick_look(tmp_path: Path) -> None:
    found, _ = check(tmp_path, (LOCAL, {"slower": lambda _: 40.0}))  # calibration sees it
    (fault,) = results.insane(found, RULES)
    assert fault.startswith(f"{LOCAL.name}: offline prediction is 0.0")
    assert results.insane(found, QUICK) == []


def test_what_is_lost_or_of_another_size_is_told_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, split, loaded = SHORT
    planted: dict[str, dict[str, Any]] = {
        split.name: {"hidden_s": 0.5},  # of which no calibration knows
        loaded.name: {"loses": lambda request: request.id % 3 == 0},
    }

    def start(scenario: Any, _: Any) -> FakeBed:
        (cell,) = (each for each in SHORT if each.name == scenario.file.name)
        return FakeBed(cell, shipped(cell), **planted.get(cell.name, {}))

    monkeypatch.setattr("offload.cli.validate._start", start)
    done = _offload("--short", "--out", str(tmp_path))
    assert done.exit_code == 1
    faults = done.stderr.splitlines()[-2:]
    assert faults[0].startswith(f"{split.name}: calibrated prediction is 0.0")
    assert faults[1].startswith(f"{loaded.name}: ")
    assert faults[1].endswith("were not answered")


def test_what_cannot_be_done_is_said_in_a_line(tmp_path: Path) -> None:
    assert _offload("--protocol").stdout == TEXT
    costs = tmp_path / "costs.json"
    costs.write_text("{}")
    for arguments, message in (
        (["--cells", "vgg*"], "--cells vgg*: no such cell; there are"),
        (["--report", str(tmp_path)], f"{tmp_path}: no cell has been measured there"),
        (["--report", str(tmp_path), "--costs", str(costs)], f"{costs} holds no measured costs"),
    ):
        done = _offload(*arguments)
        assert done.exit_code == 2
        assert message in done.stderr
        assert not done.stdout


def test_only_the_whole_matrix_by_the_full_protocol_claims_to_have_reached_its_aims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, part = check(tmp_path / "part", (IDLE, {}), rules=USUAL)
    monkeypatch.setattr(results, "MATRIX", (IDLE,))
    _, quick = check(tmp_path / "quick", (IDLE, {}))
    _, full = check(tmp_path / "full", (IDLE, {"hidden_s": 0.005}), rules=USUAL)
    assert part["aims"] == quick["aims"] == {}
    text = summary_text(full)
    assert "aim NOT reached: median |error| of mean <= 5 %" in text
    assert f"worst: {IDLE.name}:\n  uplink" in text


def test_figures_show_every_cell(tmp_path: Path) -> None:
    judged, _ = check(tmp_path, (IDLE, {}), (LOADED, {"slower": lambda _: 2.0}))
    figure = scatter(pl.DataFrame([each.row for each in judged]))
    above, below = figure.axes[0], figure.axes[3]
    points = [line for line in above.lines if line.get_marker() in {"o", "s"}]
    assert [float(line.get_xdata()[0]) for line in points] == [
        pytest.approx(1e3 * each.row["measured_mean_s"]) for each in judged
    ]
    offline = next(line for line in below.lines if line.get_marker() == "x")
    low, high = below.get_ylim()
    assert all(low <= y <= high for y in offline.get_ydata())


def test_errors_beyond_the_figure_lie_on_its_edge(tmp_path: Path) -> None:
    judged, _ = check(tmp_path, (IDLE, {"hidden_s": 0.5}), (LOCAL, {}))
    assert judged[0].row["calibrated_error_mean"] < -0.8
    below = scatter(pl.DataFrame([each.row for each in judged])).axes[3]
    low, high = below.get_ylim()
    shown = [line for line in below.lines if line.get_marker() in {"o", "s", "x"}]
    assert len(shown) == 3
    assert all(low <= y <= high for line in shown for y in line.get_ydata())
