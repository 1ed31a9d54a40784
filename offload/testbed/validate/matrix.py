"""The cells of the reality check: which network and form, divided where, how quick links, how busy."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from offload.networks import Profile
from offload.scenario.catalogue import Catalogue
from offload.testbed.validate.pinned import cut_after

HARDWARE = "x86-core"
DELAY_S, WIRE_BPS, WIRE_S = 0.005, 1e9, 0.010
# The camera's file in bytes (assumed: a JPEG at 224 pixels is less, and is padded).
INPUT_BYTES = {"fashion-cnn": 3000}
USUAL_INPUT_BYTES = 60_000

Load = Literal["idle", "loaded"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One plan in one setting.

    The device runs the first `device` layers, the edge those up to `edge`, the cloud the rest; None for
    `edge` is all that are left, and for `device` all of them. `cloud` with `edge` = `device` leaves the
    edge nothing to compute.
    """

    network: str
    form: str
    mbps: float
    load: Load
    device: int | None = None
    edge: int | None = None

    @property
    def plan(self) -> str:
        """What runs where, as tables write it: `edge@70` leaves the device after 70 layers."""
        if self.device is None:
            return "local"
        after = f"@{self.device}" if self.device else ""
        if self.edge is None:
            return f"edge{after}"
        return f"cloud{after}" if self.edge == self.device else f"edge{after}+cloud@{self.edge}"

    @property
    def name(self) -> str:
        """Its name, which is that of its folder too."""
        return f"{self.network}.{self.form}.{self.plan}.{self.mbps:g}M.{self.load}"

    @property
    def setting(self) -> str:
        """What plans are compared in: network, bandwidth and load."""
        return f"{self.network} {self.mbps:g}M {self.load}"

    @property
    def input_bytes(self) -> int:
        """What the camera's file has."""
        return INPUT_BYTES.get(self.network, USUAL_INPUT_BYTES)

    @property
    def policy(self) -> dict[str, Any]:
        """The table of the policy that always takes this plan."""
        if self.device is None:
            return {"name": "local", "variant": self.form}
        if self.edge is None:
            return {"name": "edge", "variant": self.form, "after": self.device}
        if self.edge == self.device:
            return {"name": "cloud", "variant": self.form, "after": self.device}
        pinned = "offload.testbed.validate.pinned:Pinned"
        return {"name": pinned, "variant": self.form, "device": self.device, "edge": self.edge}

    def parts(self, profile: Profile) -> dict[str, tuple[int, int]]:
        """Return the layers, from and to, of every place that computes."""
        last = len(profile.variant.layers)
        device = last if self.device is None else self.device
        edge = last if self.edge is None else self.edge
        found = {"device": (0, device), "edge": (device, edge), "cloud": (edge, last)}
        return {place: span for place, span in found.items() if span[1] > span[0]}

    def stations_s(self, profile: Profile) -> dict[str, float]:
        """Return the seconds that a request takes of every station, each place costing `profile`."""
        variant = profile.variant
        found = {
            place: profile.seconds(cut_after(variant, first), cut_after(variant, last))
            for place, (first, last) in self.parts(profile).items()
        }
        if self.device is not None:
            sent = self.input_bytes
            if self.device:
                sent = variant.cuts[cut_after(variant, self.device)].payload_bytes
            found["uplink"] = 8 * sent / (1e6 * self.mbps)
        return found

    def unloaded_s(self, profile: Profile) -> float:
        """Return about how long a request takes if nobody waits."""
        away_s = 0.0 if self.device is None else 2 * DELAY_S
        return (
            sum(self.stations_s(profile).values()) + away_s + (0.0 if self.edge is None else 2 * WIRE_S)
        )


def shipped(cell: Cell) -> Profile:
    """Return the shipped profile of a cell's network. Raises ProfileError; KeyError if there is none."""
    found = {
        (profile.variant.name, profile.hardware): profile
        for profile in Catalogue().measured(cell.network)
    }
    return found[cell.form, HARDWARE]


