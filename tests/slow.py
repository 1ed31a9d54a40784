"""Prices leg by leg, image by image, in plain Python: what quick ones are held against."""

import itertools
import math
from collections.abc import Iterator

from offload.entities import Cell, Facts, Observation, Plan, Wire
from offload.networks import Answers, Variant
from offload.planning.luck import exponential, factor
from offload.planning.validity import why_invalid


def seconds(facts: Facts, place: str, variant: Variant, first: int, last: int) -> float:
    """Sum the seconds of the layers between two cuts in a place."""
    layers = facts.profiles[place][variant].layers_s[1]
    begin, end = variant.cuts[first].after, variant.cuts[last].after
    return math.fsum(layers[index] for index in range(begin, end))


def known(plan: Plan) -> Answers | None:
    """Look up the answers that hold under a plan."""
    return plan.variant.answers.get((plan.codec, plan.device_cut) if plan.codec else (None, 0))


def exit_of(plan: Plan, image: int) -> int:
    """Tell at which exit an image leaves."""
    last = len(plan.variant.exits) - 1 if plan.exit is None else plan.exit
    if plan.confidence is not None:
        for number in range(last):
            if known(plan).confidence[number][image] >= 255 * plan.confidence:
                return number
    return last


def share_right(plan: Plan) -> float:
    """Count the right answers under a plan; NaN where nobody can say."""
    if not plan.variant.answers:
        return plan.variant.accuracy.value if plan.variant.accuracy else math.nan
    answers = known(plan)
    right = [
        answers.right[exit_of(plan, image) if plan.variant.exits else 0][image]
        for image in range(len(answers.right[0]))
    ]
    return sum(right) / len(right)


def on_link(link: Cell | Wire, payload: float) -> float:
    """Count what crosses a link for a message."""
    return link.toll.message_bytes + payload * (1 + link.toll.bytes_per_byte)


