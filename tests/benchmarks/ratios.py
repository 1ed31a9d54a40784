"""Requests a CPU second on W: this project, bare SimPy, a loop by hand, and packages from PyPI.

    python tests/benchmarks/ratios.py [--peers [FOLDER]] [--turns 5] [--markdown]

`workload_w.py` says what W is, a file of `peers/` how one of them simulates it and what that leaves out.
They run in turns, each time in a process of its own. Printed are medians over the turns, the share of
the loop's speed in the same turn (with the least and the most), peak memory, and the mean wait at the
server. The command fails where rows or waits are not those of W. The crossing is held against the loop
at the first N.

Peers are no dependencies: `--peers` puts each with the versions that its file names into an environment
of its own, kept in FOLDER. Left out are those that cannot say W: ECLYPSE (loads, no requests), SimFaaS
(no request waits); AirFogSim, which wants a web server; desmod, which is SimPy with configuration; and
what cannot be installed: YAFS, EdgeSimPy, faas-sim and RayCloudSim are not on PyPI, happysim wants
Python 3.13, greensim a greenlet that does not build on 3.11, PureEdgeSim is Java.
"""

import argparse
import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import workload_w as w

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "offload-peers"
CROSSING = "urban-intersection, quickest"
FLOOR = "heapq"
SIMPY = f"simpy {version('simpy')}"
OWN = {"offload": "ours", CROSSING: "crossing", FLOOR: "loop", SIMPY: "simpy"}


@dataclass(frozen=True)
class Program:
    """A file of `peers/`, the Python that runs it, and the most requests that it is asked for."""

    name: str
    file: str
    python: Path = Path(sys.executable)
    most: int = sys.maxsize
    note: str = ""


@dataclass(frozen=True)
class Ran:
    """What a program printed, and what it should have simulated."""

    program: Program
    requests: int
    rows: float
    seconds: float
    wait_s: float
    peak_mb: float

    @property
    def per_s(self) -> float:
        """Rows a CPU second."""
        return self.rows / self.seconds

    @property
    def right(self) -> bool:
        """Whether it did what W is; the crossing is not W."""
        return self.program.name == CROSSING or w.agrees(self.rows, self.wait_s, self.requests)


Told = dict[tuple[str, int], list[Ran]]  # by the program's name and N


class LeftOutError(Exception):
    """A peer that cannot be installed or does not run: why."""


def run(program: Program, devices: int, requests: int) -> Ran:
    """Run a program once. Raises LeftOutError if it fails."""
    requests = min(requests, program.most)
    call = [program.python, "-m", f"peers.{program.file}", str(devices), str(requests)]
    environment = dict(os.environ)
    if program.python != Path(sys.executable):
        environment.pop("PYTHONPATH", None)
    done = subprocess.run(call, cwd=HERE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LeftOutError((done.stderr.strip() or "no message").splitlines()[-1])
    return Ran(program, requests, *map(float, done.stdout.splitlines()[-1].split()))


def said(path: Path) -> dict[str, Any]:
    """Read what a script says that it needs (PEP 723), and what it says to this command."""
    block = re.search(r"^# /// script\n(.*?)^# ///$", path.read_text(), re.MULTILINE | re.DOTALL)[1]
    lines = (line.removeprefix("#").removeprefix(" ") for line in block.splitlines())
    return tomllib.loads("\n".join(lines))


def peer(path: Path, folder: Path) -> Program:
    """Put a peer into an environment of its own. Raises LeftOutError."""
    told = said(path)
    needs = told["dependencies"]
    known_as = f"{needs} {sys.version_info[:2]}"
    home = folder / f"{path.stem}-{hashlib.blake2b(known_as.encode(), digest_size=6).hexdigest()}"
    python = home / "bin" / "python"
    if not (home / "whole").exists():
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home)
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", *needs]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            msg = f"not installed: {errors[-1] if errors else done.stderr[-200:]}"
            raise LeftOutError(msg)
        (home / "whole").touch()
    note = " ".join(ast.get_docstring(ast.parse(path.read_text())).split())
    most = told.get("tool", {}).get("ratios", {}).get("requests", sys.maxsize)
    return Program(needs[0].replace("==", " "), path.stem, python, most, note)


