"""What one replication comes to: the measures of its rows."""

import math
from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from offload.analysis.rows import chunks

MEASURES = (
    "useful", "on_time", "latency_mean_s", "latency_p50_s", "latency_p95_s", "latency_p99_s",
    "energy_j", "accuracy", "money",
)  # fmt: skip
FEWEST_EXCEEDANCES = 10
BINS = 200
# Of the rows, those on which the measures rest.
COLUMNS = (
    "parent", "born_s", "ended_s", "latency_s", "cause", "on_time", "correct", "energy_j", "money",
    "share_gap_s",
)  # fmt: skip

Floats = npt.NDArray[np.float64]


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


class Tally:
    """Adds up the rows of one replication, given in any number of frames.

    Of the rows it keeps one column, the latencies of those that count: 8 bytes each, since quantiles
    are exact. All else is sums, frame by frame: of the same rows in other frames they may differ in the
    last bits.
    """

    def __init__(self, warm_up_s: float, duration_s: float, *, judged: bool = True) -> None:
        """Count requests born after the warm-up; bins show the whole run."""
        self.warm_up_s = warm_up_s
        self.edges = np.linspace(0.0, duration_s, BINS + 1)
        self.judged = judged
        self.births = np.zeros(BINS, np.int64)
        self.stays_s = np.zeros(BINS)
        self.under_way = np.zeros(BINS, np.int64)
        self.latencies_s = array("d")
        self.counts = dict.fromkeys(("finished", "unjudged", "priceless", "gaps"), 0)
        self.sums = dict.fromkeys(("on_time", "right", "correct", "energy_j", "money", "gaps_s"), 0.0)
        self.latency_s = 0.0

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows. A frame of several networks counts once: rows that have a parent do not."""
        frame = frame.select(COLUMNS).filter(pl.col("parent").is_null())
        self._add_to_bins(frame["born_s"].to_numpy(), frame["ended_s"].to_numpy())
        counted = frame.filter(pl.col("born_s") >= self.warm_up_s)
        finished = counted.filter(pl.col("cause") == "")
        gaps_s = counted["share_gap_s"].drop_nulls()
        latencies_s = counted["latency_s"].fill_null(math.inf).to_numpy()
        self.latencies_s.frombytes(latencies_s.tobytes())
        self.latency_s += float(latencies_s.sum())
        self.counts["finished"] += finished.height
        self.counts["unjudged"] += finished["correct"].null_count()
        self.counts["priceless"] += counted["money"].null_count()
        self.counts["gaps"] += len(gaps_s)
        right = counted["on_time"] & counted["correct"].fill_null(value=False)
        for key, column in {
            "on_time": counted["on_time"], "right": right, "correct": finished["correct"],
            "energy_j": counted["energy_j"], "money": counted["money"],
        }.items():  # fmt: skip
            self.sums[key] += float(column.sum() or 0.0)
        self.sums["gaps_s"] += float(gaps_s.to_numpy().sum())

    def _add_to_bins(self, born_s: Floats, ended_s: Floats) -> None:
        births, _ = np.histogram(born_s, self.edges)
        stays_s, _ = np.histogram(born_s, self.edges, weights=ended_s - born_s)
        self.births += births
        self.stays_s += stays_s
        for times_s, sign in ((born_s, 1), (ended_s, -1)):
            self.under_way += sign * np.searchsorted(np.sort(times_s), self.edges[1:])

    def summary(self) -> Summary:
        """Compute the measures of all that was added."""
        n, counts = len(self.latencies_s), self.counts
        values = dict.fromkeys(MEASURES, math.nan)
        if n:
            values |= {key: self.sums[key] / n for key in ("on_time", "energy_j")}
            if self.judged and not counts["unjudged"]:
                values["useful"] = self.sums["right"] / n
                if counts["finished"]:
                    values["accuracy"] = self.sums["correct"] / counts["finished"]
            if not counts["priceless"]:
                values["money"] = self.sums["money"] / n
            if counts["finished"] == n:
                values["latency_mean_s"] = self.latency_s / n
        values |= self._quantiles()
        with np.errstate(invalid="ignore"):
            stays_s = np.where(self.births > 0, self.stays_s / np.maximum(self.births, 1), np.nan)
        return Summary(
            n, n - counts["finished"], values, counts["gaps"] / max(1, n),
            self.sums["gaps_s"] / counts["gaps"] if counts["gaps"] else math.nan,
            tuple(stays_s.tolist()), tuple(self.under_way.tolist()), tuple(self.births.tolist()),
        )  # fmt: skip

    def _quantiles(self) -> dict[str, float]:
        """Return the quantiles that enough requests exceed; they are found in place."""
        latencies_s = np.asarray(self.latencies_s)
        return {
            f"latency_p{percent}_s": float(
                np.quantile(latencies_s, percent / 100, method="inverted_cdf", overwrite_input=True)
            )
            for percent in (50, 95, 99)
            if len(latencies_s) * (100 - percent) / 100 >= FEWEST_EXCEEDANCES
        }


def summarise(
    rows: pl.DataFrame | pl.LazyFrame, warm_up_s: float, duration_s: float, *, judged: bool = True
) -> Summary:
    """Compute the measures over requests born after the warm-up.

    useful: share answered correctly before the deadline; not defined if for any finished one nobody
    can say whether it was correct, nor where that holds for the scenario (`judged` is false). Latency
    quantiles count what did not finish as infinite; the mean is not defined if anything did not
    finish. Energy is that of the device, per request, and so is money, where anything has a price. A
    frame that needs several networks counts once.

    Rows may be those of a file that is larger than memory (`pl.scan_parquet`): see Tally.
    """
    tally = Tally(warm_up_s, duration_s, judged=judged)
    for frame in chunks(rows, *COLUMNS):
        tally.add(frame)
    return tally.summary()
