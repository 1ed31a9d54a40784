"""Networks and hardware by name: shipped, the user's own, and a scenario's."""

import json
from pathlib import Path
from typing import Any

import pytest

from offload.dnn.profiles import ProfileError
from offload.scenario.catalogue import Catalogue
from offload.scenario.schema import HardwareTable, InlineModel
from offload.shipped import DATA

RESNET = DATA / "profiles" / "resnet18.int8.x86-core.json"


def own(folder: Path, name: str, **changes: Any) -> Path:
    """Write a changed copy of a shipped profile."""
    path = folder / name
    path.write_text(json.dumps(json.loads(RESNET.read_text()) | changes))
    return path


def test_what_is_shipped_has_a_name() -> None:
    shipped = Catalogue()
    assert {"alexnet", "mobilenetv2", "resnet18", "resnet50", "vgg16"} <= set(shipped.models)
    assert {"a100", "cortex-a53", "t4", "x86-core"} <= set(shipped.hardware_names)
    assert [v.name for v in shipped.variants("resnet18")] == ["fp32", "int8"]
    for name in shipped.hardware_names:
        found = shipped.hardware(name)
        assert found.busy_w.value > found.idle_w.value >= 0
        for anchor in found.anchors:
            assert anchor.source
            assert any(v.input_shape[-1] == anchor.pixels for v in shipped.variants(anchor.model))


def test_variants_are_the_same_objects_each_time() -> None:
    one, other = Catalogue(), Catalogue()
    assert one.variants("resnet18")[0] is other.variants("resnet18")[0]
    variant = one.variants("resnet18")[1]
    assert one.profile(variant, "cortex-a53") is one.profile(variant, "cortex-a53")
    assert one.profile(variant, "x86-core").variant is variant


def test_unknown_names() -> None:
    shipped = Catalogue()
    with pytest.raises(KeyError):
        shipped.hardware("abacus")
    assert shipped.variants("resnet19") == []


def test_an_own_profile_replaces_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    own(tmp_path, RESNET.name, weights="my own")
    catalogue = Catalogue(tmp_path)
    (variant,) = [v for v in catalogue.variants("resnet18") if v.name == "int8"]
    assert "my own weights" in catalogue.profile(variant, "x86-core").source
    assert len(catalogue.variants("resnet18")) == 2


def test_an_own_network_is_added_and_rescaled(tmp_path: Path) -> None:
    own(tmp_path, "mine.int8.x86-core.json", model="mine")
    catalogue = Catalogue(tmp_path)
    (variant,) = catalogue.variants("mine")
    assert catalogue.profile(variant, "x86-core").known == "measured"
    assert catalogue.profile(variant, "cortex-a53").known == "rescaled"
    assert catalogue.profile(variant, "raspberry-pi-4") is None


def test_a_file_under_a_wrong_name_is_refused_or_found(tmp_path: Path) -> None:
    own(tmp_path, "renamed.int8.x86-core.json", model="mine")
    catalogue = Catalogue(tmp_path)
    try:
        for model in ("mine", "renamed"):
            for variant in catalogue.variants(model):
                assert catalogue.profile(variant, "x86-core") is not None
    except (KeyError, ProfileError):
        pass  # a message for people; an IndexError is none


def test_profiles_of_one_variant_agree_on_its_cuts_or_are_refused(tmp_path: Path) -> None:
    # Measured with another version of torch, a network may fall into other layers. A plan's cuts must
    # mean the same on every hardware.
    told = json.loads(RESNET.read_text())
    told["cuts"] = [told["cuts"][0], *told["cuts"][3:]]
    own(tmp_path, "resnet18.int8.other.json", hardware="other", cuts=told["cuts"])
    catalogue = Catalogue(tmp_path)
    try:
        (variant,) = [v for v in catalogue.variants("resnet18") if v.name == "int8"]
        for hardware in ("x86-core", "other"):
            assert catalogue.profile(variant, hardware).variant.cuts == variant.cuts
    except ProfileError:
        pass


def test_a_broken_own_profile_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.int8.box.json").write_text("{")
    with pytest.raises(ProfileError, match=r"broken\.int8\.box\.json"):
        Catalogue(tmp_path).variants("broken")


INLINE = {
    "task": "detection",
    "variants": {
        "int8": {
            "precision": "int8",
            "layers": [{"name": "one", "output": "2 kB"}, {"name": "two", "output": "1 kB"}],
            "costs": {
                "box": {
                    "known": "assumed",
                    "source": "s",
                    "seconds": ["3 ms", "1 ms"],
                    "offline": "500 1/s",
                },
                "tub": {
                    "known": "assumed",
                    "source": "s",
                    "seconds": ["1 ms", "1 ms"],
                    "service": "log-normal",
                    "cv": 0.5,
                },
            },
        }
    },
}


def test_an_inline_network_costs_what_it_says() -> None:
    catalogue = Catalogue(models={"seen": InlineModel.model_validate(INLINE)})
    (variant,) = catalogue.variants("seen")
    assert (variant.label, variant.task, variant.accuracy) == ("seen:int8", "detection", None)
    assert [cut.payload_bytes for cut in variant.cuts] == [0, 2000, 1000]
    box, tub = (catalogue.profile(variant, name) for name in ("box", "tub"))
    assert box.layers_s[1] == (0.003, 0.001)
    # l(b) = alpha b + beta with alpha = 2 ms and alpha + beta = 4 ms.
    for batch in (1, 8, 64, 100):
        assert box.seconds(0, 2, batch) == pytest.approx(0.002 * batch + 0.002)
    assert (tub.service, tub.cv) == ("log-normal", 0.5)
    assert catalogue.profile(variant, "x86-core") is None


def test_own_hardware_hides_the_shipped_one() -> None:
    power = {"value": "1 W", "known": "assumed", "source": "s"}
    table = HardwareTable.model_validate(
        {"kind": "cpu", "memory": "1 GB", "idle_power": power, "busy_power": {**power, "value": "3 W"}}
    )
    catalogue = Catalogue(hardware={"t4": table, "box": table})
    assert catalogue.hardware("t4").busy_w.value == 3.0
    assert "box" in catalogue.hardware_names
