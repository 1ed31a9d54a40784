"""Mobility traces: what is read, and what is refused with its line."""

from pathlib import Path

import pytest

from offload.world import traces
from offload.world.traces import TraceError, read_tracks
from tests import hand_made


def trace(folder: Path, text: str | bytes) -> Path:
    """Write a trace."""
    path = folder / "trace.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_tracks_come_in_the_order_of_their_first_rows(tmp_path: Path) -> None:
    text = "time,id,x,y\n0,b,1,2\n0,a,3,4\n1.5,b,5,6\n"
    found = read_tracks(trace(tmp_path, text))
    assert list(found) == ["b", "a"]
    assert found["b"].times_s.tolist() == [0.0, 1.5]
    assert found["b"].position(0.75) == (3.0, 4.0)
    assert found["a"].position(9.0) == (3.0, 4.0)


def test_columns_may_stand_in_any_order_among_others(tmp_path: Path) -> None:
    text = 'y,speed,id,time,x\n2,9,"car, red",0,1\n4,9,"car, red",1,3\n'
    found = read_tracks(trace(tmp_path, text))
    assert found["car, red"].position(1.0) == (3.0, 4.0)


def test_the_shipped_trace_reads_and_closes() -> None:
    found = read_tracks(hand_made.ROOT / "data" / "traces" / "intersection.csv")
    assert len(found) == 60
    for way in found.values():  # it is looped: the end of a lap must be the start of the next
        assert way.position(way.times_s[0]) == pytest.approx(way.position(way.times_s[-1]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{path}:1: no column time, id, x, y; the header must be time,id,x,y"),
        ("time,id,x\n0,a,1\n", "{path}:1: no column y; the header must be time,id,x,y"),
        ("time,id,x,y\n", "{path}: holds no rows"),
        ("time,id,x,y\n0,a,1,2\n0,a,1,2\n", "{path}:3: time 0 of id a does not follow 0; sort by time"),
        ("time,id,x,y\n5,a,1,2\n4,a,1,2\n", "{path}:3: time 4 of id a does not follow 5; sort by time"),
        ("time,id,x,y\n0,a,east,2\n", "{path}:2: time, x and y must be numbers"),
        ("time,id,x,y\n0,a,1\n", "{path}:2: time, x and y must be numbers"),
        ("time,id,x,y\n0,a,nan,2\n", "{path}:2: time, x and y must be finite"),
        ("time,id,x,y\n0,a,1,inf\n", "{path}:2: time, x and y must be finite"),
        (
            "time,id,x,y\n0,a,x,2\n1,a,1,2\n\n1,a,1,2\n",
            (
                "{path}:2: time, x and y must be numbers\n"
                "{path}:5: time 1 of id a does not follow 1; sort by time"
            ),
        ),
    ],
)
def test_refusals_name_file_line_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    path = trace(tmp_path, text)
    with pytest.raises(TraceError) as refused:
        read_tracks(path)
    assert str(refused.value) == message.format(path=path)


def test_no_more_than_twenty_faults_are_told(tmp_path: Path) -> None:
    with pytest.raises(TraceError) as refused:
        read_tracks(trace(tmp_path, "time,id,x,y\n" + "0,a,x,y\n" * 50))
    assert len(str(refused.value).splitlines()) == 20


@pytest.mark.parametrize("text", [b"time,id,x,y\n0,\xff,1,2\n", b'time,id,x,y\n0,"' + b"a" * 200_000])
def test_what_is_no_csv_is_refused(tmp_path: Path, text: bytes) -> None:
    path = trace(tmp_path, text)
    with pytest.raises(TraceError, match="not a CSV file in UTF-8") as refused:
        read_tracks(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nowhere\.csv: No such file"):
        read_tracks(tmp_path / "nowhere.csv")
    with pytest.raises(TraceError, match="Is a directory"):
        read_tracks(tmp_path)


def test_a_huge_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MAX_BYTES", 10)
    with pytest.raises(TraceError, match="larger than"):
        read_tracks(trace(tmp_path, "time,id,x,y\n0,a,1,2\n"))