class Slow:
    """Follows one plan's legs in time, for the image that it is told of."""

    def __init__(self, seen: Observation, plan: Plan, image: int | None = None) -> None:
        self.seen, self.facts, self.plan = seen, seen.facts, plan
        self.now = self.facts.overhead_s
        self.end = plan.variant.last
        if plan.variant.exits:
            self.end = plan.variant.exits[exit_of(plan, image or 0)]
        self.coded = None
        if plan.codec is not None and plan.device_cut < self.end:
            self.coded = plan.variant.codecs[plan.codec, plan.device_cut]

    def bytes_at(self, cut: int) -> float:
        """Tell what crosses a cut: coded from the device to the next that computes."""
        if self.coded is not None and cut == self.plan.device_cut:
            return self.coded.payload_bytes
        return self.plan.variant.cuts[cut].payload_bytes if cut else self.facts.input_bytes

    def quantile(self, name: str, place: str) -> float:
        if self.seen.luck is None:
            return 1.0
        profile = self.facts.profiles[place][self.plan.variant]
        return factor(profile, getattr(self.seen.luck, name))

    def over_wires(self, here: str, there: str, payload: float, *, back: bool) -> None:
        luck = self.seen.luck
        for name in self.facts.routes[here, there]:
            wire = self.facts.wires[name]
            if luck is not None:
                self.now = max(self.now, luck.wire_free_s[name, here] - self.seen.now_s)
            self.now += 8 * on_link(wire, payload) / wire.rate_bps + wire.delay_s
            self.now += wire.toll.s_per_byte * payload
            if luck is None:
                self.now += wire.jitter_s
            else:
                self.now += wire.jitter_s * exponential(luck.wire_back if back else luck.wire_out)
            here = next(end for end in wire.ends if end != here)

    def device_s(self) -> float:
        """Tell how long the device computes: its layers, and coding."""
        plan, facts = self.plan, self.facts
        if plan.device_cut == 0 and self.coded is None:
            return 0.0
        taken_s = seconds(facts, "device", plan.variant, 0, min(plan.device_cut, self.end))
        if self.coded is not None:
            whole_s = seconds(facts, "device", plan.variant, 0, plan.variant.last)
            taken_s += self.coded.encode_share * whole_s
        return taken_s * self.quantile("device", "device")

    def compute(self, role: str, name: str, first: int, last: int) -> None:
        node, report = self.facts.nodes[name], self.seen.reports.get(name)
        if node.batch_max > 1:
            self.now += node.batch_wait_s
        if report is not None:
            self.now = max(self.now, report.backlog_s)
            if report.resident is not None and self.plan.variant.label not in report.resident:
                self.now += 8 * self.plan.variant.weight_bytes / node.load_bps
        taken_s = seconds(self.facts, name, self.plan.variant, first, min(last, self.end))
        if self.coded is not None and first == self.plan.device_cut:
            whole_s = seconds(self.facts, name, self.plan.variant, 0, self.plan.variant.last)
            taken_s += self.coded.decode_share * whole_s
        self.now += taken_s * self.quantile(role, name)

    def latency_s(self) -> float:
        plan, facts, seen = self.plan, self.facts, self.seen
        if plan.device_cut > 0 or self.coded is not None:
            self.now = max(self.now, seen.backlog_s)
            self.now += self.device_s()
        if plan.device_cut >= self.end:
            return self.now
        cell, uplink = facts.cells[plan.uplinks[0]], seen.uplinks[plan.uplinks[0]]
        payload = self.bytes_at(plan.device_cut)
        self.now = max(self.now, 8 * uplink.queued_bytes / uplink.rate_bps)
        self.now += 8 * on_link(cell, payload) / uplink.rate_bps + cell.delay_s
        self.now += cell.toll.s_per_byte * payload
        return self.from_node(cell.node)

    def from_node(self, here: str) -> float:
        plan, facts = self.plan, self.facts
        cell, uplink = facts.cells[plan.uplinks[0]], self.seen.uplinks[plan.uplinks[0]]
        payload = self.bytes_at(plan.device_cut)
        if plan.edge is not None:
            self.over_wires(here, plan.edge, payload, back=False)
            self.compute("edge", plan.edge, plan.device_cut, plan.edge_cut)
            here = plan.edge
        if plan.cloud is not None and plan.edge_cut < self.end:
            self.over_wires(here, plan.cloud, self.bytes_at(plan.edge_cut), back=False)
            self.compute("cloud", plan.cloud, plan.edge_cut, plan.variant.last)
            here = plan.cloud
        result = facts.result_bytes[plan.variant]
        self.over_wires(here, cell.node, result, back=True)
        self.now += 8 * on_link(cell, result) / uplink.down_bps + cell.delay_s
        return self.now + cell.toll.s_per_byte * result

    def energy_j(self) -> float:
        plan, facts = self.plan, self.facts
        watts = facts.hardware.busy_w.value - facts.hardware.idle_w.value
        device_j = watts * self.device_s()
        if plan.device_cut >= self.end:
            return device_j
        cell = facts.cells[plan.uplinks[0]]
        up_s = 8 * on_link(cell, self.bytes_at(plan.device_cut)) / cell.up_bps
        down_s = 8 * on_link(cell, facts.result_bytes[plan.variant]) / cell.down_bps
        radio = facts.radio
        if radio is None:
            return device_j
        up_w = radio.up.base_w - radio.phone_w + radio.up.j_per_bit * cell.up_bps
        down_w = radio.down.base_w - radio.phone_w + radio.down.j_per_bit * cell.down_bps
        return device_j + up_w * up_s + down_w * down_s


def prices(seen: Observation, plan: Plan) -> tuple[float, float]:
    """Return a plan's latency and energy: means over the images, or of the one that luck chooses."""
    images: list[int | None] = [None]
    if plan.confidence is not None:
        total = len(known(plan).right[0])
        images = list(range(total)) if seen.luck is None else [int(seen.luck.answer * total)]
    latencies = [Slow(seen, plan, image).latency_s() for image in images]
    energies = [Slow(seen, plan, image).energy_j() for image in images]
    return math.fsum(latencies) / len(images), math.fsum(energies) / len(images)


def onward_s(seen: Observation, plan: Plan) -> float | None:
    """Return how long a plan still takes from the edge: the mean over the images that come there."""
    images: list[int | None] = [None]
    if plan.confidence is not None:
        every = range(len(known(plan).right[0]))
        images = [image for image in every if plan.variant.exits[exit_of(plan, image)] > plan.device_cut]
    latencies = []
    for image in images:
        follow = Slow(seen, plan, image)
        follow.now = 0.0
        latencies.append(follow.from_node(seen.begun.edge))
    return math.fsum(latencies) / len(images) if images else None


def all_plans(facts: Facts) -> Iterator[Plan]:
    """List every plan that is valid, shortlisted or not."""
    for variant in facts.variants:
        pairs = itertools.combinations_with_replacement(range(variant.last + 1), 2)
        for first, second in pairs:
            for codec, sure in itertools.product((None, *facts.codecs), (None, *facts.confidences)):
                edge = "edge" if first < second else None
                cloud = "cloud" if second < variant.last else None
                cells = ("cell",) if first < variant.last else None
                plan = Plan(variant, first, second, edge, cloud, cells, codec, confidence=sure)
                if why_invalid(facts, plan) is None:
                    yield plan
