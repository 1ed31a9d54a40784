"""What the controls of the playground may say: names, and sliders with their units and bounds."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from offload.entities import OffloadError
from offload.scenario.faults import near
from offload.scenario.links import RadioName
from offload.units import Quantity


class SettingsError(OffloadError):
    """Settings that nothing can be worked out for; `faults` are lines of `name: what to choose`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Slider:
    """A control that stops at some SI `values`; between the first and the last, any may be asked for.

    `dimension` is one of `units.UNITS`, "share" or "count"; `group` the heading under which it stands.
    """

    group: str
    label: str
    dimension: str
    values: tuple[float, ...]
    says: str = ""

    def show(self, value: float) -> str:
        """Write a value with its unit."""
        if self.dimension in ("share", "count"):
            return f"{value:.0%}" if self.dimension == "share" else f"{value:g}"
        return Quantity(self.dimension).show(value)


RADIO, REQUEST, SIMULATION = "Radio", "Request", "Simulation"

SLIDERS = {
    "distance_m": Slider(
        RADIO, "Distance to the site", "length",
        (5, 10, 20, 30, 50, 75, 100, 150, 200, 250, 300, 400, 500, 700, 1000),
    ),
    "bandwidth_hz": Slider(
        RADIO, "Bandwidth", "frequency",
        (1e6, 2e6, 5e6, 10e6, 20e6, 40e6, 60e6, 80e6, 100e6, 200e6, 400e6),
    ),
    "deadline_s": Slider(
        REQUEST, "Deadline", "time",
        (.002, .005, .01, .015, .02, .03, .04, .05, .075, .1, .13, .15, .2, .3, .5, 1, 2),
    ),
    "input_bytes": Slider(
        REQUEST, "Encoded input", "size",
        (1e3, 2e3, 5e3, 10e3, 20e3, 40e3, 60e3, 100e3, 200e3, 500e3, 1e6),
    ),
    "load": Slider(
        REQUEST, "Load of the edge server", "share", tuple(step / 20 for step in range(20)),
        "the share of time for which others keep it busy (in the simulation, that comes about)",
    ),
    "devices": Slider(SIMULATION, "Devices", "count", (1, 2, 3, 5, 8, 10, 15, 20, 30, 40)),
    "every_s": Slider(
        SIMULATION, "Each asks every", "time", (.02, .05, .1, .2, .3, .5, .7, 1, 1.5, 2, 3, 5),
        "at random, on average",
    ),
    "report_every_s": Slider(
        SIMULATION, "The edge reports every", "time",
        (.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5),
        "devices decide by its last report",
    ),
}  # fmt: skip


class Settings(BaseModel):
    """One position of all controls, SI values; the defaults are where the page begins.

    A device that is `distance_m` from a cell's site wants answers of a network; the site has one edge
    server. `sight` tells whether there is a line of sight between them. In the simulation there are so
    many `devices`, each of which asks every `every_s` on average.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    network: str = "mobilenetv2"
    variant: str = "int8"
    device: str = "cortex-a53"
    edge: str = "x86-core"
    radio: RadioName = "nr-umi-3.5ghz"
    sight: bool = False
    distance_m: float = 200.0
    bandwidth_hz: float = 20e6
    deadline_s: float = 0.13
    input_bytes: float = 60e3
    load: float = 0.5
    devices: int = 10
    every_s: float = 1.0
    report_every_s: float = 0.1

    @field_validator(*SLIDERS)
    @classmethod
    def _within(cls, value: float, info: ValidationInfo) -> float:
        slider = SLIDERS[info.field_name or ""]
        least, most = slider.values[0], slider.values[-1]
        if not least <= value <= most:
            msg = f"must lie between {slider.show(least)} and {slider.show(most)}"
            raise ValueError(msg)
        return value


def read(body: bytes) -> Settings:
    """Read settings from JSON; what is left out is as the page begins. Raises SettingsError."""
    try:
        return Settings.model_validate_json(body)
    except ValidationError as error:
        raise SettingsError([_say(fault) for fault in error.errors()]) from error


def _say(fault: ErrorDetails) -> str:
    """Say of which setting a fault is, and what to choose instead."""
    name = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return near(name, Settings.model_fields, "setting")
    what = fault["msg"].removeprefix("Value error, ")
    return f"{name or 'settings'}: {what[:1].lower()}{what[1:]}"
