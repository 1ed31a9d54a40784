"""The playground's short simulation: the library's comparison, told replication by replication."""

import pytest

from offload.analysis.compare import compare
from offload.views.palette import colour
from offload.views.play.live import POLICIES, REPLICATIONS, choices, shown, simulate
from offload.views.play.settings import Settings
from offload.views.play.situation import BIRTHS, MOST_BIRTHS, SEED, situate

SETTINGS = Settings(distance_m=100.0, every_s=0.3)


@pytest.fixture(scope="module")
def told():
    return list(simulate(SETTINGS))


def test_it_ends_as_a_comparison_of_the_same_scenario_does(told):
    *others, last = told
    assert [each.replications for each in others] == list(range(1, REPLICATIONS))
    found = compare(situate(SETTINGS).scenario, choices(), REPLICATIONS, seed=SEED, second_opinion=False)
    assert [row.label for row in last.rows] == [policy.label for policy in found.policies]
    assert [row.on_time for row in last.rows] == [p.measures["on_time"] for p in found.policies]
    for row, policy in zip(last.rows, found.policies, strict=True):
        latency, energy = policy.measures["latency_mean_s"], policy.measures["energy_j"]
        assert row.mean_ms.startswith(f"{1e3 * latency.mean:.1f} ±")
        assert row.energy_mj.startswith(f"{1e3 * energy.mean:.1f} ±")
    assert last.says.startswith("On time most often: ")


def test_one_replication_has_no_interval(told):
    first = told[0]
    assert all("±" not in row.on_time_text for row in first.rows)
    assert first.says == ""


def test_the_same_settings_come_to_the_same(told):
    assert list(simulate(SETTINGS)) == told


def test_it_stops_when_it_is_over():
    asked = []

    def over() -> bool:
        asked.append(True)
        return len(asked) > len(POLICIES) + 2

    assert [told.replications for told in simulate(SETTINGS, over)] == [1]
    assert len(asked) == len(POLICIES) + 3


def test_policies_have_the_colours_that_they_have_everywhere():
    labels = [each["label"] for each in shown()]
    assert len(set(labels)) == len(labels)
    assert [each["colour"] for each in shown()] == [colour(label, labels) for label in labels]
    assert len({each["colour"] for each in shown()}) == len(labels)


def test_who_is_out_of_range_waits_for_nothing():
    last = list(simulate(Settings(radio="wifi-5ghz", distance_m=1000.0)))[-1]
    rows = {row.label: row for row in last.rows}
    assert rows["edge"].notes.startswith("100.0% never answered")
    assert rows["edge"].mean_ms == "-"
    assert "never answered" not in rows["local"].notes


def test_simulations_are_of_a_bounded_number_of_requests():
    for devices in (1, 40):
        for every in (0.02, 5.0):
            for report in (0.001, 5.0):
                settings = Settings(devices=devices, every_s=every, report_every_s=report)
                births = devices / every * float(situate(settings).scenario.file.duration)
                assert BIRTHS - 1 <= births <= MOST_BIRTHS + 1