def peers(folder: Path) -> list[Program]:
    """Return the peers that are installed and run, and say which are left out."""
    found = []
    for path in sorted((HERE / "peers").glob("*.py")):
        if path.stem not in OWN.values():
            print(f"installing {path.stem}", file=sys.stderr)
            try:
                found.append(peer(path, folder))
                run(found[-1], 10, 200)
            except LeftOutError as error:
                found = [each for each in found if each.file != path.stem]
                print(f"left out: {path.stem}: {error}")
    return found


def cells(devices: int, ran: list[Ran], floor: list[Ran]) -> list[str]:
    """Write a row of the table; `ran` and `floor` are of the same turns."""
    shares = [mine.per_s / its.per_s for mine, its in zip(ran, floor, strict=True)]
    crossing = ran[0].program.name == CROSSING
    return [
        "" if crossing else str(devices),
        ran[0].program.name,
        f"{median(each.per_s for each in ran):,.0f}",
        f"{median(shares):.3f}",
        f"{min(shares):.3f}-{max(shares):.3f}",
        f"{median(each.peak_mb for each in ran):.0f}",
        "" if crossing else f"{median(each.wait_s for each in ran) * 1e3:.2f}",
    ]


def table(rows: list[list[str]], *, markdown: bool) -> str:
    """Lay rows out; the first is the head, the second column text."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        [f"{cell:{'<' if column == 1 else '>'}{wide[column]}}" for column, cell in enumerate(row)]
        for row in rows
    ]
    if not markdown:
        return "\n".join("  ".join(line) for line in lines)
    rule = ["-" * n if column == 1 else "-" * (n - 1) + ":" for column, n in enumerate(wide)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def flatness(told: Told) -> list[str]:
    """Say by how much the cost of a request differs between numbers of devices: most over least."""
    costs: dict[str, list[float]] = {}
    for (name, _), ran in told.items():
        costs.setdefault(name, []).append(1 / median(each.per_s for each in ran))
    return [f"{name} {max(each) / min(each):.2f}" for name, each in costs.items() if name != CROSSING]


def positive(text: str) -> int:
    """Read a number of the command line. Raises ValueError."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def in_turns(programs: list[Program], devices: list[int], requests: int, turns: int) -> Told:
    """Run all programs at all N, again and again; return the runs by program and N."""
    told: Told = {
        (program.name, n): []
        for n in devices
        for program in programs
        if program.name != CROSSING or n == devices[0]
    }
    named = {program.name: program for program in programs}
    for turn in range(turns):
        print(f"turn {turn + 1} of {turns}", file=sys.stderr)
        for (name, n), ran in told.items():
            try:
                ran.append(run(named[name], n, requests))
            except LeftOutError as error:
                sys.exit(f"{name} at N = {n}: {error}")
    return told


def main() -> None:
    """Run all programs in turns, print the table, and fail if one did not simulate W."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, nargs="?", const=CACHE, metavar="FOLDER")
    parser.add_argument("--turns", type=positive, default=5)
    parser.add_argument("--requests", type=positive, default=100_000)
    parser.add_argument("--devices", type=positive, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    programs = [Program(name, file) for name, file in OWN.items()]
    programs += peers(given.peers.resolve()) if given.peers else []
    told = in_turns(programs, given.devices, given.requests, given.turns)
    head = ["N", "program", "requests/CPU s", f"of {FLOOR}", "least-most", "peak MB", "wait ms"]
    rows = [cells(n, ran, told[FLOOR, n]) for (_, n), ran in told.items()]
    print(table([head, *rows], markdown=given.markdown))
    print(f"\ncost of a request, most over least N: {', '.join(flatness(told))}")
    for program in programs:
        if program.note:
            fewer = f" {program.most} requests." if program.most < given.requests else ""
            print(f"{program.name}: {program.note}{fewer}")
    wrong = [ran for each in told.values() for ran in each if not ran.right]
    for ran in wrong:
        print(f"{ran.program.name}: not W: {ran.rows:.0f} rows, mean wait {ran.wait_s * 1e3:.2f} ms")
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
