"""Radios by name: every figure of theirs, where it comes from and how it is known."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from offload.networks import Figure
from offload.world.radio.handover import Rules
from offload.world.radio.models import MODELS, PathLoss
from offload.world.radio.rates import gap_db, noise_dbm


@dataclass(frozen=True, slots=True)
class Preset:
    """A kind of cell and of the devices in it. The unit stands in the name of each figure.

    Powers are totals over the bandwidth. `down_share` and `up_share` are shares of time (TDD; both 1 in
    FDD, where `bandwidth_hz` is that of each direction); overheads are shares of what is left that carry
    no data: guard bands, cyclic prefix, control, reference signals, contention. `rise_db` is by how much
    fully loaded neighbours raise the noise at a site, `up_narrowest` the smallest part of the band into
    which a device may put all its power. `out_sinr_db` and `in_sinr_db` are RSRP over the noise of one
    subcarrier. `model` names a path loss, `steps` a table of `rates`.
    """

    name: str
    model: str
    steps: str
    frequency_hz: Figure
    bandwidth_hz: Figure
    subcarrier_hz: Figure
    site_power_dbm: Figure
    device_power_dbm: Figure
    site_gain_db: Figure
    device_gain_db: Figure
    site_noise_db: Figure
    device_noise_db: Figure
    site_height_m: Figure
    device_height_m: Figure
    down_share: Figure
    up_share: Figure
    down_overhead: Figure
    up_overhead: Figure
    gap_db: Figure
    rise_db: Figure
    up_narrowest: Figure
    hysteresis_db: Figure
    offset_db: Figure
    time_to_trigger_s: Figure
    filter_s: Figure
    interruption_s: Figure
    out_sinr_db: Figure
    in_sinr_db: Figure
    failure_s: Figure

    @property
    def path_loss(self) -> PathLoss:
        """The model of path loss, with its own source."""
        return MODELS[self.model]

    @property
    def down_usable(self) -> float:
        """Share of bandwidth and time that carries data to devices."""
        return self.down_share.value * (1 - self.down_overhead.value)

    @property
    def up_usable(self) -> float:
        """Share of bandwidth and time that carries data from devices."""
        return self.up_share.value * (1 - self.up_overhead.value)

    @property
    def rules(self) -> Rules:
        """The rules of handover, with levels in dBm."""
        floor_dbm = noise_dbm(self.subcarrier_hz.value, self.device_noise_db.value)
        return Rules(
            hysteresis_db=self.hysteresis_db.value,
            offset_db=self.offset_db.value,
            time_to_trigger_s=self.time_to_trigger_s.value,
            filter_s=self.filter_s.value,
            interruption_s=self.interruption_s.value,
            out_dbm=floor_dbm + self.out_sinr_db.value,
            in_dbm=floor_dbm + self.in_sinr_db.value,
            failure_s=self.failure_s.value,
        )

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield all figures with their names."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Figure):
                yield each.name, value


def _assumed(value: float, source: str) -> Figure:
    return Figure(value, "assumed", source)


def _published(value: float, source: str) -> Figure:
    return Figure(value, "published", source)


_USUAL = "a usual value, from memory"
_M2412 = "the order of ITU-R M.2412's evaluation configurations, from memory"
_TR38901 = "TR 38.901 Table 7.4.1-1"
_GRID = (
    "guard bands and cyclic prefix {}; control and reference signals {} as in TS 38.306 section 4.1.2"
)
_CQI_GAP = _published(gap_db(5e-5), "Piro et al. 2010, as ns-3 lte-amc.cc: bit error rate 5e-5")
_OWN_GAP = _assumed(gap_db(5e-5), "that of LTE in ns-3 (Piro et al. 2010)")

_UMI = Preset(
    name="nr-umi-3.5ghz",
    model="umi",
    steps="cqi-2",
    frequency_hz=_assumed(3.5e9, "mid-band n78, 3.3 to 3.8 GHz"),
    bandwidth_hz=_assumed(100e6, "the widest carrier of n78"),
    subcarrier_hz=_assumed(30e3, "the usual spacing of n78"),
    site_power_dbm=_assumed(40.0, f"10 W, a small cell: 33 dBm in 20 MHz; {_M2412}"),
    device_power_dbm=_assumed(23.0, "power class 3 of TS 38.101-1, from memory"),
    site_gain_db=_assumed(8.0, f"one antenna element, no beamforming; {_M2412}"),
    device_gain_db=_assumed(0.0, "an omnidirectional antenna outside the body of a car"),
    site_noise_db=_assumed(5.0, _M2412),
    device_noise_db=_assumed(9.0, "the order of TR 38.901 section 7.8, from memory"),
    site_height_m=_published(10.0, _TR38901),
    device_height_m=_published(1.5, _TR38901),
    down_share=_assumed(0.743, "slots DDDSU, S with 10 symbols down and 2 up: 52 of 70"),
    up_share=_assumed(0.229, "slots DDDSU, S with 10 symbols down and 2 up: 16 of 70"),
    down_overhead=_assumed(0.211, _GRID.format("8.3 % (273 blocks)", "14 %")),
    up_overhead=_assumed(0.156, _GRID.format("8.3 % (273 blocks)", "8 %")),
    gap_db=_CQI_GAP,
    rise_db=_assumed(6.0, "a common target of interference over thermal noise, from memory"),
    up_narrowest=_assumed(1 / 16, "17 of 273 blocks; schedulers go lower"),
    hysteresis_db=_published(3.0, "ns-3 A3RsrpHandoverAlgorithm, default"),
    offset_db=_assumed(0.0, "none"),
    time_to_trigger_s=_published(0.256, "ns-3 A3RsrpHandoverAlgorithm, default"),
    filter_s=_assumed(0.289, "coefficient 4 of TS 38.331 section 5.5.3.2, sampled every 200 ms"),
    interruption_s=_assumed(0.1, "tutorials quote 50 to 150 ms for NR"),
    out_sinr_db=_assumed(-8.0, "a usual Qout, from memory"),
    in_sinr_db=_assumed(-6.0, "a usual Qin, from memory"),
    failure_s=_assumed(1.0, "a usual T310, from memory; 1 to 3 s"),
)

_UMA = replace(
    _UMI,
    name="nr-uma-3.5ghz",
    model="uma",
    site_power_dbm=_assumed(49.0, f"80 W; {_M2412}"),
    site_gain_db=_assumed(17.0, "a sector antenna, without beamforming; " + _USUAL),
    site_height_m=_published(25.0, _TR38901),
)

_MMWAVE = replace(
    _UMI,
    name="nr-mmwave-28ghz",
    frequency_hz=_assumed(28e9, "band n257"),
    bandwidth_hz=_assumed(400e6, "the widest carrier of n257"),
    subcarrier_hz=_assumed(120e3, "the usual spacing of n257"),
    site_power_dbm=_assumed(30.0, f"1 W; {_USUAL}"),
    site_gain_db=_assumed(26.0, "a beam of 64 elements of 8 dBi, always pointed right"),
    device_gain_db=_assumed(9.0, "a beam of few elements, always pointed right"),
    site_noise_db=_assumed(7.0, _M2412),
    device_noise_db=_assumed(10.0, _M2412),
    down_overhead=_assumed(0.273, _GRID.format("11.3 % (264 blocks)", "18 %")),
    up_overhead=_assumed(0.202, _GRID.format("11.3 % (264 blocks)", "10 %")),
)

_LTE = replace(
    _UMA,
    name="lte-1.8ghz",
    steps="cqi-1",
    frequency_hz=_assumed(1.8e9, "band 3"),
    bandwidth_hz=_assumed(20e6, "the widest carrier of LTE, one in each direction"),
    subcarrier_hz=_published(15e3, "TS 36.211"),
    site_power_dbm=_assumed(46.0, "40 W; " + _USUAL),
    site_gain_db=_assumed(15.0, "a sector antenna less its cable; " + _USUAL),
    down_share=_published(1.0, "band 3 is FDD"),
    up_share=_published(1.0, "band 3 is FDD"),
    down_overhead=_assumed(
        0.37, "guard bands and cyclic prefix 16 % (100 blocks); control, references 25 %"
    ),
    up_overhead=_assumed(
        0.286, "guard bands and cyclic prefix 16 % (100 blocks); control, references 15 %"
    ),
    up_narrowest=_assumed(1 / 16, "6 of 100 blocks"),
    interruption_s=_assumed(0.0495, "planning value of TR 36.881, from memory"),
)

_WIFI = replace(
    _UMI,
    name="wifi-5ghz",
    model="inh-open",
    steps="802.11-vht",
    frequency_hz=_assumed(5.5e9, "channels 100 to 144"),
    bandwidth_hz=_assumed(80e6, "802.11ac"),
    subcarrier_hz=_assumed(312.5e3, "802.11ac"),
    site_power_dbm=_assumed(20.0, _USUAL),
    device_power_dbm=_assumed(15.0, _USUAL),
    site_gain_db=_assumed(3.0, _USUAL),
    site_noise_db=_assumed(7.0, _USUAL),
    device_noise_db=_assumed(7.0, _USUAL),
    site_height_m=_published(3.0, "TR 38.901 section 7.2, indoor office"),
    device_height_m=_assumed(1.5, "a robot or a person"),
    down_share=_assumed(0.5, "one medium for both directions, halved"),
    up_share=_assumed(0.5, "one medium for both directions, halved"),
    down_overhead=_assumed(
        0.525, "pilots, guards 27 % (234 tones, 4 us); contention, headers, answers 35 %"
    ),
    up_overhead=_assumed(
        0.525, "pilots, guards 27 % (234 tones, 4 us); contention, headers, answers 35 %"
    ),
    gap_db=_OWN_GAP,
    rise_db=_assumed(0.0, "neighbours wait for each other instead"),
    up_narrowest=_assumed(1.0, "802.11ac sends in the whole channel"),
    hysteresis_db=_assumed(8.0, "a usual margin of roaming"),
    time_to_trigger_s=_assumed(1.0, "time to scan"),
    interruption_s=_assumed(0.2, "a new association with 802.1X; " + _USUAL),
    out_sinr_db=_assumed(0.0, "a little below the lowest rate"),
    in_sinr_db=_assumed(4.0, "the lowest rate"),
)

_DSRC = replace(
    _WIFI,
    name="dsrc-5.9ghz",
    model="v2v-urban",
    steps="802.11-ofdm",
    frequency_hz=_assumed(5.9e9, "5.855 to 5.925 GHz"),
    bandwidth_hz=_assumed(10e6, "802.11p"),
    subcarrier_hz=_assumed(156.25e3, "802.11p"),
    site_power_dbm=_assumed(23.0, _USUAL),
    device_power_dbm=_assumed(23.0, _USUAL),
    device_gain_db=_assumed(3.0, _USUAL),
    site_noise_db=_assumed(9.0, "TR 37.885, from memory"),
    device_noise_db=_assumed(9.0, "TR 37.885, from memory"),
    site_height_m=_assumed(5.0, "a roadside unit on a pole"),
    device_height_m=_assumed(1.6, "the roof of a car, as in TR 37.885"),
    down_overhead=_assumed(
        0.64, "pilots, guards 40 % (48 tones, 8 us); contention, headers, answers 40 %"
    ),
    up_overhead=_assumed(
        0.64, "pilots, guards 40 % (48 tones, 8 us); contention, headers, answers 40 %"
    ),
    hysteresis_db=_assumed(3.0, "as NR"),
    time_to_trigger_s=_assumed(0.256, "as NR"),
    interruption_s=_assumed(0.01, "no association outside the context of a BSS"),
)

PRESETS = {each.name: each for each in (_UMI, _UMA, _MMWAVE, _LTE, _WIFI, _DSRC)}
