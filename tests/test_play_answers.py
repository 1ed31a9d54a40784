"""The playground's bars: the planner's prices, leg by leg, whatever the sliders say."""

import pytest

from offload.analysis.result import simulate
from offload.analysis.statistics import interval
from offload.entities import Observation, Report, Uplink
from offload.networks import Profile
from offload.planning.columns import columns, tabulate
from offload.planning.division import listed
from offload.planning.price import price_at, unloaded
from offload.views.play.answers import LEGS, RIGHT, answer
from offload.views.play.settings import Settings
from offload.views.play.situation import situate, wait_s
from offload.world.radio.budget import budget
from offload.world.radio.presets import PRESETS
from tests import hand_made

SEVERAL = [
    Settings(),
    Settings(load=0.0),
    Settings(load=0.95, distance_m=50.0),
    Settings(distance_m=400.0, bandwidth_hz=100e6),
    Settings(radio="wifi-5ghz", sight=True, distance_m=10.0, bandwidth_hz=80e6, input_bytes=1e6),
    Settings(network="resnet50", device="raspberry-pi-4", variant="fp32", edge="x86-core"),
    Settings(network="fashion-cnn", input_bytes=1e3),
    Settings(network="fashion-cnn", variant="exits", edge="x86-core", device="x86-core"),
    Settings(network="resnet18", edge="t4"),
]


@pytest.mark.parametrize("settings", SEVERAL, ids=repr)
def test_bars_are_the_prices_of_a_queue_met_on_arrival(settings):
    found, told = situate(settings), answer(settings)
    facts, cell = found.facts, found.facts.cells["cell"]
    assert (found.serving, facts.nodes["edge"].servers) == ("cell", 1)
    plans = listed(facts, "cell").plans
    assert [bar.cut for bar in told.bars] == [plan.device_cut for plan in plans]
    assert [bar.cut for bar in told.bars] == list(range(facts.variants[0].last + 1))
    uplinks = {"cell": Uplink("cell", True, cell.up_bps, cell.down_bps, 0.0)}
    for bar, plan in zip(told.bars, plans, strict=True):
        legs = dict(zip(LEGS, bar.legs_s, strict=True))
        arrives_s = legs["device"] + legs["uplink"]
        reports = {"edge": Report(0.0, arrives_s + found.wait_s, {}, {})}
        seen = Observation(0.0, 0.0, "cell", uplinks, reports, facts)
        prices = price_at(seen, tabulate(facts, [plan]))
        assert bar.latency_s == pytest.approx(prices.latency_s[0], rel=1e-12)
        assert bar.energy_j == pytest.approx(prices.energy_j[0], rel=1e-12)
        assert sum(bar.legs_s) == pytest.approx(bar.latency_s, rel=1e-12)
        assert min(bar.legs_s) >= 0.0


@pytest.mark.parametrize("settings", SEVERAL, ids=repr)
def test_the_best_cut_is_the_planners_choice(settings):
    found, told = situate(settings), answer(settings)
    prices = unloaded(found.facts, "cell")  # of the shortlist that policies price
    assert prices.plans == columns(found.facts, "cell").plans
    waits_s = found.wait_s * prices.uses["edge"]
    assert told.bars[told.best].latency_s == pytest.approx((prices.latency_s + waits_s).min())
    assert told.bars[told.frugal].energy_j == pytest.approx(prices.energy_j.min())
    assert told.bars[told.best].place in told.says


def test_the_cell_has_the_rates_of_the_radio_at_this_distance():
    near, far = (situate(Settings(distance_m=each)) for each in (50.0, 200.0))
    for found in (near, far):
        expected = budget(
            PRESETS["nr-umi-3.5ghz"], found.settings.distance_m, sight=False, bandwidth_hz=20e6
        )
        cell = found.facts.cells["cell"]
        assert (cell.up_bps, cell.down_bps) == (expected.up_bps, expected.down_bps)
    assert near.link.up_bps > far.link.up_bps


def test_out_of_range_the_device_is_alone():
    settings = Settings(radio="wifi-5ghz", distance_m=1000.0)
    found, told = situate(settings), answer(settings)
    assert found.serving is None
    (bar,) = told.bars
    assert bar.place == "all on the device"
    assert bar.legs_s[1:] == (0.0, 0.0, 0.0, 0.0)
    assert "out of range" in told.why
    assert told.rate.startswith("Out of range at 1000 m")


def test_guesses_are_told_how_much_slower_they_are_and_why():
    told = answer(Settings())
    best = told.bars[told.best]
    assert best.right
    assert "nothing is quicker" in best.told
    for bar in told.bars:
        assert bar.right == (bar.latency_s <= best.latency_s * (1 + RIGHT))
        if bar.latency_s > best.latency_s:
            share = bar.latency_s / best.latency_s - 1
            assert f"({share:.0%}) more than the best" in bar.told


def test_the_deadline_decides_whether_the_best_is_in_time():
    assert "before the deadline" in answer(Settings(deadline_s=2.0)).says
    assert "after the deadline" in answer(Settings(deadline_s=0.002)).says


def test_figures_say_how_they_are_known():
    told = {each.what: each for each in answer(Settings()).sources}
    assert told["seconds on cortex-a53 (device)"].known == "rescaled"
    assert told["seconds on cortex-a53 (device)"].error
    assert told["seconds on x86-core (edge)"].known == "measured"
    assert told["watts of cortex-a53, busy"].known == "assumed"
    assert all(each.source for each in told.values())


def profile(**more) -> Profile:
    return hand_made.profile(hand_made.variant([3, 2, 1]), [0.01, 0.02], **more)


def test_the_wait_is_that_of_theory_for_services_of_any_spread():
    alike, uniform = profile(), profile(spread=(0.5, 1.5))
    mean_s = alike.seconds(0, alike.variant.last)
    assert wait_s(alike, 0.5) == pytest.approx(mean_s / 2)  # M/D/1
    assert wait_s(uniform, 0.5) == pytest.approx(mean_s / 2 * (1 + 1 / 12))
    assert wait_s(profile(service="exponential"), 0.8) == pytest.approx(4 * mean_s)  # M/M/1
    assert wait_s(profile(service="log-normal", cv=2.0), 0.5) == pytest.approx(2.5 * mean_s)
    assert wait_s(alike, 0.0) == 0.0


def test_the_wait_is_what_requests_find_in_the_simulation():
    # Nobody hinders anybody on the way to the edge: the frames are small and the cell is wide.
    load, devices = 0.6, 40
    wide = Settings(distance_m=10.0, sight=True, bandwidth_hz=400e6, input_bytes=1e3, load=load)
    facts = situate(wide).facts
    edge = facts.profiles["edge"][facts.variants[0]]
    serves_s = edge.seconds(0, edge.variant.last)
    births = {"devices": devices, "every_s": devices * serves_s / load, "report_every_s": 5.0}
    found = situate(wide.model_copy(update=births))
    warm_up_s = float(found.scenario.file.warm_up)
    waits = []
    for replication in range(10):
        rows = simulate(found.scenario, "edge", replication=replication).rows()
        waits.append(rows.filter(rows["born_s"] >= warm_up_s)["edge_s"].mean() - serves_s)
    held = interval(waits, 0.999)
    assert held is not None
    assert held.low <= found.wait_s <= held.high
    assert held.high - held.low < found.wait_s  # it says something
