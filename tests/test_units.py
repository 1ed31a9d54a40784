"""Quantities read from text, and seconds written for people."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.units import UNITS, Quantity, show_seconds

EVERY_UNIT = [(dimension, unit) for dimension, units in UNITS.items() for unit in units]


@pytest.mark.parametrize(
    ("dimension", "text", "value"),
    [
        ("time", "20 ms", 0.020),
        ("time", "20ms", 0.020),
        ("time", "  1.5   min ", 90.0),
        ("time", "2 h", 7200.0),
        ("time", "-3 us", -3e-6),
        ("time", "+7 ns", 7e-9),
        ("rate", "120 Mbit/s", 120e6),
        ("rate", "1 Gbit/s", 1e9),
        ("size", "60 kB", 60_000.0),
        ("size", "1_000 B", 1000.0),
        ("length", "0.2 km", 200.0),
        ("power", "1.2e3 mW", 1.2),
        ("frequency", "12 1/s", 12.0),
        ("frequency", "40 MHz", 40e6),
    ],
)
def test_text_becomes_si(dimension: str, text: str, value: float) -> None:
    assert Quantity(dimension).parse(text) == pytest.approx(value, rel=1e-15)


@given(
    st.sampled_from(EVERY_UNIT),
    st.floats(-1e300, 1e300, allow_nan=False),
    st.sampled_from(["", " ", "\t"]),
)
def test_whatever_python_writes_is_read(unit: tuple[str, str], number: float, space: str) -> None:
    dimension, name = unit
    if name[0].isdigit():
        space = " "  # "21/s" would be 2 and "1/s", or 21 and "/s"
    expected = number * UNITS[dimension][name]
    text = f"{number!r}{space}{name}"
    if math.isfinite(expected):
        assert Quantity(dimension).parse(text) == expected
    else:
        with pytest.raises(ValueError, match="not a finite number"):
            Quantity(dimension).parse(text)


@pytest.mark.parametrize(
    ("dimension", "example"),
    [("time", "20 s"), ("rate", "20 Mbit/s"), ("size", "20 kB"), ("byte rate", "20 MB/s")],
)
def test_examples_are_of_a_likely_size(dimension: str, example: str) -> None:
    with pytest.raises(ValueError, match=f'like "{example}"'):
        Quantity(dimension).parse(30)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (20, 'a bare number; write it with a unit, like "20 s"'),
        (0.02, 'a bare number; write it with a unit, like "20 s"'),
        (True, 'not a time; write a number and a unit, like "20 s"'),
        (None, 'not a time; write a number and a unit, like "20 s"'),
        (["20 ms"], 'not a time; write a number and a unit, like "20 s"'),
        ("", 'not a time; write a number and a unit, like "20 s"'),
        ("soon", 'not a time; write a number and a unit, like "20 s"'),
        ("ms 20", 'not a time; write a number and a unit, like "20 s"'),
        ("nan s", 'not a time; write a number and a unit, like "20 s"'),
        ("1" * 70 + " s", 'not a time; write a number and a unit, like "20 s"'),
        ("20", "the unit is missing; use one of s, ms, us, ns, min, h"),
        ("20 MS", 'unit "MS" is no time; use one of s, ms, us, ns, min, h'),
        ("20 kB", 'unit "kB" is no time; use one of s, ms, us, ns, min, h'),
        ("1e400 s", "not a finite number"),
    ],
)
def test_refusals_say_what_to_write(text: object, message: str) -> None:
    with pytest.raises(ValueError, match=r"^") as refused:
        Quantity("time").parse(text)
    assert str(refused.value) == message


@given(st.one_of(st.text(max_size=80), st.integers(), st.floats(), st.booleans(), st.none()))
def test_anything_is_a_finite_number_or_a_value_error(text: object) -> None:
    try:
        value = Quantity("rate").parse(text)
    except ValueError:
        return
    assert isinstance(text, str)
    assert math.isfinite(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0123, "12.3 ms"),
        (1.0, "1 s"),
        (61.28, "61.3 s"),
        (5e-6, "5 us"),
        (3.456e-9, "0.00346 us"),
        (0.0, "0 us"),
        (-0.02, "-20 ms"),
        (math.nan, "-"),
        (math.inf, "-"),
        (-math.inf, "-"),
    ],
)
def test_seconds_for_people(seconds: float, text: str) -> None:
    assert show_seconds(seconds) == text
