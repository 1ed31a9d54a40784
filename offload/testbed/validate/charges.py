"""The costs that a real run has beside links and work, as keys of a simulated one's scenario."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offload.scenario.measured_costs import FILE, MeasuredCosts, read
from offload.testbed.message import FRAME, Answer, Ask, Stamp, Stop, head_of

SECURITY = "mutual-tls"  # of all channels of a testbed

Keys = Mapping[str, Mapping[str, Any]]


def measured(path: Path | None = None) -> MeasuredCosts | None:
    """Return what `offload testbed costs` measured: in a file, or as shipped; None if there is none.

    Raises MeasuredCostsError.
    """
    if path is None and not FILE.is_file():
        return None
    return read(path or FILE)


def head_bytes() -> float:
    """Return the bytes of a message beside its body: the mean of a request's and its answer's."""
    now_ns = 2**50  # of a machine that has run for days
    asks = Ask(2**41, 1, "device", "mobilenetv2:int8", [Stop("edge", 0, 100)], 0, now_ns, 0, 30_000)
    answers = Answer(2**41, 1, "device", "", [Stamp("edge", now_ns, now_ns, now_ns)])
    return FRAME.size + (len(head_of(asks)) + len(head_of(answers))) / 2


def keys(costs: MeasuredCosts | None, *, calibrated: bool) -> Keys:
    """Return the keys that charge for them, by table of `matrix.scenario`.

    What was calibrated contains slowness after idling and beside another process already.
    """
    if costs is None:
        return {}
    known = {"known": costs.known, "source": costs.source}
    hop = {"message": _s(costs.hop.message_s), "per_MB": _s(1e6 * costs.hop.per_byte_s)} | known
    link: dict[str, Any] = {"hop_cost": hop}
    if SECURITY in costs.security:
        secured = costs.security[SECURITY]
        # Connections last longer than a play: nobody waits for a handshake. A link in user space takes
        # its time for what is in the clear, frame and head with it, and none for what TLS makes more.
        link["security"] = {
            "message": _s(secured.message_s),
            "per_MB": _s(1e6 * secured.per_byte_s),
            "bytes": head_bytes(),
        } | known
    found: dict[str, Mapping[str, Any]] = {
        "cell": link, "wire": link, "policy": {"overhead": _s(costs.decide_s)},
    }  # fmt: skip
    if calibrated:
        return found
    idle = {"slower": costs.after_idle.slower, "within": _s(costs.after_idle.within_s)} | known
    together = {"slower": costs.co_location.slower} | known
    return found | {
        "place": {"after_idle": idle},
        # Edge and cloud take turns on one core here: what slows them is that they are in one machine.
        "machine": {"of": ["device", "edge", "cloud"], "co_location": together},
    }


def _s(seconds: float) -> str:
    return f"{seconds!r} s"
