"""The command that lets SUMO make traffic: traffic."""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from offload.cli.common import BadInputError, Json, clear_errors, quantity

Config = Annotated[Path | None, typer.Argument(help="A SUMO configuration (.sumocfg); or give --grid.")]
Out = Annotated[Path, typer.Option(help="The trace to write (Parquet).")]
Grid = Annotated[str | None, typer.Option(help="Make a grid of streets, like 10x10.")]
Spacing = Annotated[str, typer.Option(help="From street to street of the grid.")]
Vehicles = Annotated[int, typer.Option(min=1, max=100_000, help="How many set out in the grid.")]
Duration = Annotated[str, typer.Option(help="For how long, in the grid.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Instead of SUMO's own.")]
Tolerance = Annotated[
    str, typer.Option(help="Leave out points that lie this near a straight line at constant speed.")
]


def traffic(
    out: Out,
    config: Config = None,
    grid: Grid = None,
    spacing: Spacing = "200 m",
    vehicles: Vehicles = 600,
    duration: Duration = "600 s",
    seed: Seed = None,
    tolerance: Tolerance = "0.5 m",
    json_: Json = False,
) -> None:
    """Run SUMO and write where its vehicles were, for mobility = { trace = FILE } of a scenario."""
    from offload.world import sumo
    from offload.world.traces import write_trace

    with clear_errors():
        if (config is None) == (grid is None):
            msg = "give either a SUMO configuration or --grid, like --grid 10x10"
            raise BadInputError(msg)
        tolerance_m = quantity("--tolerance", "length", tolerance)
        if not 0 <= tolerance_m <= 100:
            msg = f"--tolerance {tolerance}: must lie between 0 m and 100 m"
            raise BadInputError(msg)
        made = {"sumo": sumo.package().version, "tolerance_m": f"{tolerance_m:g}"}
        if config is not None:
            trace = sumo.record(config, tolerance_m, seed)
            made |= {"from": config.name, "seed": "the configuration's" if seed is None else str(seed)}
        else:
            streets, spacing_m, duration_s = _grid(grid or "", spacing, duration)
            with TemporaryDirectory() as folder:
                made_config = sumo.make_grid(
                    Path(folder), streets, spacing_m, vehicles, duration_s, seed or 0
                )
                trace = sumo.record(made_config, tolerance_m)
            made |= {
                "from": f"netgenerate, randomTrips: --grid {grid} --spacing {spacing}"
                f" --vehicles {vehicles} --duration {duration}",
                "seed": str(seed or 0),
            }
        points = write_trace(out, trace, made)
    told = {
        "file": str(out), "vehicles": len(trace.tracks), "starts_s": trace.starts_s,
        "ends_s": trace.ends_s, "points": points, "bytes": out.stat().st_size,
    }  # fmt: skip
    typer.echo(
        json.dumps(told)
        if json_
        else f"{out}: {told['vehicles']} vehicles from {trace.starts_s:g} s to {trace.ends_s:g} s,"
        f" {points} points, {out.stat().st_size / 1e3:.0f} kB"
    )


def _grid(grid: str, spacing: str, duration: str) -> tuple[tuple[int, int], float, float]:
    match = re.fullmatch(r"(\d{1,3})x(\d{1,3})", grid)
    streets = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(streets) < 2:
        msg = f"--grid {grid}: write how many streets along x and along y, like 10x10; at least 2x2"
        raise BadInputError(msg)
    spacing_m = quantity("--spacing", "length", spacing)
    if not 20 <= spacing_m <= 10_000:
        msg = f"--spacing {spacing}: must lie between 20 m and 10 km"
        raise BadInputError(msg)
    duration_s = quantity("--duration", "time", duration)
    if not 1 <= duration_s <= 86_400:
        msg = f"--duration {duration}: must lie between 1 s and 24 h"
        raise BadInputError(msg)
    return streets, spacing_m, duration_s
