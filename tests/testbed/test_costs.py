"""Measured costs: their file, and the arithmetic that makes figures of samples."""

import json
import math
import os
import time
from contextlib import nullcontext

import numpy as np
import pytest
from typer.testing import CliRunner

from offload.cli import app
from offload.testbed import certificates
from offload.testbed.channel import ChannelError, connect
from offload.testbed.costs import file, fits, hops, measuring
from offload.testbed.costs.blocks import Blocks, TooBusyError
from offload.testbed.costs.measuring import Figure, Found
from offload.testbed.costs.peer import DEVICE, NAME, NOTHING, PeerError, peer
from offload.testbed.costs.working import Idling

CHANCE = np.random.default_rng(1)

two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core only")


def test_a_line_is_recovered():
    sizes = np.array([100.0, 16e3, 1e6, 4e6])
    assert fits.line(sizes, 2e-4 + 3e-10 * sizes) == pytest.approx((2e-4, 3e-10))


def test_a_line_never_says_that_messages_cost_less_than_nothing():
    sizes = np.array([100.0, 1e6])
    assert fits.line(sizes, np.array([4e-4, 2e-4])) == pytest.approx((3e-4, 0.0))


def test_the_curve_of_idleness_is_recovered():
    gaps_s = np.array([0.0, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2])
    ratios = 1 + 0.09 * (1 - np.exp(-gaps_s / 0.012))
    slower, within_s = fits.idling(gaps_s, ratios)
    assert slower == pytest.approx(0.09, rel=0.01)
    assert within_s == pytest.approx(0.012, rel=0.03)


def test_ratios_leave_out_what_drifts_from_block_to_block():
    samples = np.array([[1.0], [10.0], [100.0]]) * np.array([1.0, 1.1, 1.02])
    samples[1, 2] *= 1.3  # in a block that is neither the quickest nor the slowest
    assert fits.ratios(samples, 0) == pytest.approx([1.0, 1.1, 1.02])
    assert fits.ratios(samples, 1)[0] == pytest.approx(1 / 1.1)


def test_medians_leave_out_what_is_missing():
    samples = np.array([[1.0, np.nan], [2.0, 5.0], [9.0, 7.0]])
    assert fits.medians(samples).tolist() == [2.0, 6.0]


def test_an_interval_is_as_wide_as_theory_says():
    samples = CHANCE.normal(10, 1, 400)
    ((low, high),) = fits.interval(400, lambda picks: np.array([samples[picks].mean()]), CHANCE)
    assert low < samples.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(400), rel=0.2)


def blocks(*spins_s):
    """Blocks 0, 1, ... around which the loop took so long, before and after."""
    looks = iter(spin for pair in spins_s for spin in pair)
    found = Blocks("work", [lambda: next(looks)])
    for number in range(len(spins_s)):
        found.measure(lambda number=number: number)
    return found


def test_a_block_is_set_aside_for_a_slow_loop_before_or_after_it():
    found = blocks((1.0, 1.1), (1.3, 1.0), (1.0, 1.2), (1.0, 1.3), (1.0, 1.0))
    assert found.kept() == [0, 2, 4]
    assert found.excluded() == pytest.approx(0.4)


def test_a_machine_that_is_busy_all_the_time_is_told_of():
    with pytest.raises(TooBusyError, match="3 of 4 blocks"):
        blocks((1.0, 1.0), (2.0, 2.0), (2.0, 2.0), (2.0, 2.0)).kept()


def test_what_tls_adds_is_the_difference_of_the_same_messages():
    kinds = [hops.Cell(s, 1e8, 0.05, n) for s in (False, True) for n in (100, 16_000, 250_000)]
    plain = [2e-4 + 1e-10 * kind.size for kind in kinds if not kind.secure]
    more = [5e-5 + 3e-10 * kind.size for kind in kinds if kind.secure]
    medians = np.array([*plain, *(a + b for a, b in zip(plain, more, strict=True))])
    assert hops.security_of(kinds, lambda cell: cell.shipped, medians) == pytest.approx((5e-5, 3e-10))
    wanted = hops.is_of((False, 1e8, 0.05))
    assert hops.hop_of(kinds, wanted, medians) == pytest.approx((2e-4, 1e-10))


def test_messages_that_were_set_aside_are_missing():
    kinds = [hops.Cell(False, None, 0.0, 1), hops.Cell(False, None, 0.0, 2)]
    samples = hops.table(kinds, [[(0, kinds[0], 1.0), (0, kinds[1], 2.0)], [(3, kinds[1], 4.0)]])
    assert np.array_equal(samples, [[1.0, 2.0], [np.nan, 4.0]], equal_nan=True)