def scenario(
    cell: Cell,
    duration_s: float,
    seed: int,
    hardware: Mapping[str, str] | None = None,
    more: Mapping[str, Mapping[str, Any]] | None = None,
    tables: str = "",
) -> str:
    """Return a cell as the text of a scenario file.

    `hardware` names that of a place ("device", "edge", "cloud"), `more` has further keys of the tables
    "scenario", "place" (device, edge and cloud), "cell", "wire", "policy", and "machine" whole; `tables`
    are further tables.
    """
    more, rate = more or {}, f"{cell.mbps:g} Mbit/s"
    kind = dict.fromkeys(("device", "edge", "cloud"), HARDWARE) | dict(hardware or {})
    place = more.get("place", {})
    found: dict[str, Mapping[str, Any]] = {
        "": {"format": 1, "name": cell.name, "duration": f"{duration_s!r} s", "seed": seed}
        | dict(more.get("scenario", {})),
        "devices.device": {"hardware": kind["device"], **place},
        "devices.device.tasks.frame": {
            "models": [cell.network], "variants": [cell.form], "arrivals": "trace",
            "births": "births.csv", "deadline": "600 s", "late": "finish",
            "input": f"{cell.input_bytes / 1e3:g} kB",
        },
        **{
            f"nodes.{each}": {"kind": each, "hardware": kind[each], **place}
            for each in ("edge", "cloud")
        },
        "links.cell": {
            "from": "*", "to": "edge", "up": rate, "down": rate, "delay": f"{DELAY_S * 1e3:g} ms",
            **more.get("cell", {}),
        },
        "links.wire": {
            "from": "edge", "to": "cloud", "rate": f"{WIRE_BPS / 1e6:g} Mbit/s",
            "delay": f"{WIRE_S * 1e3:g} ms", **more.get("wire", {}),
        },
        "machines.this": more.get("machine", {}),
        "policy": {**cell.policy, **more.get("policy", {})},
    }  # fmt: skip
    lines = ["# A cell of the reality check; births.csv has when its requests were born."]
    for name, table in found.items():
        if table:
            lines += [f"\n[{name}]"] if name else []
            lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
    return "\n".join([*lines, "", tables])


def _toml(value: Any) -> str:  # noqa: ANN401 - what a table may hold
    """Write text, a number, a list or a table in one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _setting(
    network: str, mbps: float, load: Load, plans: Iterable[tuple[str, int | None, int | None]]
) -> tuple[Cell, ...]:
    return tuple(Cell(network, form, mbps, load, *cuts) for form, *cuts in plans)


LOCAL = (None, None)
EDGE = (0, None)
CLOUD = (0, 0)

# Cuts are those with one tensor, and fewer bytes than at any before: early, middle and late.
MATRIX = (
    *_setting("mobilenetv2", 20, "idle", [
        ("fp32", *LOCAL), ("int8", *LOCAL), ("int8", *EDGE), ("int8", 24, None), ("fp32", 122, None),
        ("int8", *CLOUD),
    ]),
    *_setting("mobilenetv2", 100, "idle", [
        ("fp32", *EDGE), ("fp32", 35, None), ("int8", 8, None), ("int8", 41, 81),
    ]),
    *_setting("mobilenetv2", 20, "loaded", [
        ("fp32", *LOCAL), ("int8", *EDGE), ("int8", 24, None), ("fp32", 122, None),
    ]),
    *_setting("mobilenetv2", 100, "loaded", [
        ("fp32", *EDGE), ("fp32", 61, None), ("int8", *LOCAL), ("int8", *CLOUD),
    ]),
    *_setting("resnet18", 20, "idle", [
        ("fp32", *LOCAL), ("int8", *LOCAL), ("int8", *EDGE), ("int8", 27, None), ("fp32", *CLOUD),
    ]),
    *_setting("resnet18", 100, "idle", [
        ("fp32", *EDGE), ("fp32", 42, None), ("int8", 13, None), ("fp32", 42, 58),
    ]),
    *_setting("resnet18", 20, "loaded", [("int8", *EDGE), ("int8", 27, None), ("int8", *LOCAL)]),
    *_setting("resnet18", 100, "loaded", [("fp32", *EDGE), ("fp32", 42, None), ("int8", *CLOUD)]),
    *_setting("resnet50", 100, "idle", [
        ("fp32", *LOCAL), ("int8", *LOCAL), ("int8", *EDGE), ("int8", 3, None), ("int8", 63, None),
    ]),
    *_setting("resnet50", 100, "loaded", [("int8", *LOCAL), ("int8", *EDGE), ("int8", 63, None)]),
)  # fmt: skip

# For a quick look: whether everything runs, not how well it is predicted.
SHORT = (
    *_setting("fashion-cnn", 100, "idle", [("fp32", *LOCAL), ("fp32", 18, None)]),
    *_setting("fashion-cnn", 100, "loaded", [("fp32", *EDGE)]),
)
