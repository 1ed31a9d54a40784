"""Frames that need several networks: by hand, nothing lost, and the same frames for every policy."""

from collections import Counter, defaultdict
from math import fsum

import pytest

from offload.analysis.compare import compare
from offload.analysis.result import simulate
from offload.analysis.rows import LEGS
from offload.entities import Plan
from offload.policies.table import NAMED, choose
from offload.simulation.arrivals import FATE_NUMBERS
from offload.simulation.run import drive
from offload.simulation.world import World
from offload.streams import Streams
from tests.whole import expected_births, play

TABLES = """
[models.finder.variants.only]
accuracy = {{ value = 0.9, known = "assumed", source = "a law" }}
layers = [{{ name = "all", output = "1 kB" }}]
[models.finder.variants.only.costs]
core = {{ known = "assumed", source = "a law", seconds = ["10 ms"] {service} }}
quick = {{ known = "assumed", source = "a law", seconds = ["5 ms"] {service} }}
[models.namer.variants.only]
accuracy = {{ value = 0.8, known = "assumed", source = "a law" }}
layers = [{{ name = "half", output = "3 kB" }}, {{ name = "rest", output = "1 kB" }}]
[models.namer.variants.only.costs]
core = {{ known = "assumed", source = "a law", seconds = ["12 ms", "8 ms"] {service} }}
quick = {{ known = "assumed", source = "a law", seconds = ["2 ms", "2 ms"] {service} }}
[hardware.quick]
kind = "cpu"
memory = "1 GB"
idle_power = {{ value = "20 W", known = "assumed", source = "a law" }}
busy_power = {{ value = "90 W", known = "assumed", source = "a law" }}
[devices.car]
count = {count}
hardware = "core"
radio_power = "1 W"
{mobility}
[devices.car.tasks.frame]
every = "{every}"
deadline = "{deadline}"
late = "drop"
{stages}
[nodes.site]
kind = "edge"
hardware = "quick"
[nodes.region]
kind = "cloud"
hardware = "quick"
batch = {{ max = 3, wait = "2 ms" }}
[links.cell]
from = "*"
to = "site"
up = "48 Mbit/s"
down = "8 Mbit/s"
delay = "2 ms"
{cell}
[links.wire]
from = "site"
to = "region"
rate = "1 Gbit/s"
delay = "5 ms"
"""

DETECT = """
[devices.car.tasks.frame.stages.detect]
models = ["finder"]
input = "60 kB"
"""
TWO = f"""
{DETECT}
[devices.car.tasks.frame.stages.classify]
models = ["namer"]
after = ["detect"]
count = 2
input = "6 kB"
"""
MANY = f"""
{DETECT}
[devices.car.tasks.frame.stages.signs]
models = ["namer"]
after = ["detect"]
count = {{ mean = 1, max = 4 }}
input = {{ distribution = "log-normal", mean = "6 kB", cv = 0.7 }}
[devices.car.tasks.frame.stages.cars]
models = ["namer"]
after = ["detect"]
count = {{ scene = {{ groups = ["car"], within = "60 m" }}, max = 3 }}
scene = {{ groups = ["car"], within = "80 m", per_object = "500 B" }}
input = {{ distribution = "uniform", min = "2 kB", max = "10 kB" }}
[devices.car.tasks.frame.stages.fuse]
models = ["finder"]
after = ["signs", "cars"]
input = "5 kB"
"""


@pytest.fixture
def frames(load_text, tmp_path):
    """Return a function that loads a scenario of one car, or of cars that come and go."""

    def one(stages=TWO, deadline="1 s"):
        text = TABLES.format(
            count=1, every="10 s", deadline=deadline, stages=stages, mobility="", cell="", service=""
        )
        return load_text(text, duration=100)

    def many(drain=0.05):
        lines = ["time,id,x,y"]
        for car in range(8):
            for time in range(17):
                phase = (time + 2 * car) / 16 % 1
                lines.append(f"{time},{car},{400 * abs(2 * phase - 1) - 200},7")
        (tmp_path / "drive.csv").write_text("\n".join(lines) + "\n")
        text = TABLES.format(
            count=8, every="150 ms", deadline="200 ms", stages=MANY, service=', service = "exponential"',
            mobility='mobility = { trace = "drive.csv", loop = true }',
            cell='range = "120 m"\ngive_up = "100 ms"',
        )  # fmt: skip
        return load_text(text, duration=8, drain=drain)

    def leaving():
        lines = ["timestep_time;vehicle_id;vehicle_x;vehicle_y"]
        for now in range(20):
            cars = [car for car in range(14) if car <= now <= car + 4]
            lines += [f"{now};{car};{30 * (now - car) - 60};{car % 3}" for car in cars]
        (tmp_path / "pass.csv").write_text("\n".join(lines) + "\n")
        text = TABLES.format(
            count=14, every="150 ms", deadline="200 ms", stages=MANY,
            service=', service = "exponential"', mobility='mobility = { trace = "pass.csv" }', cell="",
        )  # fmt: skip
        return load_text(text, duration=16, drain=1)

    return {"one": one, "many": many, "leaving": leaving}


