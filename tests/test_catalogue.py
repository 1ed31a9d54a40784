"""Networks and hardware by name: shipped, the user's own, and a scenario's."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from offload.dnn import answers
from offload.dnn.profiles import ProfileError
from offload.scenario.catalogue import Catalogue, with_shipped
from offload.scenario.inline import HardwareTable, InlineModel
from offload.shipped import DATA
from tests import hand_made

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


POWER = {"value": "1 W", "known": "assumed", "source": "s"}


def published(**latencies: str) -> HardwareTable:
    """Return a user's table of a machine on which these networks are published in int8."""
    sizes = {"inceptionv4": 299, "resnet50v1-299": 299, "resnet152-299": 299}
    return HardwareTable.model_validate({
        "kind": "cpu", "memory": "1 GB", "idle_power": POWER, "busy_power": {**POWER, "value": "3 W"},
        "latencies": [
            {
                "model": model, "pixels": sizes.get(model, 224), "precision": "int8", "latency": latency,
                "source": "a data sheet",
            }
            for model, latency in latencies.items()
        ],
    })  # fmt: skip


FIVE = {"mobilenetv1": "82 ms", "mobilenetv2": "61 ms", "vgg16": "2.3 s", "vgg19": "2.8 s",
        "squeezenet": "116 ms"}  # fmt: skip


def test_a_table_of_published_figures_adds_hardware_with_its_error() -> None:
    six = {**FIVE, "densenet121": "516 ms"}
    catalogue = Catalogue(hardware={"few": published(**FIVE), "many": published(**six)})
    (own,) = [v for v in catalogue.variants("mobilenetv2") if v.name == "int8"]
    (other,) = [v for v in catalogue.variants("resnet18") if v.name == "int8"]
    for name in ("few", "many"):
        assert sum(catalogue.profile(own, name).layers_s[1]) == pytest.approx(0.061)
    assert catalogue.profile(own, "few").error == "total published; shares unchecked"
    assert catalogue.profile(other, "few").error == "error unknown"
    told = catalogue.profile(other, "many")
    # Half the latencies of a Cortex-A53, which takes 467 ms by all ten: half of that, or about.
    assert sum(told.layers_s[1]) == pytest.approx(0.234, rel=0.3)
    assert told.error.startswith("mean ")
    assert "choice of method left out too, 6 networks; shares ±" in told.error
    assert "a data sheet" in told.source


def test_running_the_profiler_adds_hardware(tmp_path: Path) -> None:
    own(tmp_path, "resnet18.int8.mine.json", hardware="mine")
    catalogue = Catalogue(tmp_path, hardware={"mine": published(**FIVE)})
    (variant,) = [v for v in catalogue.variants("resnet18") if v.name == "int8"]
    assert catalogue.profile(variant, "mine").known == "measured"
    assert catalogue.profile(variant, "mine").error == ""
    # What was not run there is rescaled, with its mark.
    (other,) = [v for v in catalogue.variants("resnet50") if v.name == "int8"]
    assert (catalogue.profile(other, "mine").known, catalogue.profile(other, "mine").error) == (
        "rescaled", "error unknown",
    )  # fmt: skip


def test_seconds_are_compared_in_one_precision() -> None:
    # All of the ten were measured in fp32 but only two in int8: fp32 seconds count for all.
    (judged,) = Catalogue().judgements("cortex-a53").values()
    assert {network.graph.precision for network in judged.networks} == {"fp32"}
    (t4,) = Catalogue().judgements("t4").values()
    assert t4.told == "one factor x measured seconds (int8)"


def test_a_changed_network_is_no_anchor(tmp_path: Path) -> None:
    own(tmp_path, "resnet18.pruned.x86-core.json", variant="pruned")
    catalogue = Catalogue(tmp_path, hardware={"box": published(resnet18="9 ms")})
    plain, pruned = (
        next(v for v in catalogue.variants("resnet18") if v.name == name) for name in ("int8", "pruned")
    )
    assert catalogue.profile(plain, "box").error.startswith("total published")
    assert catalogue.profile(pruned, "box").error == "error unknown"


def test_the_second_opinion_replaces_the_first() -> None:
    first, second = Catalogue(), Catalogue(shares="second-opinion")
    (variant,) = [v for v in first.variants("mobilenetv2") if v.name == "int8"]
    for name, swapped in (("cortex-a53", True), ("t4", False), ("x86-core", False)):
        one, other = first.profile(variant, name), second.profile(variant, name)
        assert (one.layers_s[1] != other.layers_s[1]) == swapped
        assert sum(one.layers_s[1]) == pytest.approx(sum(other.layers_s[1]), rel=1e-12)


def test_own_hardware_hides_the_shipped_one() -> None:
    power = {"value": "1 W", "known": "assumed", "source": "s"}
    table = HardwareTable.model_validate(
        {"kind": "cpu", "memory": "1 GB", "idle_power": power, "busy_power": {**power, "value": "3 W"}}
    )
    catalogue = Catalogue(hardware={"t4": table, "box": table})
    assert catalogue.hardware("t4").busy_w.value == 3.0
    assert "box" in catalogue.hardware_names


