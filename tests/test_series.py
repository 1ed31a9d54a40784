"""How busy places were over time: against hand-made spans, and nothing is lost between bins."""

import numpy as np
import polars as pl
import pytest

from offload.analysis.rows import SCHEMA
from offload.analysis.series import WHERE, covered, loads, seconds_in, where
from offload.analysis.spans import SCHEMA as SPANS

ALONE = pl.DataFrame(schema={"request": pl.Int64, "batch": pl.Int32})  # nobody was in a batch


def spans(*table: tuple[str, float, float, float]) -> pl.DataFrame:
    """Spans of (place, begin, end, work)."""
    return pl.DataFrame(
        [(n, "car-0", "edge", *each) for n, each in enumerate(table)], SPANS, orient="row"
    )


def test_work_is_the_end_of_a_span_and_waiting_what_comes_before() -> None:
    found = loads(
        spans(("box", 0.5, 3.5, 1.0), ("box", 1.0, 2.0, 1.0)), ALONE, np.array([0.0, 1.0, 2.0, 4.0])
    )
    assert found["box"].work_s.tolist() == pytest.approx([0.0, 1.0, 1.0])
    assert found["box"].waiting_s.tolist() == pytest.approx([0.5, 1.0, 0.5])


def test_a_batch_is_served_by_one_server_and_none_of_it_waits_meanwhile() -> None:
    """Four seconds of work, one of each member: each was drawn at the end, four servers at once."""
    table = spans(*[("box", begin, 6.0, 1.0) for begin in (0.0, 1.0, 1.5, 2.0)])
    batches = pl.DataFrame(
        {"request": range(4), "batch": [4] * 4}, {"request": pl.Int64, "batch": pl.Int32}
    )
    found = loads(table, batches, np.arange(7.0))["box"]
    assert found.work_s.tolist() == pytest.approx([0, 0, 1, 1, 1, 1])
    assert found.waiting_s.tolist() == pytest.approx([1, 2.5, 0, 0, 0, 0])
    # In the air there are no batches.
    sent = loads(table.with_columns(leg=pl.lit("uplink")), batches, np.arange(7.0))["box"]
    assert sent.work_s.tolist() == pytest.approx([0, 0, 0, 0, 0, 4])


def test_a_bin_is_covered_once_by_however_many() -> None:
    table = spans(
        ("a", 3.0, 4.0, 1.0), ("a", 0.5, 2.0, 1.0), ("b", 0.0, 9.0, 1.0), ("a", 1.0, 1.5, 0.5),
        ("a", 1.9, 2.5, 0.5),
    )  # fmt: skip
    found = covered(table, np.array([0.0, 1.0, 2.0, 3.0, 5.0]))
    assert found["a"].tolist() == pytest.approx([0.5, 1.0, 0.5, 1.0])
    assert found["b"].tolist() == pytest.approx([1.0, 1.0, 1.0, 2.0])
    assert not covered(spans(), np.array([0.0, 1.0]))


def test_places_are_apart_and_what_lies_beyond_the_edges_is_left_out() -> None:
    table = spans(("a", -1.0, 1.0, 2.0), ("b", 1.5, 9.0, 7.5), ("b", 5.0, 6.0, 0.5))
    found = loads(table, ALONE, np.array([0.0, 1.0, 2.0]))
    assert list(found) == ["a", "b"]
    assert found["a"].work_s.tolist() == pytest.approx([1.0, 0.0])
    assert found["b"].work_s.tolist() == pytest.approx([0.0, 0.5])
    assert not found["b"].waiting_s.any()


def test_bins_add_up_to_all_spans() -> None:
    rng = np.random.default_rng(5)
    begin_s = rng.uniform(0, 50, 3000)
    took_s = rng.exponential(2.0, 3000)
    work_s = took_s * rng.uniform(0, 1, 3000)
    table = [("box", b, b + t, w) for b, t, w in zip(begin_s, took_s, work_s, strict=True)]
    edges_s = np.array([0.0, *np.sort(rng.uniform(0, 60, 40)), 100.0])
    load = loads(spans(*table), ALONE, edges_s)["box"]
    assert load.work_s.sum() == pytest.approx(work_s.sum(), rel=1e-9)
    assert load.waiting_s.sum() == pytest.approx((took_s - work_s).sum(), rel=1e-9)
    # Each bin against adding up overlaps one by one.
    for low, high, seconds in zip(edges_s, edges_s[1:], load.work_s, strict=False):
        ends = begin_s + took_s
        overlap = np.minimum(ends, high) - np.maximum(ends - work_s, low)
        assert seconds == pytest.approx(np.maximum(overlap, 0.0).sum(), abs=1e-9)


def test_nothing_takes_no_time() -> None:
    nothing = np.array([])
    assert seconds_in(nothing, nothing, np.array([0.0, 1.0, 2.0])).tolist() == [0.0, 0.0]
    assert not loads(spans(), ALONE, np.array([0.0, 1.0]))


def rows(*table: dict[str, object]) -> pl.DataFrame:
    usual = {"plan": "a plan", "device_cut": 0}
    return pl.DataFrame([{"request": n, **usual, **each} for n, each in enumerate(table)], SCHEMA)


def test_requests_are_counted_by_birth_and_by_where_they_ran() -> None:
    found = where(
        rows(
            {"born_s": 0.1, "device_cut": 5},
            {"born_s": 0.2, "device_cut": 0, "edge": "e"},
            {"born_s": 1.2, "device_cut": 2, "edge": "e"},
            {"born_s": 1.3, "device_cut": 2, "cloud": "c"},
            {"born_s": 1.4, "device_cut": 0, "edge": "e", "cloud": "c"},
            {"born_s": 1.5, "device_cut": 2, "edge": "e", "cloud": "c"},
            {"born_s": 1.6, "device_cut": 0, "cloud": "c"},
            {"born_s": 1.7, "device_cut": 0, "edge": "e", "codec": "uint8"},
            {"born_s": 0.9, "plan": None, "device_cut": None},
        ),
        np.array([0.0, 1.0, 2.0]),
    )
    assert {name: counts.tolist() for name, counts in found.items()} == {
        "device": [1, 0], "device + edge": [0, 2], "device + cloud": [0, 1],
        "device + edge + cloud": [0, 1], "edge": [1, 0], "edge + cloud": [0, 1], "cloud": [0, 1],
        "no plan": [1, 0],
    }  # fmt: skip
    assert tuple(found) == WHERE


def test_frames_of_several_networks_are_told_of_by_their_stages() -> None:
    found = where(
        rows(
            {"born_s": 0.1, "plan": None, "device_cut": None},
            {"born_s": 0.1, "parent": 0, "edge": "e"},
            {"born_s": 0.2, "parent": 0, "edge": "e"},
        ),
        np.array([0.0, 1.0]),
    )
    assert {name: counts.tolist() for name, counts in found.items()} == {"edge": [2]}
