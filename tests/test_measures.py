"""Measures of rows made by hand."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from offload.analysis.measures import BINS, Summary, summarise

INFINITE = float("inf")


def rows(latencies: list[float | None], **columns: Any) -> pl.DataFrame:
    """Return rows born a second apart with a deadline of 100 ms; None did not finish."""
    n = len(latencies)
    finished = [each is not None for each in latencies]
    usual: dict[str, Any] = {
        "born_s": [float(number) for number in range(n)],
        "ended_s": [number + (0.5 if each is None else each) for number, each in enumerate(latencies)],
        "latency_s": latencies,
        "on_time": [each is not None and each <= 0.1 for each in latencies],
        "correct": [True if each else None for each in finished],
        "cause": ["" if each else "late" for each in finished],
        "energy_j": [1.0] * n,
        "money": [None] * n,
        "parent": [None] * n,
        "share_gap_s": [None] * n,
    }
    return pl.DataFrame(
        usual | columns,
        schema_overrides={
            "latency_s": pl.Float64,
            "correct": pl.Boolean,
            "on_time": pl.Boolean,
            "share_gap_s": pl.Float64,
            "money": pl.Float64,
        },
    )


def of(frame: pl.DataFrame, warm_up_s: float = 0.0) -> Summary:
    """Return the summary of a run as long as it has rows."""
    return summarise(frame, warm_up_s, float(max(1, frame.height)))


def test_four_rows_by_hand() -> None:
    frame = rows(
        [0.05, 0.20, None, 0.10], correct=[True, True, None, False], energy_j=[1.0, 2.0, 3.0, 6.0]
    )
    found = of(frame)
    assert (found.requests, found.unfinished) == (4, 1)
    assert found.values["on_time"] == 0.5
    assert found.values["useful"] == 0.25  # right and on time, of all that were born
    assert found.values["accuracy"] == pytest.approx(2 / 3)  # of what finished
    assert found.values["energy_j"] == 3.0  # what did not finish cost energy too
    assert math.isnan(found.values["latency_mean_s"])


def test_the_mean_is_there_if_all_finished() -> None:
    assert of(rows([0.1, 0.2, 0.3])).values["latency_mean_s"] == pytest.approx(0.2)


def test_useful_is_not_defined_where_nobody_can_say_what_is_right() -> None:
    found = of(rows([0.05, 0.05, None], correct=[True, None, None])).values
    assert math.isnan(found["useful"])
    assert math.isnan(found["accuracy"])
    assert found["on_time"] == pytest.approx(2 / 3)


def test_useful_is_zero_where_nothing_finished() -> None:
    found = of(rows([None, None])).values
    assert found["useful"] == found["on_time"] == 0.0
    assert math.isnan(found["accuracy"])


@pytest.mark.parametrize(
    ("n", "quantile", "there"),
    [
        (19, 50, False), (20, 50, True),
        (199, 95, False), (200, 95, True),
        (999, 99, False), (1000, 99, True),
    ],
)  # fmt: skip
def test_a_quantile_needs_ten_exceedances(n: int, quantile: int, there: bool) -> None:
    found = of(rows([0.001 * number for number in range(1, n + 1)])).values[f"latency_p{quantile}_s"]
    assert math.isfinite(found) is there
    if there:  # ten or more lie above
        assert sum(0.001 * number > found for number in range(1, n + 1)) >= 10
        assert found == pytest.approx(0.001 * n * quantile / 100)


def test_the_unfinished_count_as_infinitely_late() -> None:
    latencies: list[float | None] = [0.01] * 189 + [None] * 11
    assert of(rows(latencies)).values["latency_p95_s"] == INFINITE
    assert of(rows([0.01] * 190 + [None] * 10)).values["latency_p95_s"] == 0.01
    assert of(rows(latencies)).values["latency_p50_s"] == 0.01


def test_only_what_is_born_after_the_warm_up_counts() -> None:
    frame = rows([None, 0.5, 0.05, 0.06])
    found = of(frame, warm_up_s=2.0)
    assert (found.requests, found.unfinished, found.values["on_time"]) == (2, 0, 1.0)
    assert found.values["latency_mean_s"] == pytest.approx(0.055)
    assert sum(found.births) == 4  # the bins show the whole run


def test_nothing_born_is_nothing_known() -> None:
    found = of(rows([]))
    assert (found.requests, found.unfinished) == (0, 0)
    assert all(math.isnan(value) for value in found.values.values())


def test_bins_against_counting() -> None:
    frame = rows([0.7, 30.0, 2.5, None, 0.1] * 20)
    found = of(frame)
    width = 100 / BINS
    assert len(found.stays) == len(found.under_way) == len(found.births) == BINS
    born, ended = frame["born_s"].to_list(), frame["ended_s"].to_list()
    for number in range(BINS - 1):
        low, high = number * width, (number + 1) * width
        stays = [e - b for b, e in zip(born, ended, strict=True) if low <= b < high]
        assert found.births[number] == len(stays)
        if stays:
            assert found.stays[number] == pytest.approx(sum(stays) / len(stays))
        else:
            assert math.isnan(found.stays[number])
        # At the very end of a bin: born before it, and not ended before it.
        assert found.under_way[number] == sum(b < high <= e for b, e in zip(born, ended, strict=True))


def test_many_rows_in_pieces_come_to_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    latencies = [None if each > 0.19 else float(each) for each in rng.uniform(0, 0.2, 3000)]
    frame = rows(
        latencies,
        correct=[None if each is None else each < 0.15 for each in latencies],
        parent=[None if number % 7 else 1 for number in range(3000)],
        energy_j=rng.random(3000),
        money=rng.random(3000),
        share_gap_s=[float(number) if number % 3 else None for number in range(3000)],
    )
    whole = summarise(frame, 100.0, 3000.0)
    roots = frame.filter(pl.col("parent").is_null(), pl.col("born_s") >= 100.0)
    assert whole.requests == roots.height == len(whole_latencies(roots))
    for percent in (50, 95, 99):
        at = whole_latencies(roots)[math.ceil(roots.height * percent / 100) - 1]
        assert whole.values[f"latency_p{percent}_s"] == at
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=130)
    monkeypatch.setattr("offload.analysis.rows.CHUNK", 128)
    for source in (frame, frame.lazy(), pl.scan_parquet(tmp_path / "rows.parquet")):
        found = summarise(source, 100.0, 3000.0)
        assert found.values == pytest.approx(whole.values, rel=1e-12, nan_ok=True)
        assert found.stays == pytest.approx(whole.stays, rel=1e-12, nan_ok=True)
        assert (found.births, found.under_way) == (whole.births, whole.under_way)
        assert (found.requests, found.unfinished) == (whole.requests, whole.unfinished)
        assert found.doubtful == whole.doubtful
        assert found.share_gap_s == pytest.approx(whole.share_gap_s, rel=1e-12)


def whole_latencies(frame: pl.DataFrame) -> list[float]:
    return sorted(frame["latency_s"].fill_null(INFINITE).to_list())


def test_what_rests_on_shares_of_layers() -> None:
    found = of(rows([0.05, 0.2, None, 0.1], share_gap_s=[None, 0.002, 0.004, None]))
    assert found.doubtful == 0.5
    assert found.share_gap_s == pytest.approx(0.003)
    none = of(rows([0.05]))
    assert none.doubtful == 0.0
    assert math.isnan(none.share_gap_s)