def test_shipped_figures_rest_on_kinds_that_are_sent_with_and_without_tls():
    for quick in (False, True):
        ways = [
            {
                (cell.rate_bps, cell.size)
                for cell in hops.cells(quick=quick)
                if cell.shipped and cell.secure == s
            }
            for s in (False, True)
        ]
        assert ways[0] == ways[1]
        assert len({size for _, size in ways[0]}) >= 3


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("hop.message_s", 1.62e-4, "162 us"), ("after_idle.within_s", 0.0123, "12.30 ms"),
        ("hop.per_byte_s", 2.5e-10, "0.25 ns/B"), ("co_location.slower", 0.071, "7.1%"),
        ("security.mutual-tls.message_bytes", 22, "22.0 B"),
    ],
)  # fmt: skip
def test_figures_are_shown_in_units(path, value, shown):
    found = Found({path: Figure(value, value, value, 1, 0.5)})
    (row,) = file.table(found)
    assert (row["value"], row["95 % interval"], row["set aside"]) == (
        shown,
        f"{shown} to {shown}",
        "50%",
    )


@two_cores
def test_the_file_of_a_quick_measuring(tmp_path):
    out = tmp_path / "costs.json"
    done = CliRunner().invoke(
        app, ["testbed", "costs", "--quick", "--network", "fashion-cnn", "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    told = json.loads(out.read_text())
    assert (told["format"], told["hardware"], told["known"]) == (1, "x86-core", "measured")
    assert "torch" in told["source"]
    tls = told["security"]["mutual-tls"]
    assert 0 <= told["hop"]["message_s"] < 0.1
    assert 0 <= told["hop"]["per_byte_s"] < 1e-6
    assert 1e-5 < tls["handshake_s"] < 1
    assert 0 <= tls["message_s"] < 0.1
    assert 0 <= tls["per_byte_s"] < 1e-6
    assert tls["bytes_per_byte"] == pytest.approx(22 / 16_384, rel=0.05)  # a record: 22 bytes more
    assert 5 < tls["message_bytes"] < 40
    assert 1e-6 < told["decide_s"] < 0.1
    assert told["after_idle"]["slower"] >= 0
    assert 0 < told["after_idle"]["within_s"] <= 1.001
    assert told["co_location"]["slower"] > -1
    figures = told["details"]["figures"]
    assert len(figures) == 11
    assert all(each["low"] <= each["high"] and each["runs"] > 0 for each in figures.values())
    assert all(path.split(".")[-1] in done.output for path in figures)
    assert [each.name for each in tmp_path.iterdir()] == ["costs.json"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--cores", "0"], '--cores 0: write two with a comma, like "0,1"'),
        (["--cores", "0,9999"], "two different cores are needed, of those this process may run on: 0"),
        (["--cores", "0,0"], "two different cores are needed"),
        (
            ["--out", "nowhere/costs.json"],
            "--out nowhere/costs.json: give a file in a folder that exists",
        ),
    ],
)
def test_bad_options_are_refused_in_a_line(options, told):
    done = CliRunner().invoke(app, ["testbed", "costs", *options])
    assert done.exit_code == 2
    assert told in done.output
    assert len(done.output.splitlines()) == 1


@two_cores
def test_an_unknown_network_is_refused_in_a_line_and_nothing_written(tmp_path):
    out = tmp_path / "costs.json"
    done = CliRunner().invoke(
        app, ["testbed", "costs", "--quick", "--network", "nonet", "--out", str(out)]
    )
    assert done.exit_code == 2
    assert "nonet: no network of that name" in done.output
    assert not out.exists()


@two_cores
def test_whoever_interrupts_finds_nothing_half_written(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "peer", lambda *_: nullcontext())
    monkeypatch.setattr(measuring, "_messages", stop)
    before = os.sched_getaffinity(0)
    done = CliRunner().invoke(app, ["testbed", "costs", "--out", str(tmp_path / "costs.json")])
    assert done.exit_code == 130
    assert "nothing was written" in done.output
    assert not list(tmp_path.iterdir())
    assert os.sched_getaffinity(0) == before


def test_a_peer_says_when_it_worked(tmp_path):
    certificates.init(tmp_path, [NAME], [DEVICE], days=1)
    with peer(None, tmp_path, []) as other:
        sent_ns, stamp, size = other.line.ask(NOTHING, bytes(1000))
        assert sent_ns <= stamp.received_ns <= stamp.begun_ns <= stamp.done_ns <= time.monotonic_ns()
        assert size > 1000
        work = Idling(other, NOTHING, [], np.random.default_rng(0), (0.0, 0.05))
        work.go_once()
        gaps_s, seconds = work.curve()
        assert gaps_s[1] >= 0.05
        assert 0 <= gaps_s[0] < gaps_s[1]
        assert seconds.shape == (1, 2)
    with pytest.raises(ChannelError):
        connect(other.plain, None, NAME)


def test_a_core_that_is_not_there_is_told_of(tmp_path):
    with pytest.raises(PeerError, match=r"^core 9999: .*may run on 0"), peer(9999, tmp_path, []):
        pass
