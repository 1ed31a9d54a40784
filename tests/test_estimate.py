"""Estimates from old reports: what they follow, what they ignore, and that they help."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

import offload
from offload.analysis.statistics import interval
from offload.entities import Plan, Report, Uplink
from offload.planning.estimate import ChangePoint, Estimator, Ewma, estimator
from offload.planning.price import price
from offload.policies.estimating import estimating
from offload.policies.protocol import Joint, Learns, Starts
from offload.policies.quickest import Quickest
from offload.policies.table import PolicyTableError, choose
from tests import hand_made

SEEDS = range(40)
NET = hand_made.variant([4000, 2000, 500, 5], accuracy=0.9)
FACTS = hand_made.facts(
    {NET: {"device": [0.02] * 3, "edge": [0.002] * 3, "cloud": [0.001] * 3}},
    nodes=[hand_made.node("edge", "edge")],
    cells=[hand_made.cell()],
    input_bytes=4000.0,
)
EDGE = Plan(NET, 0, 3, "edge", None, ("cell",))


def noise(seed: int, samples: int, level: float = 10.0, deviation: float = 1.0) -> np.ndarray:
    return level + deviation * np.random.default_rng(seed).standard_normal(samples)


# The averages, on traces


@pytest.mark.parametrize("make", [Ewma, ChangePoint])
def test_constant_is_found_at_once_and_kept(make):
    mean = make()
    for _ in range(100):
        mean.update(7.0)
        assert mean.level == pytest.approx(7.0, abs=1e-12)
    assert mean.variance == pytest.approx(0.0, abs=1e-12)


def test_first_samples_have_their_plain_mean():
    mean = Ewma()
    for sample in (1.0, 2.0, 6.0):
        mean.update(sample)
    assert mean.level == pytest.approx(3.0)
    assert mean.variance == pytest.approx(np.var([1.0, 2.0, 6.0]))


def test_deviation_is_that_of_the_noise():
    found = []
    for seed in SEEDS:
        mean = Ewma()
        for sample in noise(seed, 200, deviation=3.0):
            mean.update(sample)
        found.append(mean.variance)
    # The level follows the noise, so that samples lie off it by a little less: (1 - a/2) of 9.
    got = interval(found, 0.999)
    assert got.low < 9.0 * (1 - 0.125 / 2) < got.high


@pytest.mark.parametrize("jump", [-8.0, 4.0, 8.0])
def test_after_a_step_the_average_lags_and_the_change_point_follows(jump):
    """Within 4 samples of a step of 4 deviations, of 3 for one of 8, up or down."""
    most, lags = (4 if abs(jump) < 8 else 3), []
    for seed in SEEDS:
        slow, quick = Ewma(), ChangePoint()
        for sample in noise(seed, 40):
            slow.update(sample)
            quick.update(sample)
        before = quick.alarms
        for sample in noise(1000 + seed, most, 10.0 + jump):
            slow.update(sample)
            quick.update(sample)
        assert quick.alarms == before + 1
        lags.append((slow.level - 10.0) / jump)
        # What is left of the error is the noise of the samples since the alarm.
        assert abs(quick.level - 10.0 - jump) < 3.5
    assert max(lags) < 0.6


def test_noise_seldom_raises_an_alarm():
    alarms = {}
    for kind in ("normal", "exponential"):
        alarms[kind] = 0
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            mean = ChangePoint()
            for sample in rng.standard_normal(500) if kind == "normal" else rng.exponential(1.0, 500):
                mean.update(sample)
            alarms[kind] += mean.alarms
    samples = 500 * len(SEEDS)
    assert 0 < alarms["normal"] < samples / 465  # fewer than where level and deviation are known
    assert alarms["normal"] < alarms["exponential"] < samples / 150


def test_small_differences_are_no_jump():
    mean = ChangePoint(least=0.05)
    for sample in [1.0] * 20 + [1.01] * 20:
        mean.update(sample)
    assert mean.alarms == 0


def test_one_outlier_is_no_jump_and_an_outage_is():
    mean = ChangePoint(least=0.05)
    for sample in [1.0] * 20 + [1000.0] + [1.0] * 20:
        mean.update(sample)
    assert mean.alarms == 0
    mean = ChangePoint(least=0.05)
    levels = []
    for sample in [1.0] * 20 + [1000.0] * 10 + [1.0] * 3:
        mean.update(sample)
        levels.append(mean.level)
    assert mean.alarms == 2
    assert levels[21:30] == pytest.approx([1000.0] * 9)  # from its second sample on
    assert levels[31:] == pytest.approx([1.0] * 2)


def test_a_ramp_is_followed_at_a_distance():
    slow, quick = Ewma(), ChangePoint(least=0.05)
    for number in range(100):
        slow.update(0.1 * number)
        quick.update(0.1 * number)
    # An EWMA lags by slope (1 - a) / a: 7 samples.
    assert 9.9 - slow.level == pytest.approx(0.7, rel=0.01)
    assert 0 <= 9.9 - quick.level <= 9.9 - slow.level + 1e-9


# The lens


def heard(
    now: float, sent: float, backlog_s: float = 0.0, rate_bps: float = 8e6, own: tuple | None = None
):
    """Return an observation of a cell of 8 Mbit/s and a node, by a report sent at a time."""
    seen = hand_made.seen(FACTS, reports={"edge": Report(sent, backlog_s, {"cell": 1}, {"cell": 0})})
    uplink = Uplink("cell", True, rate_bps, 8e7, 0.0, *(own or (None, None)), 8e6)
    return replace(seen, now_s=now, uplinks={"cell": uplink})


def ask(lens, *args, **more):
    return lens(hand_made.request(), heard(*args, **more))


@pytest.mark.parametrize("kind", ["ewma", "change-point", "sampled"])
def test_what_is_true_now_is_believed(kind):
    lens = estimator(kind, np.random.default_rng(1))
    for number in range(20):
        rate_bps, backlog_s = 8e6 / (1 + number % 3), 0.01 * (number % 4)
        seen = ask(lens, number, number, backlog_s, rate_bps)
        assert seen.uplinks["cell"].rate_bps == pytest.approx(rate_bps)
        assert seen.reports["edge"].backlog_s == pytest.approx(backlog_s)


def test_each_kind_has_its_average_and_only_one_draws():
    rng = np.random.default_rng(1)
    made = {kind: estimator(kind, rng) for kind in ("ewma", "change-point", "sampled")}
    averages = {kind: type(lens.mean(0.05)) for kind, lens in made.items()}
    assert averages == {"ewma": Ewma, "change-point": ChangePoint, "sampled": Ewma}
    assert all(lens.mean(0.05).least == 0.05 for lens in made.values())
    assert [kind for kind, lens in made.items() if lens.chance is rng] == ["sampled"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("what", ["sharing", "backlog"])
def test_what_jumps_is_known_after_three_reports_by_the_change_point_only(what, seed):
    """Thirty reports that differ by a tenth, then such of three times as many, or ten times as much.

    Each is looked at when it is old, 0.4 s later: what is usual is all that counts.
    """
    noise_share = 0.1 * np.random.default_rng(seed).standard_normal(36)
    errors = {}
    for kind in ("ewma", "change-point"):
        lens = estimator(kind, np.random.default_rng(1))
        errors[kind] = []
        for number, share in enumerate(noise_share):
            if what == "sharing":
                truth = 2.0 if number < 30 else 6.0
                told = (0.0, 8e6 / (truth * (1 + share)))
            else:
                truth = 0.02 if number < 30 else 0.2
                told = (truth * (1 + share), 8e6)
            ask(lens, 0.5 * number, 0.5 * number, *told)
            old = ask(lens, 0.5 * number + 0.4, 0.5 * number, *told)
            found = (
                8e6 / old.uplinks["cell"].rate_bps
                if what == "sharing"
                else old.reports["edge"].backlog_s
            )
            errors[kind].append(abs(found - truth) / truth)
    assert max(errors["ewma"][20:30] + errors["change-point"][20:30]) < 0.2
    assert min(errors["ewma"][32:]) > 0.25
    assert max(errors["change-point"][32:]) < 0.2


def test_an_old_report_tells_what_is_usual():
    """The mean of the times that a bit takes, 1 and 3 of them, whatever was last."""
    lens = Estimator(Ewma, memory_s=0.1)
    for number in range(40):
        ask(lens, number, number, rate_bps=8e6 / (1 + 2 * (number % 2)))
    old = ask(lens, 50.0, 39.0, rate_bps=8e6 / 3).uplinks["cell"].rate_bps
    assert old == pytest.approx(8e6 / lens.rates["car-0", "cell"].mean.level)
    assert 8e6 / old == pytest.approx(2.0, rel=0.05)
    half = ask(lens, 39.0 + 0.1 * math.log(2), 39.0, rate_bps=8e6 / 3).uplinks["cell"].rate_bps
    assert 8e6 / half == pytest.approx((8e6 / old + 3.0) / 2)


def test_the_channel_is_known_however_old_the_report_is():
    """What a device alone would get has halved: so has what it expects, at once."""
    lens = Estimator(Ewma)
    for number in range(20):
        ask(lens, number, number, rate_bps=2e6)
    seen = heard(30.0, 19.0, rate_bps=1e6)
    seen = replace(seen, uplinks={"cell": replace(seen.uplinks["cell"], alone_bps=4e6)})
    assert lens(hand_made.request(), seen).uplinks["cell"].rate_bps == pytest.approx(1e6)


def test_own_transfers_count_less_when_old_and_are_no_trap():
    fresh, stale = Estimator(Ewma), Estimator(Ewma)
    for lens, age_s in ((fresh, 0.0), (stale, 0.2)):
        for number in range(8):
            ask(lens, number, number, rate_bps=8e6)
        ask(lens, 8.0, 7.0, own=(8e5, age_s))  # ten times as long as alone
        ask(lens, 8.0, 7.0, own=(8e5, age_s))  # the same transfer, seen again
    levels = [lens.rates["car-0", "cell"].mean.level for lens in (fresh, stale)]
    assert levels[0] == pytest.approx(1 + 9 * 0.125)
    assert levels[1] == pytest.approx(1 + 9 * 0.125 * math.exp(-4))
    for number in range(8, 48):  # it sends nothing, and hears that all is well
        seen = ask(fresh, number + 0.9, number, rate_bps=8e6, own=(8e5, number - 7.1))
    assert seen.uplinks["cell"].rate_bps == pytest.approx(8e6, rel=0.01)


def test_waits_go_on_as_they_went():
    """A queue grows by a second in five, by the trend of its reports, and then drains."""
    lens = Estimator(Ewma, memory_s=1.0)
    for number in range(30):
        at = 0.1 * number
        ask(lens, at, at, 0.2 * at)
    assert lens.waits["car-0", "edge"].slope == pytest.approx(0.2)
    level = lens.waits["car-0", "edge"].mean.level
    trust = math.exp(-0.05)
    expected = level + trust * (0.2 * 2.95 - level)
    assert ask(lens, 2.95, 2.9, 0.58).reports["edge"].backlog_s == pytest.approx(expected)
    # From one report to the next it fell by half a second in a tenth: an outage has ended. Servers work
    # off a second a second, and no more.
    ask(lens, 3.0, 3.0, 0.1)
    level = lens.waits["car-0", "edge"].mean.level
    expected = level + trust * (0.1 - 0.05 - level)
    assert ask(lens, 3.05, 3.0, 0.1).reports["edge"].backlog_s == pytest.approx(expected)


def test_own_requests_since_the_report_are_waited_for():
    lens, request = Estimator(Ewma), hand_made.request()
    ask(lens, 0.0, 0.0)
    for _ in range(3):
        lens.chosen(request, heard(0.01, 0.0), EDGE)  # 6 ms each
    assert ask(lens, 0.01, 0.0).reports["edge"].backlog_s == pytest.approx(0.018)
    assert ask(lens, 0.015, 0.0).reports["edge"].backlog_s == pytest.approx(0.013)
    assert ask(lens, 0.05, 0.0).reports["edge"].backlog_s == 0.0
    lens.chosen(request, heard(0.06, 0.0), EDGE)
    assert ask(lens, 0.062, 0.061).reports["edge"].backlog_s == pytest.approx(0.0)  # it is in the report


def test_each_device_knows_what_it_has_heard():
    lens = Estimator(Ewma)
    one, other = hand_made.request(), replace(hand_made.request(), device="car-1")
    for number in range(20):
        lens(one, heard(number, number, rate_bps=1e6))
        lens(other, heard(number, number, rate_bps=8e6))
    found = [lens(each, heard(25.0, 19.0)).uplinks["cell"].rate_bps for each in (one, other)]
    assert found == [pytest.approx(1e6), pytest.approx(8e6)]


def test_nothing_is_made_up_where_nothing_was_reported():
    lens = estimator("sampled", np.random.default_rng(1))
    seen = hand_made.seen(FACTS, cell=1e6)
    assert lens(hand_made.request(), seen) == seen
    assert lens(hand_made.request(), replace(seen, reports={"edge": None})).reports == {"edge": None}


def test_draws_are_as_wide_as_reports_differ():
    lens = Estimator(Ewma, np.random.default_rng(1))
    for number in range(200):
        ask(lens, number, number, rate_bps=8e6 / (4.0 + number % 3))
    mean = lens.rates["car-0", "cell"].mean
    drawn = [8e6 / ask(lens, 300.0, 199.0).uplinks["cell"].rate_bps for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(mean.level, abs=4 * mean.deviation / math.sqrt(2000))
    assert np.std(drawn) == pytest.approx(mean.deviation, rel=0.1)
    assert 0.7 < mean.deviation < 0.9  # of 4, 5, 6: 0.82


# Before a policy


def test_a_policy_decides_on_estimates():
    request, lens = hand_made.request(), Estimator(Ewma)
    policy = estimating(Quickest(), lens)
    for number in range(20):  # a queue of a second, usually
        assert policy.decide(request, heard(number, number, 1.0)).edge is None
    last = heard(30.0, 19.5, 0.0)  # and none when it last told
    assert Quickest().decide(request, last).edge == "edge"
    assert policy.decide(request, last).edge is None
    assert price(request, lens(request, last)).latency_s.max() > 0.5
    assert not lens.sent
    policy.decide(request, heard(31.0, 31.0))
    assert lens.sent["car-0", "edge"][0] == 31.0


def test_a_policy_in_front_of_which_it_stands_stays_what_it_is():
    class Together(Quickest):
        def decide_all(self, questions):
            return [self.decide(each.request, each.seen) for each in questions]

    for policy, joint in ((Quickest(), False), (Together(), True)):
        found = estimating(policy, Estimator(Ewma))
        assert isinstance(found, Joint) is joint
        assert not isinstance(found, Learns | Starts)
    question = offload.entities.Question("car-0", hand_made.request(), heard(0.0, 0.0))
    assert found.decide_all([question, question])[0].edge == "edge"
    assert found.estimator.sent["car-0", "edge"] == (0.0, pytest.approx(0.012))
    assert found.policy is policy


def test_who_knows_the_truth_does_not_estimate():
    assert choose({"name": "quickest", "estimate": "ewma"}).estimate == "ewma"
    for table in ({"name": "quickest", "knowledge": "fresh"}, {"name": "clairvoyant"}):
        with pytest.raises(PolicyTableError, match="estimate: who knows what is"):
            choose({**table, "estimate": "ewma"})
    with pytest.raises(PolicyTableError, match="change-point"):
        choose({"name": "quickest", "estimate": "emwa"})


# In a world

JUMPS = [
    'duration="9 s"', 'warm_up="3 s"', 'nodes.cabinet.reports.every="500 ms"',
    'links.cell.up={trace="jumps.csv", loop=true}',
]  # fmt: skip


@pytest.fixture(scope="module")
def jumping(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jumping")
    (folder / "jumps.csv").write_text("seconds,bits/s\n0,80e6\n1.5,20e6\n3,80e6\n")
    scenario = offload.load(hand_made.ROOT / "scenarios" / "staleness.toml", JUMPS, folder)

    def on_time(**more):
        choice = choose({"name": "quickest", **more})
        runs = [offload.simulate(scenario, choice, replication=r).measures() for r in range(4)]
        return np.array([each["on_time"] for each in runs])

    return on_time(), on_time


@pytest.mark.parametrize("kind", ["ewma", "sampled"])
def test_where_a_link_jumps_and_reports_are_old_estimates_help(jumping, kind):
    plain, on_time = jumping
    gain = interval(on_time(estimate=kind) - plain, 0.99)
    assert gain.low > 0.0, gain
