"""Results explained: the cause that was planted is named, in words and in figures; what is refused."""

import json
import shutil
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace as Namespace

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from offload.analysis.compare import compare
from offload.analysis.explaining.explain import Explanation, Report, explain
from offload.analysis.explaining.legs import FAILED, HANDOVER, RETRY, WAITING, WORK, Cause, Kind
from offload.analysis.explaining.mistakes import (
    HOPELESS,
    MISTAKES,
    OVERTAKEN,
    PREFERENCE,
    STALE,
    Witness,
)
from offload.analysis.explaining.study import path
from offload.analysis.result import simulate_in_chunks
from offload.analysis.statistics import Interval
from offload.cli import app
from offload.policies import table
from offload.policies.table import choose
from offload.scenario.load import load
from offload.streams import Streams
from offload.views.explain import tables
from offload.views.explain_words import effects_verdict, verdict, worst_text
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"
COSTS = "models.net.variants.fp32.costs"
# Twenty cars that ask for 100 networks a second; 50 ms at home, always.
CARS = [f"{COSTS}.x86-core.service=", "devices.car.count=20", 'duration="6 s"']


def kept(out: Path, *settings: str, policy: str = "edge", replications: int = 2, **options) -> Report:
    """Compare one policy on the small scenario with these settings, and explain what it left."""
    scenario = load(SMALL, [*CARS, *settings])
    chosen = choose({"name": policy}) if ":" not in policy else choose({"name": policy, "label": "it"})
    compare(scenario, [chosen], replications, out=out, second_opinion=False)
    return explain(out, **options)


def only(found: Report) -> Explanation:
    (policy,) = found.policies
    for shares in (policy.causes, policy.mistakes or {}, *policy.tasks.values()):
        if shares:
            assert sum(each.mean for each in shares.values()) == pytest.approx(1.0)
    return policy


def first(policy: Explanation) -> tuple[Cause, float]:
    cause, share = next(iter(policy.causes.items()))
    return cause, share.mean


# The causes planted


def test_an_edge_with_too_few_servers(tmp_path: Path) -> None:
    """100 networks a second of 25 ms each need more than two servers; the cell is quick."""
    busy = [f'{COSTS}.t4.seconds=["10 ms", "15 ms"]', 'links.cell.up="5 Gbit/s"']
    policy = only(kept(tmp_path / "one", *busy))
    cause, share = first(policy)
    assert cause == Cause("edge", "cabinet", WAITING)
    assert share > 0.99
    assert policy.missed.mean > 0.5
    told = verdict(policy)
    assert "% is waiting for the servers of cabinet" in told
    assert told.endswith("Look at nodes.cabinet.servers.")
    # Following the advice helps.
    more = only(kept(tmp_path / "more", *busy, "nodes.cabinet.servers=4"))
    assert more.missed.mean < 0.05


def test_a_slow_shared_cell(tmp_path: Path) -> None:
    """60 kB take 24 ms alone at 20 Mbit/s; a hundred of them a second are more than it can carry."""
    policy = only(kept(tmp_path / "slow"))
    cause, share = first(policy)
    assert cause == Cause("uplink", "cell", WAITING)
    assert share > 0.9
    told = verdict(policy)
    assert "% is waiting for others on the uplink of cell" in told
    assert "Look at links.cell.up." in told
    # Of a cell that is too slow for one alone, the sending itself is to blame.
    alone = only(kept(tmp_path / "alone", "devices.car.count=1", 'links.cell.up="4 Mbit/s"'))
    assert first(alone)[0] == Cause("uplink", "cell", WORK)
    assert alone.mistakes[PREFERENCE].mean > 0.9  # 50 ms at home would have done


def test_stale_reports_that_herd(tmp_path: Path) -> None:
    """By reports of 5 s ago the edge is empty, so all go there; the device would have been on time."""
    herd = [
        f'{COSTS}.t4.seconds=["10 ms", "15 ms"]', 'links.cell.up="5 Gbit/s"', 'duration="12 s"',
        'nodes.cabinet.reports.every="5 s"',
    ]  # fmt: skip
    policy = only(kept(tmp_path, *herd, policy="quickest"))
    assert policy.missed.mean > 0.4
    assert policy.mistakes[STALE].mean > 0.9
    assert policy.fresh.mean < 0.1 * policy.missed.mean
    assert first(policy)[0] == Cause("edge", "cabinet", WAITING)
    told = verdict(policy)
    assert "could have been avoided by the same policy, had it known the present state" in told
    assert f"With reports of no age, {policy.fresh.mean:.1%} would be late or unanswered" in told
    assert "Look at reports.every of the nodes" in told