def families(outcomes):
    """Return each root with the rows of its stages, in the order in which they were asked about."""
    children = defaultdict(list)
    for each in sorted(outcomes, key=lambda each: (each.request.born_s, each.request.id)):
        if each.request.parent is not None:
            children[each.request.parent].append(each)
    return [(each, children[each.request.id]) for each in outcomes if each.request.parent is None]


def legs(outcome):
    """Return an outcome's legs in milliseconds that are not nothing."""
    told = {leg: 1e3 * getattr(outcome, leg) for leg in LEGS}
    return {leg: ms for leg, ms in told.items() if ms}


def test_two_stages_on_the_device_by_hand(frames):
    # 10 ms to detect, then two crops of 20 ms each, one after the other.
    found = families(play(frames["one"](), "local")[0].outcomes)
    assert len(found) == 10
    for root, (detect, first, second) in found:
        born_s = root.request.born_s
        ended_ms = [1e3 * (each.ended_s - born_s) for each in (detect, first, second, root)]
        assert ended_ms == pytest.approx([10, 30, 50, 50], rel=0, abs=1e-6)
        assert first.request.born_s == second.request.born_s == detect.ended_s
        assert [each.request.stage for each in (detect, first, second)] == [
            "detect", "classify", "classify",
        ]  # fmt: skip
        assert second.request.deadline_s == pytest.approx(0.99, rel=0, abs=1e-9)
        assert legs(root) == pytest.approx({"device_s": 50.0}, rel=0, abs=1e-6)
        assert legs(second) == pytest.approx({"device_s": 40.0}, rel=0, abs=1e-6)
        assert root.energy_j == pytest.approx(3 * 0.05, rel=0, abs=1e-9)
        assert (root.plan, root.cause, root.up_bytes) == (None, "", 0.0)


def test_two_stages_at_the_edge_by_hand(frames):
    # Up 10 ms and 2, computed 5, back 1 and 2. Two crops follow, of 1 ms each on air: the second arrives
    # at 24 ms, waits for the first until 27, takes 4 and is back at 34.
    for root, (detect, first, second) in families(play(frames["one"](), "edge")[0].outcomes):
        ended_ms = [1e3 * (o.ended_s - root.request.born_s) for o in (detect, first, second, root)]
        assert ended_ms == pytest.approx([20, 30, 34, 34], rel=0, abs=1e-6)
        assert legs(root) == pytest.approx(
            {"uplink_s": 12 + 4, "edge_s": 5 + 7, "downlink_s": 3 + 3}, rel=0, abs=1e-6
        )
        assert (root.up_bytes, root.down_bytes) == (72_000.0, 3000.0)
        assert root.energy_j == pytest.approx(0.012 + 0.003, rel=0, abs=1e-9)  # 1 W on air
        assert root.edge_j == pytest.approx(70 * 0.013, rel=0, abs=1e-9)


def test_a_fusion_waits_for_the_slower_branch(frames):
    # Behind the detection at 20 ms, 6 kB are back at 30 ms; 60 kB are on air from 21 ms, arrive at 33,
    # and are back at 40. Fusing 6 kB takes 1 + 2 up, 5 computed, 1 + 2 back: until 51 ms.
    crop = TWO.split("[devices.car.tasks.frame.stages.classify]")[1].replace("count = 2", "")
    stages = DETECT
    for name, text in (
        ("small", crop),
        ("large", crop.replace("6 kB", "60 kB")),
        ("fuse", crop.replace("namer", "finder").replace('"detect"', '"small", "large"')),
    ):
        stages += f"[devices.car.tasks.frame.stages.{name}]{text}"
    for root, children in families(play(frames["one"](stages), "edge")[0].outcomes):
        ended_ms = {o.request.stage: 1e3 * (o.ended_s - root.request.born_s) for o in (*children, root)}
        expected = {"detect": 20, "small": 30, "large": 40, "fuse": 51, None: 51}
        assert ended_ms == pytest.approx(expected, rel=0, abs=1e-6)
        assert legs(root) == pytest.approx(
            {"uplink_s": 12 + 13 + 3, "edge_s": 5 + 4 + 5, "downlink_s": 9}, rel=0, abs=1e-6
        )


