"""SUMO, run as a program to make traffic and to record it; needs the extra `sumo`."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory

from offload.entities import OffloadError
from offload.world.traces import Trace, read_trace


class SumoError(OffloadError):
    """SUMO is missing, or refused what it was given; the message ends with its own words."""


def package() -> Distribution:
    """Return the installed SUMO. Raises SumoError."""
    try:
        return distribution("eclipse-sumo")
    except PackageNotFoundError:
        msg = 'SUMO is not installed; try: pip install "eclipse-sumo>=1.28,<2"'
        raise SumoError(msg) from None


def _home() -> Path:
    return Path(str(package().locate_file("sumo")))


def record(config: Path, tolerance_m: float, seed: int | None = None) -> Trace:
    """Run a SUMO configuration without a window, and return where its vehicles were.

    The seed is the configuration's own if none is given. Raises SumoError and TraceError.
    """
    program = _home() / "bin" / "sumo"
    if not config.is_file():
        msg = f"{config}: no such file; give a SUMO configuration (.sumocfg)"
        raise SumoError(msg)
    with TemporaryDirectory() as folder:
        # XML tells of times without vehicles too; packed, since it is ten times smaller so.
        fcd = Path(folder) / "fcd.xml.gz"
        options = ["--fcd-output", str(fcd), "--no-step-log", "--no-warnings", "--duration-log.disable"]
        chance = [] if seed is None else ["--seed", str(seed)]
        _run([str(program), "-c", str(config.resolve()), *options, *chance], Path(folder))
        return read_trace(fcd, tolerance_m=tolerance_m)


def make_grid(
    folder: Path, streets: tuple[int, int], spacing_m: float, vehicles: int, duration_s: float, seed: int
) -> Path:
    """Write a grid of streets with signals, and trips through it, and return the configuration.

    Two lanes in each direction; vehicles set out evenly over the time, most of them from beyond the edge
    of the grid to beyond another. Raises SumoError.
    """
    tools = _home()
    _run([
        str(tools / "bin" / "netgenerate"), "--grid",
        "--grid.x-number", str(streets[0]), "--grid.y-number", str(streets[1]),
        "--grid.length", str(spacing_m), "--grid.attach-length", str(spacing_m),
        "--default.lanenumber", "2", "--default-junction-type", "traffic_light",
        "--seed", str(seed), "--output-file", "net.xml",
    ], folder)  # fmt: skip
    _run([
        sys.executable, str(tools / "tools" / "randomTrips.py"), "--net-file", "net.xml",
        "--output-trip-file", "trips.xml", "--begin", "0", "--end", str(duration_s),
        "--period", str(duration_s / vehicles), "--fringe-factor", "10", "--seed", str(seed),
    ], folder)  # fmt: skip
    config = folder / "grid.sumocfg"
    config.write_text(
        '<configuration><net-file value="net.xml"/><route-files value="trips.xml"/>'
        f'<end value="{duration_s}"/><seed value="{seed}"/></configuration>\n'
    )
    return config


def _run(command: Sequence[str], folder: Path) -> None:
    environment = os.environ | {"SUMO_HOME": str(_home())}
    done = subprocess.run(  # noqa: S603 - the installed package's own programs
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        msg = f"{Path(command[0]).name} failed:\n" + "\n".join(said[-5:])
        raise SumoError(msg)
