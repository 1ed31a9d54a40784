"""The machine that networks are timed on: its clock, its memory, and whether it is busy."""

import ctypes
import gc
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from offload.dnn.profiles import Machine

# A round is set aside if the thread was kept from running for this share of its wall time, or if a
# fixed loop beside it ran this much slower than at its fastest.
BUSY_SHARE = 0.05
SLOW_SPIN = 1.25


def prepare(threads: int) -> Machine:
    """Set torch up for timing with this many threads, and say what machine this is."""
    torch.set_num_threads(threads)
    torch.backends.mha.set_fastpath_enabled(False)  # its kernels are not those of the captured graph
    return Machine(
        processor=processor(),
        threads=threads,
        python=platform.python_version(),
        torch=torch.__version__,
        system=platform.system(),
        allocator=keep_memory(),
    )


def clock(threads: int) -> Callable[[], int]:
    """Return the clock to time by, in nanoseconds.

    CPU time of the one thread, which does not run while another program does; wall time where several
    threads share the work.
    """
    return time.thread_time_ns if threads == 1 else time.perf_counter_ns


def stamp_cost_s(now: Callable[[], int]) -> float:
    """Return the seconds that a time stamp takes."""
    stamps: list[int] = []
    stamp = stamper(stamps, now)
    for _ in range(20_000):
        stamp()
    return (stamps[-1] - stamps[0]) / (len(stamps) - 1) * 1e-9


def stamper(stamps: list[int], now: Callable[[], int]) -> Callable[[], None]:
    """Return a function that writes down the time."""
    return lambda: stamps.append(now())


def spin() -> float:
    """Seconds of wall time that a fixed loop of pure Python takes: slow when others work too."""
    begun = time.perf_counter_ns()
    total = 0
    for number in range(5000):
        total += number
    return (time.perf_counter_ns() - begun) * 1e-9


def why_busy(busy_share: float, spin_ratio: float) -> str:
    """Say why a round is to be set aside; empty if it is not."""
    if busy_share > BUSY_SHARE:
        return f"kept from running for {busy_share:.0%} of the time"
    if spin_ratio > SLOW_SPIN:
        return f"a fixed loop ran {spin_ratio:.2f} times slower than at its fastest"
    return ""


def free_memory_bytes() -> float:
    """Return the memory that programs may still take; infinite where the system does not say."""
    info = Path("/proc/meminfo")
    if not info.exists():
        return float("inf")
    lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    return int(lines["MemAvailable"].split()[0]) * 1024


def keep_memory() -> str:
    """Keep freed memory in the process, as a server that runs for days does.

    Else every run gives its large tensors back to the kernel and pays page faults for them again, up
    to a quarter of MobileNetV2's time and different from one run to the next.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return "as the system has it"
    trim_threshold, mmap_threshold, one_gib = -1, -3, 2**30
    if libc.mallopt(trim_threshold, one_gib) and libc.mallopt(mmap_threshold, one_gib):
        return "glibc; freed memory kept (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD 1 GiB)"
    return "glibc; freed memory given back"


def processor() -> str:
    """Name the processor, with what decides its kernels: model, family and instruction set."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    pairs = (
        line.split(":", 1) for line in info.read_text().split("\n\n")[0].splitlines() if ":" in line
    )
    known = {name.strip(): value.strip() for name, value in pairs}
    best = torch.backends.cpu.get_cpu_capability()
    family = known.get("cpu family", "?")
    return f"{known.get('model name', platform.machine())} (family {family}, {best})"


def turns(budget_s: float) -> Iterator[int]:
    """Count runs from -2 (two to warm up) while the budget lasts: at least 8, at most 200.

    Before, it works for a while: a core that has been idle is slow at first.
    """
    gc.collect()
    awake = time.perf_counter() + min(0.5, budget_s)
    while time.perf_counter() < awake:
        spin()
    begun = time.perf_counter()
    run = -2
    while run < 8 or (run < 200 and time.perf_counter() - begun < budget_s):
        yield run
        run += 1
