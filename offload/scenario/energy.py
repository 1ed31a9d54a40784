"""What a scenario says of a device's energy: its radio, its clock, its battery and what charges that."""

from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from offload.energy import Radio
from offload.entities import Hardware
from offload.networks import Figure, Profile
from offload.scenario.fields import Energy, Power, Table, Time, Written
from offload.units import Quantity
from offload.world.battery import DAY_S, Battery, Supply, solar
from offload.world.power import RADIOS, at_share
from offload.world.rate import Rate

LEAST_SHARE = 0.01

Share = Annotated[float, Field(ge=0, le=1, strict=False, allow_inf_nan=False)]
SomeShare = Annotated[float, Field(ge=LEAST_SHARE, le=1, strict=False, allow_inf_nan=False)]


def _radio(text: object) -> object:
    """Return a radio by its name, or else a power in watts."""
    if isinstance(text, str) and text in RADIOS:
        return RADIOS[text]
    try:
        watts = Quantity("power").parse(text)
    except ValueError as error:
        if not isinstance(text, str) or not text[:1].isalpha():
            raise
        msg = f'not a power, and no radio either; write "0.8 W", or one of {", ".join(RADIOS)}'
        raise ValueError(msg) from error
    if not 0.0 <= watts <= 1e6:
        msg = "not between 0 W and 1 MW"
        raise ValueError(msg)
    return Radio.constant(watts, "the scenario") if watts else None


RadioPower = Annotated[Any, BeforeValidator(_radio), Written(Power, tuple(RADIOS))]


class SunTable(Table):
    """A panel through a day: half a sine from sunrise to sunset, less what clouds take.

    `clouds` is the share that they take; the run begins at the time of day `starts`.
    """

    peak: Power
    """What the panel gives at noon under a clear sky."""
    sunrise: Time = 6 * 3600.0
    """The time of day from which it gives anything."""
    sunset: Time = 18 * 3600.0
    """The time of day until which it does."""
    clouds: Share = 0.0
    """The share (0 to 1) that clouds take."""
    starts: Time = 12 * 3600.0
    """The time of day at which the run begins."""

    @model_validator(mode="after")
    def _of_a_day(self) -> Self:
        if not self.sunrise < self.sunset <= DAY_S:
            msg = 'sunset: comes after sunrise, and no later than "24 h"'
            raise ValueError(msg)
        if self.starts >= DAY_S:
            msg = 'starts: is a time of day, before "24 h"'
            raise ValueError(msg)
        return self

    @property
    def rate_w(self) -> Rate:
        """Watts over the run."""
        return solar(
            self.peak, self.sunrise / 3600, self.sunset / 3600, 1.0 - self.clouds, self.starts / 3600
        )


def _kind(given: Any) -> str:  # noqa: ANN401 - any TOML value
    return "[SunTable]" if isinstance(given, dict | SunTable) else "[Power]"


Harvest = Annotated[
    Annotated[Power, Tag("[Power]")] | Annotated[SunTable, Tag("[SunTable]")], Discriminator(_kind)
]


class BatteryTable(Table):
    """A battery: what it holds, how full it is at first, and what charges it, if anything does.

    A device whose battery is empty is off until it holds the share `low` again.
    """

    capacity: Energy
    """What the battery holds when full."""
    start: Annotated[Share, Field(examples=[0.5])] = 1.0
    """How full it is at first, as a share (0 to 1)."""
    low: SomeShare = 0.05
    """From which share on a device that went empty is switched on again."""
    harvest: Harvest = 0.0
    """What charges it all the time: a power, or a table for the sun through a day."""

    @property
    def supply(self) -> Supply:
        """What the world needs of it."""
        rate_w = (
            self.harvest.rate_w if isinstance(self.harvest, SunTable) else Rate.constant(self.harvest)
        )
        battery = Battery(self.capacity, rate_w)
        return Supply(battery, self.start * self.capacity, self.low * self.capacity)

    @property
    def outages_hz(self) -> float:
        """How often it may empty and come back in a second, at most."""
        peak_w = self.harvest.peak if isinstance(self.harvest, SunTable) else self.harvest
        return peak_w / (self.low * self.capacity)


def slowed(profile: Profile, share: float) -> Profile:
    """Return a profile at a share of full frequency: all takes 1 / share as long (assumed)."""

    def longer(seconds: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(at_share(each, 0.0, share).latency_s for each in seconds)

    told = f"assumed to take 1 / {share:g} as long at {share:g} of full frequency"
    return replace(
        profile,
        layers_s={batch: longer(seconds) for batch, seconds in profile.layers_s.items()},
        raw_sum_s={batch: seconds / share for batch, seconds in profile.raw_sum_s.items()},
        second_s=longer(profile.second_s),
        error="; ".join(filter(None, (profile.error, told))),
    )


def slower(hardware: Hardware, share: float) -> Hardware:
    """Return hardware at a share of full frequency: idle as ever, busy by the cube law (assumed)."""
    if share == 1.0:
        return hardware
    done = at_share(1.0, hardware.marginal_w, share)
    busy_w = hardware.idle_w.value + done.energy_j / done.latency_s
    source = f"the cube law at {share:g} of full frequency, from: {hardware.busy_w.source}"
    return replace(
        hardware, name=f"{hardware.name} at {share:g}", busy_w=Figure(busy_w, "assumed", source)
    )
