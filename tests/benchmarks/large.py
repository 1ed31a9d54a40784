"""One long run of workload W to a Parquet file: wall and CPU time, peak memory, size of the file.

    python tests/benchmarks/large.py [--requests 10000000] [--devices 1000] [--out FOLDER]

The run is `offload run`, in a process of its own; its peak is what the system says of it when it has
ended (`ru_maxrss`). The rows are then counted in the file, and their mean wait is held against theory.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import workload_w as w

SCRIPT = "from offload.cli import main; main()"


def measure(requests: int, devices: int, folder: Path) -> tuple[float, float, float]:
    """Run W into a folder; return wall seconds, CPU seconds and peak MB of the process."""
    scenario = folder / "w.toml"
    scenario.write_text(w.scenario(devices, requests))
    call = [sys.executable, "-c", SCRIPT, "run", scenario, "--out", folder / "out"]
    begun = time.monotonic()
    done = subprocess.run(call, check=False, stdout=sys.stderr)
    wall_s = time.monotonic() - begun
    if done.returncode:
        sys.exit(done.returncode)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="keep the files here (by default they are removed)")
    given = parser.parse_args()
    folder = given.out or Path(tempfile.mkdtemp(prefix="offload-large-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        wall_s, cpu_s, peak_mb = measure(given.requests, given.devices, folder)
        import polars as pl  # only now: what this process holds must not count as the child's

        (file,) = (folder / "out").rglob("requests.parquet")
        rows, wait_s = (
            pl.scan_parquet(file)
            .select(rows=pl.len(), wait_s=pl.col("edge_s").mean() - w.SERVICE_S)
            .collect(engine="streaming")
            .row(0)
        )
        print(f"{rows:,} rows of {given.devices} devices in {wall_s:.1f} s ({cpu_s:.1f} s of CPU)")
        print(f"{rows / cpu_s:,.0f} a CPU second, start and file included")
        print(f"peak memory {peak_mb:,.0f} MB, file {file.stat().st_size / 1e6:,.1f} MB")
        print(f"mean wait {wait_s * 1e3:.3f} ms, theory {w.WAIT_S * 1e3:.3f} ms")
        if not w.agrees(rows, wait_s, given.requests):
            sys.exit("these are not the rows of W")
    finally:
        if given.out is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