def test_each_crop_is_decided_knowing_where_those_before_went(frames):
    # Here a crop takes 20 ms, at the edge 6.7 on air, 2 of delay, 4 computed and 3 back, behind what the
    # device has still to send: the first is quicker there, the second here, then three there.
    stages = TWO.replace("= 2", "= 6").replace('"6 kB"', '"40 kB"')
    for _, (_, *crops) in families(play(frames["one"](stages), "quickest", split=False)[0].outcomes):
        assert [crop.plan.uplinks is None for crop in crops] == [False, True, False, False, False, True]


class LastAway:
    """Detects here; of three crops the last goes to the edge, the others stay."""

    def __init__(self):
        self.crops = 0

    def decide(self, request, seen):
        """Count the crops."""
        self.crops = self.crops + 1 if request.stage == "classify" else 0
        variant = seen.facts.variants[0]
        here = Plan(variant, variant.last, variant.last)
        return Plan(variant, 0, variant.last, "site", None, ("cell",)) if self.crops == 3 else here


def test_a_frame_that_fails_keeps_what_is_under_way(frames):
    # The second crop would begin at 30 ms, which is late. The third arrives in time, at 24.5 ms after
    # 12.5 on air, and is back at 31.5 ms. Nothing is fused.
    fuse = DETECT.replace("detect", "fuse") + 'after = ["classify"]'
    stages = TWO.replace("= 2", "= 3").replace('"6 kB"', '"75 kB"') + fuse
    world = World(frames["one"](stages, deadline="25 ms").setting(0.0), Streams(3, 0))
    drive(world, LastAway(), choose({"name": "local"}))
    for root, children in families(world.outcomes):
        assert [(each.request.stage, each.cause) for each in children] == [
            ("detect", ""), ("classify", ""), ("classify", "late"), ("classify", ""),
        ]  # fmt: skip
        assert (root.cause, root.correct) == ("late", None)
        ended_ms = [1e3 * (each.ended_s - root.request.born_s) for each in (root, children[-1])]
        assert ended_ms == pytest.approx([30.0, 31.5], rel=0, abs=1e-6)
        assert root.energy_j == pytest.approx(3 * 0.03 + 0.0125 + 0.001, rel=0, abs=1e-9)
        assert root.up_bytes == 75_000.0
        assert legs(root) == pytest.approx({"device_s": 30.0}, rel=0, abs=1e-6)


def drawn(world):
    """Draw again how many crops each root has in each stage whose count is drawn, and their Fates."""
    counts = {}
    for number, source in enumerate(world.setting.sources):
        name = (source.device.name, source.facts.task, str(source.stream))
        chances = [world.streams.generator("fate", *name, p.facts.stage) for p in source.parts]
        track = source.device.place.track
        id_ = number
        births_s = [born_s for born_s, device, _ in expected_births(world) if device == name[0]]
        for born_s in births_s:
            mine = {}
            for part, chance in zip(source.parts, chances, strict=True):
                view = part.counts.view
                here = track.position(born_s)
                others = world.scenes[view].count(born_s, here, view.within_m) - 1 if view else 0
                n = part.counts.at(chance.random(), others)
                mine[part.facts.stage] = n
                chance.random(n * (FATE_NUMBERS + 1))
            counts[id_] = mine
            id_ += len(world.setting.sources) * (1 + sum(mine.values()))
    return counts


