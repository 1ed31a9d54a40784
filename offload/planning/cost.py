"""What a plan asks for: work in each place, bytes between them, and the device's energy."""

from dataclasses import dataclass

from offload.entities import Facts, Plan
from offload.networks import Profile, Variant


@dataclass(frozen=True, slots=True)
class Work:
    """What one place computes of a plan: the layers between two cuts, and coding what crosses."""

    profile: Profile
    first: int
    last: int
    coding_s: float

    @property
    def seconds(self) -> float:
        """Mean seconds for a batch of one."""
        return self.profile.seconds(self.first, self.last) + self.coding_s


def works(facts: Facts, plan: Plan) -> tuple[Work | None, Work | None, Work | None]:
    """Return the work on device, edge and cloud, of a plan that states no confidence."""
    variant, first, second = plan.variant, plan.device_cut, plan.edge_cut
    device = edge = cloud = None
    encode = decode = 0.0
    if plan.codec is not None and plan.uplinks is not None:
        coded = variant.codecs[plan.codec, first]
        encode, decode = coded.encode_share, coded.decode_share
    if plan.on_device:
        device = _work(facts, plan, "device", 0, first, encode)
    if plan.edge is not None:
        edge = _work(facts, plan, plan.edge, first, second, decode)
        decode = 0.0  # once is enough
    if plan.cloud is not None:
        cloud = _work(facts, plan, plan.cloud, second, variant.last, decode)
    return device, edge, cloud


def cost(facts: Facts, plan: Plan) -> tuple[float, float, float, float, float, float, float]:
    """Return seconds on device, edge and cloud, bytes up, between and back, and device joules.

    Of a plan that states no confidence, so that its exit is known. Bytes are those of messages, without
    what links add to them. Device joules are marginal: (busy -
    idle) watts while computing, and the radio's for the bytes and the air time at the cell's full rate.
    """
    device_s, edge_s, cloud_s = (work.seconds if work else 0.0 for work in works(facts, plan))
    up_bytes = mid_bytes = result_bytes = 0.0
    energy_j = facts.hardware.marginal_w * device_s
    if plan.uplinks is not None:
        up_bytes = crossing(facts, plan.variant, plan.device_cut, plan.codec)
        result_bytes = facts.result_bytes[plan.variant]
        cell, radio = facts.cells[plan.uplinks[0]], facts.radio
        if radio is not None:
            sent_bytes, received_bytes = cell.toll.size(up_bytes), cell.toll.size(result_bytes)
            energy_j += radio.up_j(sent_bytes, 8 * sent_bytes / cell.up_bps)
            energy_j += radio.down_j(received_bytes, 8 * received_bytes / cell.down_bps)
    if plan.cloud is not None:
        mid_bytes = up_bytes if plan.edge is None else crossing(facts, plan.variant, plan.edge_cut)
    return device_s, edge_s, cloud_s, up_bytes, mid_bytes, result_bytes, energy_j


def crossing(facts: Facts, variant: Variant, cut: int, codec: str | None = None) -> float:
    """Return the bytes that cross a cut: the encoded image at the first, raw values elsewhere.

    Or what a codec makes of them.
    """
    if codec is not None:
        return variant.codecs[codec, cut].payload_bytes
    return facts.input_bytes if cut == 0 else float(variant.cuts[cut].payload_bytes)


def sends_input(plan: Plan) -> bool:
    """Tell whether the input leaves the device as it is, so that its own size counts, not the mean."""
    return plan.uplinks is not None and plan.device_cut == 0 and plan.codec is None


def _work(facts: Facts, plan: Plan, place: str, first: int, last: int, coding_share: float) -> Work:
    """The layers up to a cut or the exit, and coding as a share of the whole network's seconds there."""
    profile = facts.profiles[place][plan.variant]
    coding_s = coding_share * profile.seconds(0, plan.variant.last) if coding_share else 0.0
    return Work(profile, first, min(last, plan.end), coding_s)