def test_a_device_whose_only_variant_is_too_slow(tmp_path: Path) -> None:
    slow = [f'{COSTS}.x86-core.seconds=["60 ms", "90 ms"]', 'devices.car.tasks.objects.every="1 s"']
    policy = only(kept(tmp_path, *slow, "nodes=", "links=", policy="local"))
    assert first(policy) == (Cause("device", "car", WORK), pytest.approx(1.0))
    assert policy.mistakes[HOPELESS].mean == policy.never == policy.missed.mean == 1.0
    assert "For 100% no plan is that fast even in an empty world" in verdict(policy)
    assert "computing on car itself, too slow even alone" in verdict(policy)


def test_a_node_that_fails(tmp_path: Path) -> None:
    down = ['links.cell.up="5 Gbit/s"', 'faults.power={ of = ["cabinet"], windows = [["2 s", "4 s"]] }']
    policy = only(kept(tmp_path / "down", *down))
    assert first(policy)[0] == Cause("edge", "cabinet", "node-down")
    assert first(policy)[1] > 0.95
    assert policy.unanswered == pytest.approx(0.4, abs=0.05)  # of births from 1 to 6 s
    assert "% is cabinet being down" in verdict(policy)
    assert policy.mistakes[PREFERENCE].mean > 0.9
    # Tried again at home too late, it is the first attempt that is to blame.
    late = ["devices.car.tasks.objects.retries=1", 'devices.car.tasks.objects.retry_after="70 ms"']
    again = only(kept(tmp_path / "again", *down, *late))
    assert first(again)[0] == Cause(RETRY, "cabinet", FAILED)


# Folders, options and output