@pytest.mark.parametrize("how", ["many", "leaving"])
@pytest.mark.parametrize("name", NAMED)
def test_one_row_for_each_born_frame_and_each_request_of_its_stages(frames, name, how):
    world, asked = play(frames[how](), name)
    outcomes = world.outcomes
    ids = [each.request.id for each in outcomes]
    assert len(set(ids)) == len(ids)
    assert sorted(asked) == sorted(each.request.id for each in outcomes if each.plan is not None)
    expected = drawn(world)
    after = {part.facts.stage: part.after for part in world.setting.sources[0].parts}
    found = families(outcomes)
    assert {root.request.id for root, _ in found} == set(expected)
    born = sorted((r.request.born_s, r.request.device, r.request.task) for r, _ in found)
    assert born == expected_births(world)
    for each in outcomes:
        spent = [getattr(each, leg) for leg in LEGS]
        assert min(spent) >= 0
        assert fsum(spent) == pytest.approx(each.ended_s - each.request.born_s, rel=0, abs=1e-9)
        leaves_s = next(d.leaves_s for d in world.setting.devices if d.name == each.request.device)
        assert each.ended_s <= min(world.end_s, leaves_s)
        assert (each.cause == "left") == (each.ended_s == leaves_s)
    for root, children in found:
        counts = expected[root.request.id]
        by_stage = {stage: [c for c in children if c.request.stage == stage] for stage in after}
        ends = {}
        for stage, mine in by_stage.items():
            begun = max([ends[other] for other in after[stage]], default=root.request.born_s)
            assert {each.request.born_s for each in mine} <= {begun}
            assert len(mine) == (0 if begun == float("inf") else counts[stage])
            ended = [each.ended_s if not each.cause else float("inf") for each in mine]
            ends[stage] = max(ended, default=begun)
            if ends[stage] > root.ended_s:  # it failed before this stage was through
                ends[stage] = float("inf")
        failed = [(each.ended_s, each.cause) for each in children if each.cause]
        if failed:
            assert root.ended_s == min(failed)[0]
            assert root.cause in {cause for ended_s, cause in failed if ended_s == root.ended_s}
        else:
            assert root.cause == ""
            assert root.ended_s == max(ends.values())
            assert root.correct == all(each.correct for each in children)
        for key in ("up_bytes", "down_bytes", "energy_j", "edge_j", "cloud_j"):
            total = fsum(getattr(each, key) for each in children)
            assert getattr(root, key) == pytest.approx(total, rel=1e-9, abs=1e-15)
    causes = Counter(root.cause for root, _ in found)
    assert causes[""] > 20
    assert causes["left" if how == "leaving" else "unfinished"] > 0


def test_frames_are_the_same_under_opposite_policies(frames):
    scenario = frames["many"](drain=60.0)
    told = {}
    for name in ("local", "edge", "cloud", "random"):
        outcomes = play(scenario, name)[0].outcomes
        told[name] = {
            o.request.id: (o.request.parent, o.request.stage, o.request.input_bytes) for o in outcomes
        }
        told[name] |= {
            ("born", o.request.id): o.request.born_s for o in outcomes if o.request.parent is None
        }
    for name in ("edge", "cloud", "random"):
        both = told["local"].keys() & told[name].keys()
        assert len(both) > 1000
        assert {key: told["local"][key] for key in both} == {key: told[name][key] for key in both}
    rows = [told["local"][key] for key in told["local"] if isinstance(key, int)]
    assert len({input_bytes for _, stage, input_bytes in rows if stage == "cars"}) > 100
    crops = Counter(parent for parent, stage, _ in rows if stage == "signs")
    assert set(crops.values()) == {1, 2, 3, 4}


def test_a_policy_that_learns_hears_of_each_stage_and_each_frame_once(frames):
    class Hears:
        """Local, and all ears."""

        def __init__(self):
            self.local = choose({"name": "local"}).make()
            self.heard = []

        def decide(self, request, seen):
            return self.local.decide(request, seen)

        def learn(self, outcome):
            self.heard.append((outcome.request.id, clock.now))
            assert outcome.ended_s <= clock.now or outcome.cause == "unfinished"

    policy = Hears()
    world = World(frames["many"]().setting(0.0), Streams(3, 0), "reported", policy.learn)
    clock = world.clock
    drive(world, policy, choose({"name": "local"}))
    assert [number for number, _ in policy.heard] == [each.request.id for each in world.outcomes]
    times = [now for _, now in policy.heard]
    assert times == sorted(times)


def test_measures_and_comparisons_count_frames(frames):
    scenario = frames["many"]()
    result = simulate(scenario, "local")
    rows = result.rows()
    roots = rows.filter(rows["parent"].is_null())
    assert 0 < roots.height < rows.height
    assert roots["plan"].null_count() == roots.height
    assert rows.filter(rows["parent"].is_not_null())["plan"].null_count() == 0
    useful = (roots["on_time"] & roots["correct"].fill_null(value=False)).mean()
    assert result.measures()["useful"] == pytest.approx(useful)
    assert result.measures()["energy_j"] == pytest.approx(roots["energy_j"].mean())
    assert sum(d.marginal_j for d in result.devices) == pytest.approx(roots["energy_j"].sum())
    choices = [choose({"name": name}) for name in ("local", "quickest")]
    found = compare(scenario, choices, 2, second_opinion=False)
    born = sum(len(expected_births(World(scenario.setting(0.0), Streams(1, r)))) for r in (0, 1))
    assert {policy.requests for policy in found.policies} == {born}
    local, quickest = (policy.measures["useful"].mean for policy in found.policies)
    assert local < quickest
