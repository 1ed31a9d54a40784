"""What is varied: lists, ranges, what a file says, and what cannot be."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.analysis.sweeping import vary
from offload.analysis.sweeping.vary import VaryError
from offload.scenario.load import _value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1..4", ["1", "2", "3", "4"]),
        ("1..9 step 4", ["1", "5", "9"]),
        ("1..64 log count 4", ["1", "4", "16", "64"]),
        ("1..8 log", ["1", "2", "3", "4", "6", "8"]),  # 1 1.3 1.8 2.4 3.3 4.4 5.9 8
        ("0.5..1.0 count 2", ["0.5", "1.0"]),
        ("1.0..2.0 step 1", ["1.0", "2.0"]),
        ("-1..1", ["-1", "0", "1"]),
        ("50..400 Mbit/s step 100", ["50 Mbit/s", "150 Mbit/s", "250 Mbit/s", "350 Mbit/s"]),
        ("500 kbit/s..1 Mbit/s step 250 kbit/s", ["0.5 Mbit/s", "0.75 Mbit/s", "1 Mbit/s"]),
        ("0.1..0.3 s step 0.1 s", ["0.1 s", "0.2 s", "0.3 s"]),  # rounding must not leave out the last
        ("1 ms..1 s log count 2", ["0.001 s", "1 s"]),
        ("10..20 1/s count 2", ["10 1/s", "20 1/s"]),
        # Numbers that differ late are not taken for one.
        ("1000000..1000002 B step 1 B", ["1000000 B", "1000001 B", "1000002 B"]),
        ("9999..10000 s step 0.125 s", [f"{9999 + n / 8:.9g} s" for n in range(9)]),
        ("0.5..0.5000001 s count 3", ["0.5 s", "0.50000005 s", "0.5000001 s"]),
        ("0, 2..3, 8", ["0", "2", "3", "8"]),
        ("../profiles, a..b", ["../profiles", "a..b"]),  # no ranges
    ],
)
def test_ranges(text: str, values: list[str]) -> None:
    assert list(vary.read(f"key={text}").values) == values
    if "," not in text:
        assert vary.of("key", text, "file").values == vary.read(f"key={text}").values


def test_a_range_with_a_unit_has_eight_values() -> None:
    found = vary.read("links.cell.up=50..400 Mbit/s")
    assert found.numbers == tuple(50e6 * n for n in range(1, 9))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("8..1", "an empty range"),
        ("1..1", "an empty range"),
        ("1..1e999", "an empty range"),
        ("0..8 log", "logarithm"),
        ("1..8 log step 2", "log takes a count"),
        ("1..8 step 0", "more than 0"),
        ("1..8 count 0", "more than 0"),
        ("1..8 Mbit", 'no unit "Mbit"'),
        ("1 s..8 m", 'unit "s" is no length'),
        ("1..8 s step 1 W", 'unit "W" is no time'),
        ("1..100000", "more than 10000 values"),
        ("1..8 count 99999", "more than 10000 values"),
        ("1..8 s step 0.0001", "more than 10000 values"),
        (", ".join(f"{n}000..{n}999" for n in range(11)), "11000 values; at most 10000"),
    ],
)
def test_what_is_no_range(text: str, told: str) -> None:
    with pytest.raises(VaryError, match="--vary key:") as caught:
        vary.read(f"key={text}")
    assert told in str(caught.value)


def test_values_that_are_there_twice() -> None:
    with pytest.raises(VaryError, match=r"--vary key: 2 is there twice"):
        vary.read("key=1..3, 2").distinct()
    assert vary.read("key=1..3, 4").distinct().values == ("1", "2", "3", "4")


def test_each_whole_number_of_a_range_is_as_likely() -> None:
    found = vary.read("key=3..6")
    assert Counter(found.at((n + 0.5) / 400) for n in range(400)) == dict.fromkeys("3456", 100)
    assert {vary.read("key=a, b").at(share) for share in (0.0, 0.49)} == {"a"}
    assert {vary.read("key=a, b").at(share) for share in (0.5, 1.0)} == {"b"}


def test_half_way_along_a_logarithm_is_the_geometric_mean() -> None:
    assert vary.read("key=1..100 Mbit/s log").at(0.5) == "10 Mbit/s"
    assert vary.read("key=1..100 Mbit/s").at(0.5) == "50.5 Mbit/s"


def test_what_a_file_says() -> None:
    found = vary.of("nodes.a.servers", [1, "2", "50 Mbit/s", "3..4"], "x.toml:3")
    assert found.values == ("1", '"2"', "50 Mbit/s", "3", "4")
    with pytest.raises(VaryError, match=r"x\.toml:3 key: nothing to vary"):
        vary.of("key", [], "x.toml:3")


VALUES = st.recursive(
    st.booleans() | st.integers(-1000, 1000) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3)
    ),
)


@given(VALUES)
def test_a_value_of_a_file_is_read_again_as_it_was(value: object) -> None:
    assert _value(vary.toml(value)) == value
