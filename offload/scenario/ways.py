"""From what a scenario says of mobility to tracks: read from files, or made from chance."""

from collections.abc import Iterator
from itertools import islice, pairwise
from math import dist
from pathlib import Path

from offload.scenario.faults import Fault, Key
from offload.scenario.mobility import Manhattan, RandomWaypoint, Trace, Walk, Waypoints
from offload.scenario.schema import MOST_REQUESTS, MOST_SOURCES, DeviceGroup, ScenarioFile
from offload.streams import Streams
from offload.world import traces, walks
from offload.world.mobility import Track
from offload.world.recording import TraceError

Tracks = dict[str, Track]

MOST_POINTS = 20_000_000


def read_tracks(file: ScenarioFile, base: Path, faults: list[Fault]) -> dict[str, Tracks]:
    """Read the traces of moving devices, adding to `faults` what is wrong with them."""
    found: dict[str, Tracks] = {}
    for group, table in file.devices.items():
        if isinstance(table.mobility, Trace):
            key: Key = ("devices", group, "mobility", "trace")
            try:
                trace = traces.read_trace(
                    base / table.mobility.trace,
                    table.mobility.start,
                    top_speed_mps=table.mobility.top_speed,
                )
            except TraceError as error:
                faults += [(key, fault) for fault in str(error).splitlines()]
                continue
            if trace.recording:
                tracks = _of_recording(group, table, table.mobility, trace, file.duration, faults)
            else:
                tracks = _of_points(group, table, table.mobility, trace, file, faults)
            faults += _too_much(group, table, tracks, file.duration)
            found[group] = tracks
        elif table.mobility is not None:
            what = _too_many_points(table.mobility, table.at_most, file.duration + file.drain)
            if what is not None:
                faults.append((("devices", group, "mobility"), what))
    return found


def _of_recording(
    group: str, table: DeviceGroup, mobility: Trace, trace: traces.Trace, duration_s: float,
    faults: list[Fault],
) -> Tracks:  # fmt: skip
    """Take the vehicles that exist during the run, in the order in which they come."""
    key: Key = ("devices", group, "mobility", "trace")
    if mobility.loop:
        what = "a recording in which vehicles enter and leave cannot be looped; record for longer"
        faults.append(((*key[:-1], "loop"), what))
    there = {name: track for name, track in trace.tracks.items() if track.present_s(duration_s) > 0}
    if trace.ends_s - mobility.start < duration_s or not there:
        what = (
            f"tells of {trace.starts_s:g} s to {trace.ends_s:g} s of its clock, the run is of"
            f" {mobility.start:g} s to {mobility.start + duration_s:g} s; change start or duration,"
            " or record for longer"
        )
        faults.append((key, what))
    return dict(islice(there.items(), table.count))


def _too_much(group: str, table: DeviceGroup, tracks: Tracks, duration_s: float) -> Iterator[Fault]:
    """Bound what a file asks for where the scenario gives no count."""
    present_s = sum(track.present_s(duration_s) for track in tracks.values())
    for name, task in table.tasks.items():
        place: Key = ("devices", group, "tasks", name, "every")
        sources = len(tracks) * task.streams
        if sources > MOST_SOURCES:
            yield place, f"{sources:.3g} sources of requests; at most {MOST_SOURCES:.0e} may be"
        births = present_s * task.streams * max(task.rate_hz * task.rows, task.spells_hz)
        if births > MOST_REQUESTS:
            yield place, f"about {births:.3g} requests or bursts; at most {MOST_REQUESTS:.0e} may be"


def _of_points(
    group: str, table: DeviceGroup, mobility: Trace, trace: traces.Trace, file: ScenarioFile,
    faults: list[Fault],
) -> Tracks:  # fmt: skip
    """Take the first ways of a file of points, repeated if they are looped."""
    key: Key = ("devices", group, "mobility", "trace")
    tracks = dict(islice(trace.tracks.items(), table.count))
    if len(tracks) < table.at_most:
        what = f"{len(tracks)} ids in the trace for {table.count} devices"
        faults.append((("devices", group, "count"), what))
    if mobility.start:
        what = "belongs to recordings of traffic; points begin at time 0"
        faults.append(((*key[:-1], "start"), what))
    if not mobility.loop:
        return tracks
    end_s = file.duration + file.drain
    if any(len(track.times_s) < 2 for track in tracks.values()):
        faults.append((key, "an id with a single point cannot be looped"))
        return {}
    open_ways = [name for name, track in trace.tracks.items() if not track.closed]
    if open_ways:
        what = f"id {open_ways[0]} does not end where it began, so it cannot be looped"
        faults.append((key, what))
        return {}
    points = sum(track.points_looped(end_s) for track in tracks.values())
    if points > MOST_POINTS:
        faults.append((key, f"looping it would take {points:.3g} points; loop a longer trace"))
        return {}
    return {name: track.looped(end_s) for name, track in tracks.items()}


def _too_many_points(walk: Walk, count: int, until_s: float) -> str | None:
    """Say so if the ways of devices turn too often for all turns to be kept."""
    if isinstance(walk, Waypoints):
        lap_m = sum(dist(a, b) for a, b in pairwise([*walk.waypoints, walk.waypoints[0]]))
        points = len(walk.waypoints) * (1 + walk.loop * until_s * walk.speed / lap_m)
    elif isinstance(walk, RandomWaypoint):
        (left, low), (right, high) = walk.area
        way_s = walks.mean_distance_m(right - left, high - low) / walk.speed[1]
        points = 2 * until_s / (way_s + sum(walk.pause) / 2)
    elif isinstance(walk, Manhattan):
        points = 2 * (until_s + walks.RUN_IN_CYCLES * walk.cycle) * walk.speed / walk.spacing
    else:
        points = 2 * (1 + walk.wrap * until_s * max(walk.lanes) / walk.length)
    if count * points < MOST_POINTS:
        return None
    return f"about {count * points:.3g} points on the ways; at most {MOST_POINTS:.0e} may be"


def make_tracks(file: ScenarioFile, streams: Streams) -> dict[str, Tracks]:
    """Make the tracks of those groups that go by points or by a model: each device its own stream."""
    return {
        group: {
            (name := f"{group}-{number}"): _walk(table.mobility, number, file, streams, name)
            for number in range(table.at_most)
        }
        for group, table in file.devices.items()
        if table.mobility is not None and not isinstance(table.mobility, Trace)
    }


def _walk(walk: Walk, number: int, file: ScenarioFile, streams: Streams, device: str) -> Track:
    until_s = file.duration + file.drain
    if isinstance(walk, Waypoints):
        behind_s = number * walk.headway
        return walks.waypoints(walk.waypoints, walk.speed, behind_s, until_s, loop=walk.loop)
    rng = streams.generator("mobility", device)
    if isinstance(walk, RandomWaypoint):
        return walks.random_waypoint(walk.area, walk.speed, walk.pause, until_s, rng)
    if isinstance(walk, Manhattan):
        # All that drive in grids of this size meet the same signals.
        offsets_s = streams.generator("signals").random(walk.streets) * walk.cycle
        return walks.manhattan(
            walk.streets, walk.spacing, walk.speed, walk.cycle, offsets_s, until_s, rng
        )
    return walks.motorway(walk.length, walk.lanes, file.duration, rng, wrap=walk.wrap)
