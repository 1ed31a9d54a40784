"""Traces of births: what is read, and what is refused with its line."""

from pathlib import Path

import pytest

from offload.world import birth_traces
from offload.world.birth_traces import read_births
from offload.world.traces import TraceError


@pytest.fixture
def written(tmp_path: Path):
    """Return a function that writes a file."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "births.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_times_are_read_for_each_device_in_order(written) -> None:
    found = read_births(written("device,time\ncar-1,0\ncar-0,0.5\ncar-1,0\ncar-1,2e0\n"))
    assert {name: list(times) for name, times in found.items()} == {
        "car-1": [0.0, 0.0, 2.0],
        "car-0": [0.5],
    }
    assert {name: list(times) for name, times in read_births(written("\ufefftime\n1\n3\n")).items()} == {
        None: [1.0, 3.0]
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", ":1: the header must be time, or time,device"),
        ("time,device,colour\n", ":1: the header must be time, or time,device"),
        ("device\ncar-0\n", ":1: the header must be time, or time,device"),
        ("time\n", ": holds no rows"),
        ("time\n1\n-2\n", ":3: time must be a number of seconds, not negative; it is '-2'"),
        ("time\nnan\n", ":2: time must be a number of seconds, not negative; it is 'nan'"),
        ("time\n1e999\n", ":2: time must be a number of seconds, not negative; it is '1e999'"),
        ("time\nnoon\n", ":2: time must be a number of seconds, not negative; it is 'noon'"),
        ("time,device\n1,a\n2,b\n0.5,a\n", ":4: time 0.5 does not follow 1; sort by time"),
        ("time,device\n1\n", ":2: has another number of columns than the header"),
        ("time\n1,a\n", ":2: has another number of columns than the header"),
        (b"time\n\xff\n", ": not a CSV file in UTF-8"),
    ],
)
def test_faults_are_told_with_their_line(text: str | bytes, fault: str, written) -> None:
    path = written(text)
    with pytest.raises(TraceError) as caught:
        read_births(path)
    assert str(caught.value).startswith(f"{path}{fault}")


def test_no_more_than_so_many(written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(birth_traces, "MOST_BIRTHS", 3)
    assert len(read_births(written("time\n1\n2\n3\n"))[None]) == 3
    with pytest.raises(TraceError, match=r"births\.csv:5: more than 3 births"):
        read_births(written("time\n1\n2\n3\n4\n5\n"))
    monkeypatch.setattr(birth_traces, "MAX_BYTES", 3)
    with pytest.raises(TraceError, match="larger than"):
        read_births(written("time\n1\n"))


def test_at_most_twenty_faults(written) -> None:
    with pytest.raises(TraceError) as caught:
        read_births(written("time\n" + "x\n" * 50))
    assert len(str(caught.value).splitlines()) == 20


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        read_births(tmp_path / "none.csv")
