"""What the playground's controls may say, and how it refuses the rest."""

import json

import pytest

from offload.views.play.choices import choices
from offload.views.play.settings import SLIDERS, Settings, SettingsError, read
from offload.views.play.situation import situate


def test_what_is_left_out_is_as_the_page_begins():
    assert read(b"{}") == Settings()
    assert read(b'{"distance_m": 50}') == Settings(distance_m=50.0)


@pytest.mark.parametrize("name", SLIDERS)
def test_sliders_rise_begin_at_a_stop_and_keep_their_bounds(name):
    values = SLIDERS[name].values
    assert list(values) == sorted(set(values))
    assert getattr(Settings(), name) in values
    for value in (values[0], values[-1]):
        read(json.dumps({name: value}).encode())
    for beyond in (values[0] - 1, values[-1] * 2 + 1):
        with pytest.raises(SettingsError) as refused:
            read(json.dumps({name: beyond}).encode())
        least, most = SLIDERS[name].show(values[0]), SLIDERS[name].show(values[-1])
        assert refused.value.faults == (f"{name}: must lie between {least} and {most}",)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"distence_m": 5}, 'no setting "distence_m"; did you mean "distance_m"?'),
        ({"deadline_s": "5 ms"}, "deadline_s: input should be a valid number"),
        ({"sight": 1}, "sight: input should be a valid boolean"),
        ({"radio": "wifi"}, "radio: input should be 'nr-umi-3.5ghz', 'nr-uma-3.5ghz',"),
        ([], "settings: input should be an object"),
    ],
)
def test_what_is_no_setting_is_refused_in_a_line(said, told):
    with pytest.raises(SettingsError) as refused:
        read(json.dumps(said).encode())
    (fault,) = refused.value.faults
    assert fault.startswith(told)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"load": NaN}', b'{"load": Infinity}'])
def test_what_is_no_json_or_not_finite_is_refused(body):
    with pytest.raises(SettingsError):
        read(body)


def test_all_faults_are_told_at_once():
    with pytest.raises(SettingsError) as refused:
        read(b'{"load": 2, "devices": 0}')
    assert len(refused.value.faults) == 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"network": "resnet5"}, ['network: no network "resnet5"; did you mean "resnet50"?']),
        ({"variant": "int9"}, ['variant: no variant "int9"; did you mean "int8"?']),
        (
            {"network": "resnet5", "device": "x68-core"},
            [
                'network: no network "resnet5"; did you mean "resnet50"?',
                'device: no hardware "x68-core"; did you mean "x86-core"?',
            ],
        ),
    ],
)
def test_names_that_stand_for_nothing_are_told(said, told):
    with pytest.raises(SettingsError) as refused:
        situate(Settings(**said))
    assert list(refused.value.faults) == told


def test_hardware_of_which_nothing_is_known_is_refused_with_what_to_choose():
    known = choices()["networks"]["mobilenetv2"]["fp32"]
    assert "cortex-a53" not in known
    with pytest.raises(SettingsError) as refused:
        situate(Settings(variant="fp32"))
    (fault,) = refused.value.faults
    assert fault.startswith("device: nobody knows what mobilenetv2:fp32 takes on cortex-a53; choose")
    assert all(name in fault for name in known)


def test_whatever_the_page_offers_can_be_worked_out():
    found = choices()
    for network, forms in found["networks"].items():
        for variant, hardware in forms.items():
            assert hardware, (network, variant)
    networks = ("fashion-cnn", "vgg16", "yolos-tiny")
    for network in networks:
        variant, hardware = next(iter(found["networks"][network].items()))
        situate(Settings(network=network, variant=variant, device=hardware[0], edge=hardware[-1]))
