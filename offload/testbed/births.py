"""Which requests are born when: the simulator's own, from the same streams."""

from itertools import takewhile

from offload.entities import Request
from offload.scenario.setup import Setting, Source
from offload.streams import Streams, uniforms
from offload.world import births


def requests(setting: Setting, streams: Streams) -> list[Request]:
    """Return the requests of a replication in the order of their births, as the world bears them.

    Of standing devices, each of whose requests asks one network; what is in view does not count.
    """
    step = len(setting.sources)
    found = [
        request
        for number, source in enumerate(setting.sources)
        for request in _of_source(source, setting.duration_s, streams, number, step)
    ]
    return sorted(found, key=lambda request: (request.born_s, request.id))


def _of_source(
    source: Source, duration_s: float, streams: Streams, first_id: int, step: int
) -> list[Request]:
    device, part, facts = source.device, source.parts[0], source.facts
    name = (device.name, facts.task, str(source.stream))
    last_s = min(duration_s, device.leaves_s)
    times = births.times(
        source.births, streams.generator("births", *name), from_s=max(0.0, device.enters_s)
    )
    chance = None if part.inputs.equal else uniforms(streams.generator("sizes", *name))
    return [
        Request(
            first_id + number * step, device.name, device.group, facts.task, born_s, facts.deadline_s,
            facts.input_bytes if chance is None else part.inputs.at(next(chance), 0), facts.priority,
        )
        for number, born_s in enumerate(takewhile(lambda at_s: at_s < last_s, times))
    ]  # fmt: skip
