"""Bandwidth traces: what each format means, and what is refused with its line."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.world import bandwidth
from offload.world.bandwidth import Format, read_bandwidth
from offload.world.rate import INFINITE, Rate
from offload.world.traces import TraceError

# Of the form of uccmisl's files; figures made up.
PHONE = """Timestamp,Longitude,Speed,DL_bitrate,UL_bitrate,State
2019.12.14_10.16.30,-8.3,0,-,3,D
2019.12.14_10.16.31,-8.3,1,4000,30,D
2019.12.14_10.16.32,-8.3,1,-,30,D
2019.12.14_10.16.33,-8.3,1,0,0,I
2019.12.14_10.16.34,-8.3,1,52000.5,90,D
"""
OBOE = "7.0 4646.5\n320.0 4646.5\n408.0 4696.75\n673.0 4696.75\n"
PENSIEVE = "0.0 9.9\n1.5 4.0\n2.0 0\n4.0 6.0\n"


def write(folder: Path, text: str | bytes, name: str = "trace") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_mahimahi_counts_opportunities_in_the_milliseconds_that_end_then(tmp_path: Path) -> None:
    trace = read_bandwidth(write(tmp_path, "2\n2\n5\n6\n6\n6\n"))
    assert (trace.format, trace.length_s, trace.loops) == ("mahimahi", 0.006, True)
    assert trace.edges_s == pytest.approx((0, 0.001, 0.002, 0.004, 0.005, 0.006))
    assert trace.rates_bps == (0, 24e6, 0, 12e6, 36e6)
    assert "6 opportunities" in trace.provenance
    rate = trace.rate(1e9)
    assert rate.period_s == 0.006
    assert rate.ends(0.0, 24_000) == pytest.approx(0.002)
    assert rate.amount(0.0, 0.6) == pytest.approx(100 * 6 * 12_000)


def test_mahimahi_at_zero_is_the_end_of_the_lap_before(tmp_path: Path) -> None:
    trace = read_bandwidth(write(tmp_path, "0\n0\n1\n3\n"))
    assert trace.rates_bps == (12e6, 0, 36e6)
    one = read_bandwidth(write(tmp_path, "0\n4\n"))
    assert (one.edges_s, one.rates_bps) == ((0, 0.003, 0.004), (0, 24e6))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_mahimahi_lets_pass_in_a_lap_what_its_lines_allow(
    tmp_path_factory: pytest.TempPathFactory, moments: list[int]
) -> None:
    moments = [*sorted(moments), 41]
    folder = tmp_path_factory.getbasetemp()
    rate = read_bandwidth(write(folder, "\n".join(map(str, moments)))).rate(1.0)
    assert rate.amount(0.0, 0.041) == pytest.approx(len(moments) * 12_000)
    for at_ms in range(1, 41):
        passed = rate.amount((at_ms - 1) / 1e3, at_ms / 1e3)
        assert passed == pytest.approx(moments.count(at_ms) * 12_000, abs=1e-3)


def test_pensieve_holds_a_rate_since_the_line_before(tmp_path: Path) -> None:
    trace = read_bandwidth(write(tmp_path, PENSIEVE))
    assert (trace.format, trace.loops) == ("pensieve", True)
    assert trace.rate(1e9) == Rate((0.0, 1.5, 2.0), (4e6, 0.0, 6e6), 4.0)


def test_oboe_holds_a_rate_until_the_next_line(tmp_path: Path) -> None:
    trace = read_bandwidth(write(tmp_path, OBOE))
    assert (trace.format, trace.loops) == ("oboe", False)
    assert trace.edges_s == pytest.approx((0, 0.401, 0.666))
    assert trace.rates_bps == (4646500, 4696750)


def test_a_format_can_be_named_where_lines_fit_two(tmp_path: Path) -> None:
    path = write(tmp_path, "0 5\n30 6\n60 7\n")
    assert read_bandwidth(path).format == "oboe"
    assert read_bandwidth(path, form="pensieve").rate(1.0) == Rate((0.0, 30.0), (6e6, 7e6), 60.0)
    with pytest.raises(TraceError, match=":1: not a bandwidth trace of mahimahi; known are"):
        read_bandwidth(path, form="mahimahi")


def test_uccmisl_holds_what_is_missing_and_counts_it(tmp_path: Path) -> None:
    trace = read_bandwidth(write(tmp_path, PHONE))
    assert (trace.format, trace.loops) == ("uccmisl", False)
    assert trace.rate(4.0) == Rate((0.0, 2.0, 3.0), (4e6, 0.0, 52000.5e3))
    assert "1 of 4 rows missing and held;" in trace.provenance
    assert "at most the capacity" in trace.provenance


def test_uccmisl_says_if_its_clock_disagrees(tmp_path: Path) -> None:
    trace = read_bandwidth(write(tmp_path, PHONE.replace("16.34", "16.59")))
    assert "by their clock they span 29 s" in trace.provenance
    assert trace.length_s == 4
    assert "clock" not in read_bandwidth(write(tmp_path, "DL_bitrate,b\n5,6\n")).provenance


def test_uccmisl_is_refused_as_an_uplink(tmp_path: Path) -> None:
    path = write(tmp_path, PHONE)
    with pytest.raises(TraceError) as refused:
        read_bandwidth(path, "up")
    assert str(refused.value) == (
        f"{path}:1: UL_bitrate is no uplink capacity: the phone only downloaded, so what it sent were "
        "acknowledgements; take the uplink from another trace"
    )


def test_plain_csv(tmp_path: Path) -> None:
    trace = read_bandwidth(
        write(tmp_path, "\ufeffSeconds, bits/s\r\n10,1e6\r\n12,0\r\n\r\n15,3e6\r\n16,0\r\n")
    )
    assert trace.format == "plain"
    assert trace.rate(6.0) == Rate((0.0, 2.0, 5.0), (1e6, 0.0, 3e6))
    assert trace.rate(6.0, loop=True).period_s == 6.0
    assert trace.provenance == "trace: CSV; 6 s, mean 0.833 Mbit/s"


def test_a_second_line_of_the_same_time_overrules_the_first(tmp_path: Path) -> None:
    trace = read_bandwidth(write(tmp_path, "seconds,bits/s\n0,1\n1,2\n1,3\n2,0\n2,0\n"))
    assert trace.rate(2.0) == Rate((0.0, 1.0), (1.0, 3.0))


def test_a_trace_that_ends_too_early_says_what_to_do(tmp_path: Path) -> None:
    trace = read_bandwidth(write(tmp_path, OBOE))
    assert trace.rate(0.666).period_s == INFINITE
    with pytest.raises(TraceError) as refused:
        trace.rate(60.0)
    assert str(refused.value) == (
        f"{trace.path}: ends at 0.666 s, before the run does at 60 s; "
        "repeat it with loop = true, or give a longer one"
    )
    assert trace.rate(60.0, loop=True).period_s == 0.666
    with pytest.raises(TraceError, match="ends at 4 s, before the run does at 60 s"):
        read_bandwidth(write(tmp_path, PENSIEVE)).rate(60.0, loop=False)


KNOWN = "not a bandwidth trace of a known format; known are Mahimahi"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{path}: holds no lines"),
        ("\n \n", "{path}: holds no lines"),
        ("time,rate\n0,1\n", "{path}:1: " + KNOWN),
        ("0,1\n1,2\n", "{path}:1: " + KNOWN),
        ("\n-4\n", "{path}:2: " + KNOWN),
        ("0 nan\n1 2\n", "{path}:1: " + KNOWN),
        ("1 2 3\n", "{path}:1: " + KNOWN),
        ("1\n2.5\n", "{path}:2: must be a whole number of milliseconds; it is '2.5'"),
        ("1\n-2\n", "{path}:2: must be a whole number of milliseconds; it is '-2'"),
        ("1\n\u0665\n", "{path}:2: must be a whole number of milliseconds; it is '\u0665'"),
        ("1\n" + "9" * 30, "{path}:2: must be a whole number of milliseconds; it is '" + "9" * 30),
        ("5\n\n4\n", "{path}:3: 4 ms does not follow 5 ms; sort the lines"),
        ("0\n0\n", "{path}:2: ends at 0 ms; the last line of a Mahimahi trace says how long it is"),
        ("0 1\n1 2 3\n", "{path}:2: must be two numbers, a time and a rate; it is '1 2 3'"),
        ("0 1\n1 nan\n", "{path}:2: the rate must be a number from 0 to 1e15; it is 'nan'"),
        ("0 1\n1_0 1\n", "{path}:2: the time must be a number from 0 to 1e15; it is '1_0'"),
        ("0 1\n1 -1\n", "{path}:2: the rate must be a number from 0 to 1e15; it is '-1'"),
        ("0 1\n1 1e999\n", "{path}:2: the rate must be a number from 0 to 1e15; it is '1e999'"),
        ("0 1\n5 1\n4 1\n", "{path}:3: time 4 does not follow 5; sort by time"),
        ("0 1\n", "{path}:1: a trace has two lines at least, one that begins it and one that ends it"),
        ("0 1\n0 2\n", "{path}:2: all lines have the same time"),
        ("0 0\n1 0\n2 0\n", "{path}: is zero throughout, so nothing would ever arrive"),
        ("0 5\n1 0\n2 0\n", "{path}: is zero throughout, so nothing would ever arrive"),
        ("seconds,bits/s\n0,0\n1,9\n", "{path}: is zero throughout, so nothing would ever arrive"),
        ("0 1\n1 1e9\n", "{path}:2: holds 1e+15 bit/s; no link is so fast (read as Pensieve"),
        ("seconds,bits/s\n", "{path}:1: a trace has two lines at least"),
        ("seconds,bits/s\n0\n", "{path}:2: must be two numbers, a time and a rate; it is '0'"),
        ("seconds,bits/s\n0,fast\n", "{path}:2: the rate must be a number from 0 to 1e15; it is 'fast'"),
        ("a,DL_bitrate\n1\n", "{path}:2: has 1 columns, and the header has 2"),
        ("a,DL_bitrate\n1,x\n", "{path}:2: DL_bitrate must be a number from 0 to 1e15; it is 'x'"),
        ("a,DL_bitrate\n1,-\n", "{path}:2: DL_bitrate is missing in every row"),
        ("a,DL_bitrate\n1,-\n1,0\n", "{path}: is zero throughout, so nothing would ever arrive"),
        ("a,DL_bitrate\n", "{path}:1: DL_bitrate is missing in every row"),
        ("1\n" + "2" * 5000, "{path}:2: longer than 4,000 characters"),
        (b"1\n\xff\n", "{path}: not a text file in UTF-8"),
    ],
)  # fmt: skip
def test_refusals_name_file_line_and_remedy(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(TraceError) as refused:
        read_bandwidth(path)
    assert str(refused.value).startswith(message.format(path=path))
    assert "\n" not in str(refused.value)


def test_what_is_no_file_or_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TraceError, match=r"nowhere: No such file"):
        read_bandwidth(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(TraceError, match="not a file of at most 100 MB"):
            read_bandwidth(path)
    with pytest.raises(TraceError, match="null"):
        read_bandwidth(Path("a\0b"))
    path = write(tmp_path, "1\n2\n3\n")
    monkeypatch.setattr(bandwidth, "MAX_PIECES", 2)
    assert read_bandwidth(path).rates_bps == (12e6,)
    with pytest.raises(TraceError, match=":2: its rate changes more than 2 times; give a shorter"):
        read_bandwidth(write(tmp_path, "2\n4\n"))
    path = write(tmp_path, "1\n2\n3\n")
    monkeypatch.setattr(bandwidth, "MAX_LINES", 2)
    with pytest.raises(TraceError, match=":3: more than 2 lines"):
        read_bandwidth(path)
    monkeypatch.setattr(bandwidth, "MAX_BYTES", 5)
    with pytest.raises(TraceError, match="not a file of at most"):
        read_bandwidth(path)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=12))
def test_all_formats_of_one_course_agree(
    tmp_path_factory: pytest.TempPathFactory, course: list[tuple[int, int]]
) -> None:
    # The same stairs written in three ways are the same rate.
    times = np.cumsum([gap for gap, _ in course])
    levels = [level for _, level in course]
    if times[-1] == times[0] or not any(
        level for level, gap in zip(levels, np.diff(times), strict=False) if gap
    ):
        return
    forms: dict[Format, str] = {
        "plain": "seconds,bits/s\n"
        + "\n".join(f"{t},{v * 1e6}" for t, v in zip(times, levels, strict=True)),
        "oboe": "\n".join(f"{t * 1000} {v * 1000}" for t, v in zip(times, levels, strict=True)),
        "pensieve": "\n".join(f"{t} {v}" for t, v in zip(times, [0, *levels[:-1]], strict=True)),
    }
    rates = set()
    for form, text in forms.items():
        trace = read_bandwidth(write(tmp_path_factory.getbasetemp(), text), form=form)
        rates.add(trace.rate(0.0, loop=True))
    assert len(rates) == 1