@pytest.fixture(scope="module")
def herd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return results of three policies; one decides at random, one never errs."""
    out = tmp_path_factory.mktemp("herd")
    scenario = load(SMALL, [*CARS, "devices.car.count=10", 'duration="4 s"'])
    names = ("random", "quickest", "local")
    compare(scenario, [choose({"name": name}) for name in names], 2, out=out, second_opinion=False)
    return out


def call(*args: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["explain", *map(str, args)])
    return done.exit_code, done.stdout, done.stderr


def test_knowing_more_does_not_help_who_draws_at_random(herd: Path) -> None:
    found = explain(herd, ["random"])
    assert only(found).mistakes[STALE].mean == 0.0
    assert only(found).fresh is None
    assert only(found).mistakes[PREFERENCE].mean > 0.5


def test_replays_are_the_same_rows_and_any_other_is_an_error(herd: Path, tmp_path: Path) -> None:
    file = herd / "random" / "0" / "requests.parquet"
    told, frame = pl.read_parquet_metadata(file), pl.read_parquet(file)
    other = tmp_path / "requests.parquet"
    frame.with_columns(pl.col("ended_s") + 1e-9).write_parquet(other, metadata=told)
    code, out, err = call(other)
    assert (code, out) == (2, "")
    assert err.endswith("this version or machine makes other rows of it; give --no-replay\n")
    code, out, _ = call(other, "--no-replay")
    assert code == 0
    assert "knowing more" not in out


def test_without_replay_the_blame_is_alike_and_nothing_is_said_of_mistakes(herd: Path) -> None:
    quick, slow = explain(herd, replay=False), explain(herd)
    assert [each.label for each in quick.policies] == ["local", "random", "quickest"]
    for a, b in zip(quick.policies, slow.policies, strict=True):
        assert (a.missed, a.late, a.unanswered, a.wrong) == (b.missed, b.late, b.unanswered, b.wrong)
        assert (a.mistakes, a.judged) == (None, 0)
        assert b.judged == round(b.requests * (b.late + b.unanswered))
        assert {cause[:2] for cause in a.causes} <= {cause[:2] for cause in b.causes}
    assert explain(herd, replications=1).policies[0].replications == 1
    assert explain(herd, jobs=2) == slow
    row = pl.read_parquet(herd / "random" / "0" / "requests.parquet").filter(pl.col("born_s") >= 1.0)
    one = only(explain(herd / "random" / "0" / "requests.parquet"))
    assert one.missed.mean == pytest.approx(1.0 - row["on_time"].mean())


def test_what_is_printed(herd: Path) -> None:
    code, out, err = call(herd, "--worst", "2", "--figure", "--jobs", "1")
    assert code == 0, err
    text = " ".join(out.split())
    assert "local: every request was answered in time" in text
    assert text.startswith("local: ")
    assert "what knowing more would have done" in text
    assert text.count("random, replication ") == 2
    assert "asked with 100 ms left, by the truth: " in text
    assert "explain.png and explain.pdf are in" in text
    assert (herd / "explain.png").stat().st_size > 10_000
    assert (
        json.loads(call(herd, "--policy", "local", "--json")[1])["policies"][0]["missed"]["mean"] == 0.0
    )


def test_json_says_the_same(herd: Path) -> None:
    told = json.loads(call(herd, "--json", "--no-replay")[1])
    random = told["policies"][1]
    assert (random["label"], random["mistakes"], told["replayed"]) == ("random", None, False)
    assert sum(each["share"] for each in random["causes"]) == pytest.approx(1.0)
    assert set(random["causes"][0]) == {"leg", "place", "kind", "low", "share", "high"}
    assert len(random["worst"]) == 5
    legs = random["worst"][0]["legs"]
    assert sum(leg["took_s"] for leg in legs) == pytest.approx(random["worst"][0]["stayed_s"])


class Learner:
    """Goes to the edge until it hears of a late answer, and then stays at home for good."""

    def __init__(self) -> None:
        self.asked: set[int] = set()
        self.home = False

    def decide(self, request, seen):
        self.asked.add(request.id)
        return choose({"name": "local" if self.home else "edge"}).make().decide(request, seen)

    def learn(self, outcome) -> None:
        assert outcome.request.id in self.asked
        late = outcome.ended_s - outcome.request.born_s > outcome.request.deadline_s
        self.home = self.home or late or bool(outcome.cause)


def test_a_policy_that_learns_is_asked_and_told_again(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "learner.py").write_text(Path(__file__).read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    policy = only(kept(tmp_path / "out", 'warm_up="0 s"', policy="learner:Learner", replications=1))
    assert 0.0 < policy.missed.mean < 0.5
    assert (
        policy.mistakes[STALE].mean == 0.0
    )  # what it does depends on what it heard, not on what it sees


def test_other_instances_hear_what_the_policy_hears(monkeypatch) -> None:
    scenario = load(SMALL, [*CARS, 'warm_up="0 s"'])
    monkeypatch.setitem(table.NAMED, "learner", f"{__name__}:Learner")
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or Namespace(Learner=Learner))
    choice = choose({"name": "learner"})
    witness = Witness(choice, Streams(3, 0), frozenset(), frozenset())
    simulate_in_chunks(scenario, choice, 3, 0, lambda _: None, witness)
    assert [other.home for other in witness.others] == [True, True]


def test_frames_are_blamed_along_their_critical_path() -> None:
    base = {"cause": "", "born_s": 1.0, "ended_s": 4.0}
    root = base | {"request": 0}
    stages = [
        base | {"request": 1, "ended_s": 2.0}, base | {"request": 2, "born_s": 2.0, "ended_s": 3.0},
        base | {"request": 3, "born_s": 2.0},
    ]  # fmt: skip
    assert [row["request"] for row in path(root, stages)] == [1, 3]
    failed = root | {"cause": "late"}
    stages[1] |= {"cause": "late", "ended_s": 4.0}
    assert [row["request"] for row in path(failed, stages)] == [1, 2]
    assert path(root, []) == [root]


def test_of_frames_too_it_is_told_what_no_plan_can_do(tmp_path: Path) -> None:
    settings = ['duration="1 s"', 'warm_up="0 s"', 'devices.headset.tasks.frame.deadline="4 ms"']
    scenario = load(ROOT / "scenarios" / "ar-headset.toml", settings)
    compare(scenario, [choose({"name": "quickest"})], 1, out=tmp_path, second_opinion=False)
    policy = only(explain(tmp_path, replay=False))
    assert policy.missed.mean > 0.5
    assert policy.never == 1.0


def test_a_scenario_of_frames_and_one_with_exits_and_faults(tmp_path: Path) -> None:
    for name, policy, until in (("robotaxi", "thrifty", 5), ("blackout", "on-time", 11)):
        scenario = load(ROOT / "scenarios" / f"{name}.toml", [f'duration="{until} s"', 'warm_up="1 s"'])
        out = tmp_path / name
        compare(scenario, [choose({"name": policy})], 1, out=out, second_opinion=False)
        assert only(explain(out)).missed.mean > 0.02


# Sweeps


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("swept")
    chosen = [choose({"name": "edge"})]
    for servers in (1, 3):
        for up in ("16 Mbit/s", "400 Mbit/s"):
            scenario = load(SMALL, [
                *CARS[:1], "devices.car.count=10", 'duration="3 s"', f"nodes.cabinet.servers={servers}",
                f'links.cell.up="{up}"', 'models.net.variants.fp32.costs.t4.seconds=["3 ms", "5 ms"]',
            ])  # fmt: skip
            point = out / "points" / f"{servers}-{up[:3]}"
            compare(scenario, chosen, 2, out=point, second_opinion=False)
    return out


def test_a_sweep_tells_which_key_moves_the_result(swept: Path) -> None:
    found = explain(swept, measure="on_time")
    assert (found.points, found.replayed, found.replications) == (4, False, 2)
    (edge,) = found.effects
    assert (edge.label, edge.method, edge.points) == ("edge", "main effect", 4)
    assert edge.effects[0].keys == ("links.cell.up",)
    assert edge.effects[0].best == '"400 Mbit/s"'
    assert edge.effects[0].effect.low > 0.3
    assert abs(edge.effects[1].effect.mean) < edge.effects[0].effect.low
    assert "edge: links.cell.up moves on_time most: +" in effects_verdict(edge)
    still = replace(edge, effects=edge.effects[1:])
    assert effects_verdict(still) == "edge: no key that varies moves on_time"
    assert found.policies[0].mistakes is None
    assert first(found.policies[0])[0] == Cause("uplink", "cell", WAITING)
    assert len(tables(found)) == 3
    code, out, _ = call(swept, "--measure", "latency_mean_s", "--worst", 0)
    assert code == 0
    assert "edge: latency_mean_s is not defined at every point" in " ".join(out.split())


def test_options_of_a_policy_are_keys_of_a_sweep(tmp_path: Path) -> None:
    scenario = load(SMALL, [*CARS[:1], 'duration="3 s"', "devices.car.count=10"])
    for margin in ("1 ms", "60 ms"):
        chosen = [choose({"name": "thrifty", "margin": margin})]
        compare(scenario, chosen, 2, out=tmp_path / margin[:2], second_opinion=False)
    found = explain(tmp_path)
    assert (found.points, found.policies[0].mistakes) == (2, None)
    assert [each.keys for each in found.effects[0].effects] == [("option.margin",)]


def test_the_warm_up_that_a_comparison_chose_counts(tmp_path: Path) -> None:
    scenario = load(SMALL, [*CARS[:1], 'warm_up="auto"', 'duration="4 s"', "devices.car.count=10"])
    compare(scenario, [choose({"name": "edge"})], 1, out=tmp_path, second_opinion=False)
    born = pl.read_parquet(tmp_path / "edge" / "0" / "requests.parquet")["born_s"]
    for warm_up_s in (0.0, 2.0):
        (tmp_path / "summary.json").write_text(json.dumps({"warm_up_s": warm_up_s}))
        found = explain(tmp_path, replay=False)
        assert found.policies[0].requests == (born >= warm_up_s).sum()


def test_points_with_more_replications_weigh_no_more(tmp_path: Path) -> None:
    """Of one point two replications, of the other four: that one is late throughout, this one never."""
    for up, replications in (("1 Mbit/s", 2), ("900 Mbit/s", 4)):
        settings = [*CARS[:1], "devices.car.count=1", 'duration="5 s"', f'links.cell.up="{up}"']
        out = tmp_path / up[:3].strip()
        compare(
            load(SMALL, settings), [choose({"name": "edge"})], replications, out=out,
            second_opinion=False,
        )  # fmt: skip
    policy = only(explain(tmp_path, measure="on_time"))
    assert (policy.replications, policy.missed.mean) == (2, pytest.approx(0.5, abs=0.03))
    assert {each.point for each in policy.worst} == {"1 M"}
    assert "edge, 1 M, replication 0, request " in worst_text("edge", policy.worst[0], of_sweep=True)


def test_each_point_has_a_warm_up_of_its_own(tmp_path: Path) -> None:
    scenario = load(SMALL, [*CARS[:1], 'warm_up="auto"', 'duration="4 s"', "devices.car.count=10"])
    compare(scenario, [choose({"name": "edge"})], 1, out=tmp_path / "one", second_opinion=False)
    file = tmp_path / "one" / "edge" / "0" / "requests.parquet"
    (tmp_path / "one" / "summary.json").write_text(json.dumps({"warm_up_s": 2.0}))
    born = pl.read_parquet(file)["born_s"]
    for where in (tmp_path, file):
        assert explain(where, replay=False).policies[0].requests == (born >= 2.0).sum()


# What is said


def test_causes_at_many_places_are_one_kind(herd: Path) -> None:
    """Nine cells of a ninth each are not nine small causes."""
    policy = only(explain(herd, ["random"], replay=False))
    share = Interval(0.1, 0.1, 0.1)
    causes = {Cause("uplink", f"cell-{number}", WAITING): share for number in range(9)}
    kind = Kind("uplink", WAITING)
    told = replace(policy, causes=causes, kinds={kind: Interval(0.9, 0.9, 0.9)})
    said = verdict(told, {"cell-0"})
    assert "90% is waiting for others on the uplink of cell-0, cell-1 and 7 more" in said
    assert said.endswith("Look at links.cell-0.bandwidth and links.cell-1.up.")
    assert sum(each.mean for each in policy.kinds.values()) == pytest.approx(1.0)


def test_a_node_that_is_down_does_not_report_more_often(herd: Path) -> None:
    policy, share = only(explain(herd, ["random"], replay=False)), Interval(1.0, 1.0, 1.0)
    policy = replace(policy, fresh=Interval(0.0, 0.0, 0.0))
    for leg, kind, reports in ((RETRY, FAILED, False), ("edge", WAITING, True)):
        causes, kinds = {Cause(leg, "cabinet", kind): share}, {Kind(leg, kind): share}
        said = verdict(replace(policy, causes=causes, kinds=kinds))
        assert ("Look at reports.every of the nodes" in said) is reports


def test_no_key_is_named_for_a_place_that_has_none(herd: Path) -> None:
    policy, share = only(explain(herd, ["random"], replay=False)), Interval(1.0, 1.0, 1.0)

    def keys(leg: str, place: str) -> str:
        causes, kinds = {Cause(leg, place, WAITING): share}, {Kind(leg, WAITING): share}
        return verdict(replace(policy, causes=causes, kinds=kinds)).rpartition(". ")[2]

    assert keys("wan", "street, backhaul") == "Look at links.street and links.backhaul."
    assert "Look at" not in keys("wan", HANDOVER)
    assert "Look at" not in keys("decide", "car")


def test_keys_of_the_verdict_are_keys_of_the_scenario(tmp_path: Path) -> None:
    """A radio decides the rate of this cell: it has no key "up"."""
    scenario = load(ROOT / "scenarios" / "highway-platoon.toml", ['duration="1 s"', 'warm_up="0 s"'])
    compare(scenario, [choose({"name": "edge"})], 1, out=tmp_path, second_opinion=False)
    found = explain(tmp_path, replay=False)
    said = verdict(only(found), found.radio)
    assert "links.cell-west.bandwidth" in said
    assert ".up" not in said


def test_tables_fit_a_terminal(herd: Path) -> None:
    for each in tables(explain(herd)):
        console = Console(width=80, record=True, file=StringIO())
        console.print(each)
        assert "…" not in console.export_text()


# What is refused


def test_bad_input(herd: Path, tmp_path: Path) -> None:
    def refused(*args: object) -> str:
        code, out, err = call(*args)
        assert (code, out) == (2, "")
        assert "Traceback" not in err
        return err

    assert refused(tmp_path / "none").endswith("no such folder; give one that run, compare or sweep has"
                                               " written\n")  # fmt: skip
    assert "no requests.parquet lies in it" in refused(tmp_path)
    assert refused(herd, "--policy", "locla") == (
        "--policy locla: not among the results; there is local, quickest, random\n"
    )
    assert "--measure nothing: must be one of useful" in refused(herd, "--measure", "nothing")

    file = herd / "local" / "0" / "requests.parquet"
    other = tmp_path / "a" / "0" / "requests.parquet"
    other.parent.mkdir(parents=True)
    other.write_bytes(file.read_bytes()[:-200])
    again = tmp_path / "b" / "0" / "requests.parquet"
    again.parent.mkdir(parents=True)
    frame, told = pl.read_parquet(file), pl.read_parquet_metadata(file)
    frame.write_parquet(again, metadata={**told, "format": "99"})
    err = refused(tmp_path)  # both faults
    assert f"{other}: no whole file of rows" in err
    assert f"{again}: rows of format 99; this version reads 1; use the one that wrote them" in err
    shutil.rmtree(other.parents[1])

    frame.write_parquet(again, metadata={**told, "scenario": "another"})
    shutil.copytree(file.parent, tmp_path / "a" / "0")
    assert "holds results of another, small; give the folder of one of them" in refused(tmp_path)
    shutil.rmtree(tmp_path / "a")
    frame.write_parquet(again, metadata={**told, "resolved": "{"})
    assert "its metadata cannot be read" in refused(tmp_path)
    frame.write_parquet(again, metadata={**told, "resolved": "[]"})
    assert "its metadata hold no scenario and policy" in refused(tmp_path)
    frame.write_parquet(again)
    assert "its metadata lacks format, resolved, scenario_file" in refused(tmp_path)
    content = bytearray(file.read_bytes())
    content[100:2000] = bytes(1900)
    again.write_bytes(content)
    assert "its rows cannot be read" in refused(tmp_path, "--jobs", 1)
    frame.drop("plan").write_parquet(again, metadata=told)
    assert "its columns are not those of rows" in refused(tmp_path, "--jobs", 1)
    gone = json.loads(told["resolved"]) | {"profiles": "profiles"}
    frame.write_parquet(again, metadata={**told, "resolved": json.dumps(gone)})
    assert "no folder" in (err := refused(tmp_path, "--jobs", 2))
    assert "call this in the folder from which that path leads to it" in err


def test_rows_that_another_scenario_has_left(herd: Path, tmp_path: Path) -> None:
    shutil.copytree(herd / "local", tmp_path / "local")
    scenario = load(SMALL, [*CARS, "devices.car.count=9", 'duration="4 s"'])
    compare(scenario, [choose({"name": "local"})], 1, out=tmp_path, second_opinion=False)
    code, out, err = call(tmp_path)
    assert (code, out) == (2, "")
    assert err == (
        f"{tmp_path}: local/1 was left by another scenario, or other options, than what was written"
        " last; delete it, or compare again with an --out of its own\n"
    )


def test_who_interrupts_it_is_promised_nothing(herd: Path, monkeypatch) -> None:
    def interrupt(*_args: object, **_options: object) -> Report:
        raise KeyboardInterrupt

    monkeypatch.setattr("offload.analysis.explaining.explain.explain", interrupt)
    assert call(herd)[2] == (
        "interrupted; the results are as they were, and the same command begins again\n"
    )


def test_a_sweep_without_points_and_a_second_opinion(herd: Path, tmp_path: Path) -> None:
    (tmp_path / "points").mkdir()
    (tmp_path / "sweep.json").write_text("{}")
    assert "no requests.parquet lies in it" in call(tmp_path)[2]
    shutil.copytree(herd / "local", tmp_path / "local")
    shutil.copytree(herd / "quickest", tmp_path / "second-opinion" / "quickest")
    assert [each.label for each in explain(tmp_path, replay=False).policies] == ["local"]


def test_the_verdict_of_a_run_without_requests(herd: Path) -> None:
    policy = replace(only(explain(herd, ["local"], replay=False)), missed=None)
    assert verdict(policy).startswith("local: every request")
    assert OVERTAKEN in MISTAKES
