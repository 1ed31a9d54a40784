"""What a scenario's author may not have meant: devices off the map, cells out of range or too fast."""

from collections.abc import Iterator

from offload.entities import Cell, Facts
from offload.scenario.fields import Point
from offload.scenario.setup import Device, Setting
from offload.world.mobility import Track

TOLD = 5  # devices named in a line


def remarks(setting: Setting, map_m: tuple[Point, Point] | None) -> list[str]:
    """Return a line for each group with devices off the map, or with cells but never in range of one.

    And one for each cell that is faster than anything that a group's radio was measured at.
    """
    found = []
    for group in dict.fromkeys(device.group for device in setting.devices):
        devices = [device for device in setting.devices if device.group == group]
        cells = next((dict(f.cells) for f in setting.facts if f.group == group), {})
        out = [device.name for device in devices if not _covered(device, cells, setting.duration_s)]
        if cells and out:
            found.append(f"{_some(out, devices)} of {group} never in range of {', '.join(cells)}")
        found += dict.fromkeys(
            line for f in setting.facts if f.group == group for line in _extrapolated(f)
        )
        if map_m is not None:
            off = [d.name for d in devices if _leaves(d.place.track, map_m, setting.duration_s)]
            if off:
                found.append(f"{_some(off, devices)} of {group} leave the map")
    return found


def _extrapolated(facts: Facts) -> Iterator[str]:
    """Say where a radio's line is followed beyond the rates at which it was measured."""
    radio = facts.radio
    if radio is None:
        return
    for cell in facts.cells.values():
        for way, line, rate_bps in (("up", radio.up, cell.up_bps), ("down", radio.down, cell.down_bps)):
            if line.extrapolates(rate_bps):
                yield (
                    f"the radio of {facts.group} was measured at no more than {line.fitted_bps / 1e6:g}"
                    f" Mbit/s {way}, and {cell.name} has {rate_bps / 1e6:g}: its energy is extrapolated"
                )


def _some(named: list[str], devices: list[Device]) -> str:
    more = ", ..." if len(named) > TOLD else ""
    return f"{len(named)} of {len(devices)} devices ({', '.join(named[:TOLD])}{more})"


def _covered(device: Device, cells: dict[str, Cell], until_s: float) -> bool:
    """Tell whether a device is in range of some cell at some time of the run."""
    speeds = device.place.up.speeds
    return any(name not in speeds or speeds[name].amount(0.0, until_s) > 0.0 for name in cells)


def _leaves(track: Track, map_m: tuple[Point, Point], until_s: float) -> bool:
    """Tell whether a device is off the map at some time of the run."""
    (left, low), (right, high) = map_m
    return any(not (left <= x <= right and low <= y <= high) for x, y in _places(track, until_s))


def _places(track: Track, until_s: float) -> Iterator[tuple[float, float]]:
    """Yield where a device turns while it exists in the run, and where it is at the ends of that."""
    begins_s, ends_s = max(0.0, track.enters_s), min(until_s, track.leaves_s)
    there = (begins_s <= track.times_s) & (track.times_s <= ends_s)
    yield track.position(begins_s)
    yield from zip(track.x_m[there].tolist(), track.y_m[there].tolist(), strict=True)
    yield track.position(ends_s)