# Measured answers lie beside the profiles.


def test_answers_belong_to_the_variants_that_gave_them(tmp_path: Path) -> None:
    hand_made.write_pictures(tmp_path, **{"x86-core": 1.0, "box": 2.0})
    catalogue = Catalogue(tmp_path)
    plain, early = sorted(catalogue.variants("pictures"), key=lambda form: form.name, reverse=True)
    assert (plain.exits, early.exits) == ((), hand_made.EXITS)
    assert (plain.leaves_early, early.leaves_early) == (False, True)
    for form in (plain, early):
        right = form.answers[None, 0].right[-1]
        assert form.accuracy.value == sum(right) / hand_made.IMAGES
        assert (form.accuracy.known, form.accuracy.source) == ("measured", "made-up pictures")
        assert set(form.codecs) == {(c, cut) for c in ("uint8", "uint8+zip") for cut in range(8)}
        assert set(form.answers) == {(None, 0), *form.codecs}
        assert form.codecs["uint8", 3].payload_bytes == 1500
        # One Variant for all hardware, or a plan would not know where it can run.
        assert all(catalogue.profile(form, name).variant is form for name in ("x86-core", "box"))


def test_own_answers_replace_others_and_networks_without_stay_as_they_are(tmp_path: Path) -> None:
    hand_made.write_pictures(tmp_path, box=1.0)
    path = tmp_path / "pictures.answers.parquet"
    answers.write(path, hand_made.pictures_records()[:1])
    forms = {form.name: form for form in Catalogue(tmp_path).variants("pictures")}
    assert (len(forms["plain"].answers), len(forms["exits"].answers)) == (1, 0)
    assert forms["exits"].accuracy is None
    assert not forms["exits"].leaves_early
    assert Catalogue(tmp_path).variants("resnet18")[0] is Catalogue().variants("resnet18")[0]


def changed(number: int, **changes: Any) -> list[answers.Record]:
    """Return the records of the made-up network with one changed."""
    records = hand_made.pictures_records()
    records[number] = replace(records[number], **changes)
    return records


RECORDS = hand_made.pictures_records()
OTHERS = hand_made.answers(([1, 0], [9, 9]), data="other pictures")
MISFITS = {
    "unknown variant": (
        changed(0, variant="small"),
        "answers of small, of which there is no profile; there is exits, plain",
    ),
    "unknown cut": (changed(1, cut=8), "plain: a codec at cut 8, where its profile has cuts before 8"),
    "cut before the first": (changed(1, cut=-1), "plain: a codec at cut -1, where its profile"),
    "exits that disagree": (
        changed(0, answers=RECORDS[-1].answers),
        "plain: answers at 3 exits, where its profile has 1",
    ),
    "exits that are missing": (
        changed(-1, answers=RECORDS[0].answers),
        "exits: answers at 1 exits, where its profile has 3",
    ),
    "other images": (changed(0, answers=OTHERS), "plain: lacks answers to the same images with raw"),
    "none with raw values": (RECORDS[1:], "plain: lacks answers to the same images with raw"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_answers_that_do_not_fit_the_profiles_are_refused(misfit: str, tmp_path: Path) -> None:
    records, why = MISFITS[misfit]
    hand_made.write_pictures(tmp_path, box=1.0)
    path = tmp_path / "pictures.answers.parquet"
    answers.write(path, records)
    with pytest.raises(ProfileError) as refused:
        Catalogue(tmp_path).variants("pictures")
    assert str(refused.value).startswith(f"{path}: {why}")


def test_profiles_of_one_variant_agree_on_its_exits(tmp_path: Path) -> None:
    hand_made.write_pictures(tmp_path, box=1.0)
    told = hand_made.pictures_profile("exits", "tub") | {"exits": [4, 5, 8]}
    (tmp_path / "pictures.exits.tub.json").write_text(json.dumps(told))
    with pytest.raises(ProfileError, match=r"tub\.json: its layers are not those of the other profiles"):
        Catalogue(tmp_path).variants("pictures")


def test_a_scenario_gives_shipped_hardware_another_price() -> None:
    price = {"value": 1200, "life": "4 years", "known": "assumed", "source": "a quotation"}
    raw = {"hardware": {"cortex-a53": {"price": price}, "mine": {"price": price}, "x86-core": 3}}
    tables = with_shipped(raw)["hardware"]
    assert raw["hardware"]["cortex-a53"] == {"price": price}
    assert tables["mine"] == {"price": price}
    assert tables["x86-core"] == 3
    mine = Catalogue(hardware={"cortex-a53": HardwareTable.model_validate(tables["cortex-a53"])})
    assert mine.price("cortex-a53").value == 1200
    assert mine.hardware("cortex-a53") == Catalogue().hardware("cortex-a53")
    whole = {"hardware": {"x86-core": {"kind": "cpu"}}}  # a machine of its own, with all that it is
    assert with_shipped(whole) == whole
