"""SUMO's floating-car data: the same from every format, as a stream, and what is refused."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from offload.world import fcd, traces
from offload.world.mobility import Track
from offload.world.traces import Trace, TraceError, read_trace, write_trace

INFINITE = float("inf")
STEPS = {  # time -> vehicle -> place
    0.0: {},
    1.0: {"a": (0.0, 5.0)},
    2.0: {"a": (10.0, 5.0), "b, red": (3.25, -7.5)},
    3.0: {"a": (20.0, 5.0), "b, red": (3.25, -6.5)},
    4.0: {"a": (20.0, 8.0), "b, red": (3.25, -5.5)},
    5.0: {"b, red": (4.5, -5.5)},
    6.0: {"b, red": (4.5, -5.5)},
}


def xml(steps=None) -> bytes:
    """Write steps as SUMO does."""
    text = '<?xml version="1.0" encoding="UTF-8"?>\n<!-- generated -->\n<fcd-export>\n'
    for now, there in (STEPS if steps is None else steps).items():
        text += f'    <timestep time="{now:.2f}">\n'
        for name, (x, y) in there.items():
            text += f'        <vehicle id="{name}" x="{x:.2f}" y="{y:.2f}" angle="90.00" type="car"/>\n'
        text += '        <person id="p" x="0" y="0"/>\n    </timestep>\n'
    return (text + "</fcd-export>\n").encode()


def semicolons() -> bytes:
    """Write steps as SUMO's CSV: times without vehicles have empty columns."""
    text = "timestep_time;vehicle_angle;vehicle_id;vehicle_x;vehicle_y\n"
    for now, there in STEPS.items():
        for name, (x, y) in there.items():
            text += f"{now:.2f};90.00;{name};{x:.2f};{y:.2f}\n"
        if not there:
            text += f"{now:.2f};;;;\n"
    return text.encode()


def table(path: Path, columns=fcd.COLUMNS) -> Path:
    """Write steps as Parquet."""
    rows = [(now, name, *at) for now, there in STEPS.items() for name, at in there.items()]
    pl.DataFrame(rows, schema=list(columns), orient="row").write_parquet(path)
    return path


def put(folder: Path, content: bytes) -> Path:
    """Write a file whose name says nothing."""
    path = folder / "trace"
    path.write_bytes(content)
    return path


def check(trace: Trace) -> None:
    """Assert that it is what STEPS tell."""
    assert trace.recording
    assert (trace.starts_s, trace.ends_s) in {(0.0, 6.0), (1.0, 6.0)}
    assert list(trace.tracks) == ["a", "b, red"]
    a, b = trace.tracks.values()
    assert a.times_s.tolist() == [1, 3, 4]  # in between it drives straight at constant speed
    assert (a.enters_s, a.leaves_s) == (1.0, 4.0)
    assert a.position(2.5) == (15.0, 5.0)
    assert (b.enters_s, b.leaves_s) == (2.0, INFINITE)  # still there at the end
    assert b.position(6.0) == (4.5, -5.5)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("write", [xml, semicolons])
def test_text_is_known_by_its_content(tmp_path: Path, write, pack) -> None:
    check(read_trace(put(tmp_path, pack(write()))))


@pytest.mark.parametrize("columns", [fcd.COLUMNS, fcd.COMPACT])
def test_parquet_is_known_by_its_content(tmp_path: Path, columns) -> None:
    check(read_trace(table(tmp_path / "trace", columns)))


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_chunks_may_end_anywhere(tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcd, "CHUNK", chunk)
    check(read_trace(put(tmp_path, xml())))
    check(read_trace(table(tmp_path / "table")))


def test_what_is_written_reads_the_same(tmp_path: Path) -> None:
    read = read_trace(put(tmp_path, xml()))
    out = tmp_path / "deep" / "trace.parquet"
    assert write_trace(out, read, {"sumo": "9"}) == 7
    check(read_trace(out))
    assert read_trace(out).starts_s == 0.0  # though nobody was there yet
    assert pl.read_parquet_metadata(out)["sumo"] == "9"
    again = tmp_path / "again.parquet"
    write_trace(again, read, {"sumo": "9"})
    assert again.read_bytes() == out.read_bytes()
    assert [path.name for path in out.parent.iterdir()] == ["trace.parquet"]


def test_a_run_may_begin_later(tmp_path: Path) -> None:
    trace = read_trace(put(tmp_path, xml()), from_s=2.0)
    assert (trace.tracks["a"].enters_s, trace.tracks["a"].leaves_s) == (-1.0, 2.0)
    assert trace.tracks["a"].position(0.0) == (10.0, 5.0)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    way = {float(k): {"a": (10.0 * k, 0.0), "b": (-10.0 * k, 0.0)} for k in range(20_000)}
    path = put(tmp_path, xml(way))
    assert path.stat().st_size > 3_000_000
    tracemalloc.start()
    tracks = read_trace(path).tracks
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [len(track.times_s) for track in tracks.values()] == [2, 2]
    assert peak < 2_500_000  # a few chunks


BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE fcd-export [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<fcd-export><timestep time="&b;"/></fcd-export>"""
CSV = b"timestep_time;vehicle_id;vehicle_x;vehicle_y\n"
NUMBERS = "time, x and y must be numbers, in seconds and metres"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "{path}:2: remove the document type; entities are not read"),
        (
            xml().replace(b"?>", b'?><!DOCTYPE x SYSTEM "/etc/passwd">', 1),
            "{path}:1: remove the document",
        ),
        (xml()[:300], "{path}:11: not whole XML: no element found; it was cut off"),
        (xml()[:-20], "{path}:33: not whole XML: unclosed token; it was cut off"),
        (b"<a><b></a>", "{path}:1: <a> is not SUMO's floating-car data, whose root is <fcd-export>"),
        (b"<fcd-export><b></fcd-export>", "{path}:1: not whole XML: mismatched tag"),
        (b"<fcd-export></fcd-export>", "{path}: holds no vehicles"),
        (xml({0.0: {}, 5.0: {}}), "{path}: holds no vehicles"),
        (xml({0.0: {}}).replace(b'time="0.00"', b""), "{path}:4: no attribute time"),
        (xml().replace(b' x="0.00"', b""), "{path}:8: no attribute x"),
        (xml().replace(b'x="0.00"', b'x="east"'), "{path}:8: " + NUMBERS),
        (xml().replace(b'"0.00"', b'"00:00:00"'), "{path}:4: " + NUMBERS),
        (xml().replace(b'x="0.00"', b'x="nan"'), "vehicle a lies at nan, 5 at time 1"),
        (xml().replace(b'x="20.00" y="8', b'x="920.00" y="8'), "vehicle a jumps: 900 m/s is more than"),
        (xml({5.0: {}, 4.0: {"a": (0, 0)}}), "{path}:8: time 4 does not follow 5; sort by time"),
        (xml({0.0: {"a" * 300: (0, 0)}}), "{path}:5: an id of 300 characters; at most 200 may be"),
        (b"<fcd-export " + b"a" * 3_000_000, "{path}:1: a tag of more than 1000000 bytes"),
        (b"<fcd-export>" + b"<a>" * 50, "{path}:1: more than 20 tags within each other"),
        (
            b"<fcd-export>" + b"".join(b"<a%d/>" % k for k in range(2000)) + b"</fcd-export>",
            "{path}:1: more than 1000 names of tags and attributes",
        ),
        (
            gzip.compress(xml(), mtime=0)[:-30],
            "{path}: not a whole gzip file (Compressed file ended before",
        ),
        (gzip.compress(xml(), mtime=0)[:40] + b"\xff" * 40, "{path}: not a whole gzip file ("),
        (CSV, "{path}: holds no vehicles"),
        (
            CSV.replace(b"_x", b"_lon"),
            "{path}:1: no column vehicle_x; write SUMO's columns timestep_time",
        ),
        (CSV + b"0;a;1;2\n1;a;1\n", "{path}:3: 3 columns, the header has 4"),
        (CSV + b"0;a;1;2\n\n1;a;;2\n", "{path}:4: " + NUMBERS),
        (CSV + b"1;a;1;2\n0;a;1;2\n1;a;3;4\n", "time 0 does not follow 1; sort by time"),
        (CSV + b"0;a;1;2\n0;a;1;2\n", "vehicle a is at two places at time 0"),
        (CSV + b"0;a;1;1e400\n", "vehicle a lies at 1, inf at time 0"),
        (CSV + b"inf;a;1;1\n", "time inf is not finite"),
        (CSV + b"0;a;1;2\xff\n", "{path}: not a CSV file in UTF-8"),
        (CSV + b'0;"' + b"a" * 200_000, "{path}: not a CSV file in UTF-8 (field larger than"),
        (b"PAR1" + b"\0" * 50, "{path}: not a whole Parquet file ("),
    ],
)
def test_refusals_name_file_and_place(tmp_path: Path, content: bytes, message: str) -> None:
    path = put(tmp_path, content)
    with pytest.raises(TraceError) as refused:
        read_trace(path)
    said = str(refused.value)
    assert said.startswith(f"{path}:")
    assert message.format(path=path) in said
    assert "\n" not in said


def test_a_parquet_file_is_refused_by_row(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    good = {"time": [0.0, 1.0, 1.0], "id": ["a", "a", "b"], "x": [1.0, 2.0, 3.0], "y": [0.0] * 3}
    for broken, message in [
        ({"x": [1.0, None, 3.0]}, f"row 2: {NUMBERS}"),
        ({"time": [1.0, 0.0, 0.0]}, "time 0 does not follow 1"),
        ({"id": ["a", "b", "b"]}, "vehicle b is at two places"),
        ({"x": ["1", "east", "3"]}, "not a whole Parquet file"),
    ]:
        pl.DataFrame(good | broken).write_parquet(path)
        with pytest.raises(TraceError, match=message) as refused:
            read_trace(path)
        assert str(refused.value).startswith(f"{path}:")
    pl.DataFrame(good).drop("y").write_parquet(path)
    with pytest.raises(TraceError, match="no columns time, id, x, y, nor timestep_time"):
        read_trace(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TraceError, match="not a whole Parquet file"):
        read_trace(path)


@pytest.mark.parametrize("write", [xml, semicolons])
def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, write, monkeypatch) -> None:
    monkeypatch.setattr(traces, "MOST_BYTES", 200)
    monkeypatch.setattr(fcd, "CHUNK", 64)
    with pytest.raises(TraceError, match="larger than 0 MB"):
        read_trace(put(tmp_path, gzip.compress(write())))


def test_points_may_be_packed_too(tmp_path: Path) -> None:
    trace = read_trace(put(tmp_path, gzip.compress(b"time,id,x,y\n0,a,1,2\n2,a,3,4\n")))
    assert not trace.recording
    way = trace.tracks["a"]
    assert isinstance(way, Track)
    assert (way.enters_s, way.leaves_s) == (-INFINITE, INFINITE)
    assert np.isclose(way.position(1.0), (2, 3)).all()
