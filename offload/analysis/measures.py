"""What one replication comes to: the measures of its rows."""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

MEASURES = (
    "useful", "on_time", "latency_mean_s", "latency_p50_s", "latency_p95_s", "latency_p99_s",
    "energy_j", "accuracy", "money",
)  # fmt: skip
FEWEST_EXCEEDANCES = 10
BINS = 200


@dataclass(frozen=True, slots=True)
class Summary:
    """The measures of one replication; NaN where a measure is not defined.

    `stays` is the time in the system by time of birth, in BINS bins of the whole run; `under_way` how
    many requests were in the system at the ends of the bins. `doubtful` is the share of requests whose
    network was divided where two opinions on its layers differ, `share_gap_s` by how much on average.
    """

    requests: int
    unfinished: int
    values: dict[str, float]
    doubtful: float
    share_gap_s: float
    stays: tuple[float, ...]
    under_way: tuple[int, ...]
    births: tuple[int, ...]


def bins(frame: pl.DataFrame, duration_s: float) -> tuple[list[float], list[int], list[int]]:
    """Return mean stay, number under way and births for each bin of the run."""
    edges = np.linspace(0.0, duration_s, BINS + 1)
    born, ended = frame["born_s"].to_numpy(), frame["ended_s"].to_numpy()
    births, _ = np.histogram(born, edges)
    total, _ = np.histogram(born, edges, weights=ended - born)
    with np.errstate(invalid="ignore"):
        stays = np.where(births > 0, total / np.maximum(births, 1), np.nan)
    at_ends = np.searchsorted(np.sort(born), edges[1:]) - np.searchsorted(np.sort(ended), edges[1:])
    return stays.tolist(), at_ends.tolist(), births.tolist()


def summarise(
    frame: pl.DataFrame, warm_up_s: float, duration_s: float, *, judged: bool = True
) -> Summary:
    """Compute the measures over requests born after the warm-up.

    useful: share answered correctly before the deadline; not defined if for any finished one nobody
    can say whether it was correct, nor where that holds for the scenario (`judged` is false). Latency
    quantiles count what did not finish as infinite; the mean is not defined if anything did not
    finish. Energy is that of the device, per request, and so is money, where anything has a price. A
    frame that needs several networks counts once: rows that have a parent do not.
    """
    frame = frame.filter(pl.col("parent").is_null())
    stays, under_way, births = bins(frame, duration_s)
    counted = frame.filter(pl.col("born_s") >= warm_up_s)
    finished = counted.filter(pl.col("cause") == "")
    n = counted.height
    values = dict.fromkeys(MEASURES, math.nan)
    if n:
        known = judged and finished["correct"].null_count() == 0
        for key in ("on_time", "energy_j"):
            values[key] = float(counted.select(pl.col(key).mean()).item())
        if known:
            right = counted.select((pl.col("on_time") & pl.col("correct").fill_null(value=False)).mean())
            values["useful"] = float(right.item())
            if finished.height:
                values["accuracy"] = float(finished.select(pl.col("correct").mean()).item())
        if counted["money"].null_count() == 0:
            values["money"] = float(counted.select(pl.col("money").mean()).item())
        latency = counted["latency_s"].fill_null(math.inf).to_numpy()
        values["latency_mean_s"] = float(latency.mean()) if finished.height == n else math.nan
        for quantile in (50, 95, 99):
            if n * (100 - quantile) / 100 >= FEWEST_EXCEEDANCES:
                at = np.quantile(latency, quantile / 100, method="inverted_cdf")
                values[f"latency_p{quantile}_s"] = float(at)
    gaps = counted["share_gap_s"].drop_nulls()
    return Summary(
        n, n - finished.height, values, len(gaps) / max(1, n), math.nan if gaps.is_empty() else
        float(gaps.to_numpy().mean()), tuple(stays), tuple(under_way), tuple(births),
    )  # fmt: skip
