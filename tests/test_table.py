"""Policy tables of scenario files: options with units, and refusals that say what to write."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest

from offload.entities import Observation, Plan, Request
from offload.policies import table
from offload.policies.table import PolicyTableError, choose
from offload.scenario.faults import ScenarioError
from offload.scenario.load import load
from offload.units import Metres, Seconds


@dataclass
class Mine:
    """A policy with an option of each kind."""

    need: int
    wait: Seconds = 0.5
    far: Metres = 10.0
    weight: float = 1.0
    name_it: str | None = None
    pause: Seconds | None = None
    mode: Literal["soft", "hard"] = "soft"
    flags: list[str] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict, init=False)

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Never asked."""
        raise NotImplementedError


class Plain:
    """A policy that is no dataclass."""

    knowledge = "fresh"

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Never asked."""
        raise NotImplementedError


@pytest.fixture(autouse=True)
def mymodule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's, with two policies and something else."""
    module = ModuleType("mymodule")
    module.Mine, module.Plain, module.thing = Mine, Plain, len
    monkeypatch.setitem(sys.modules, "mymodule", module)


def faults(**given: Any) -> list[tuple[str, str]]:
    """Return what is wrong with a table."""
    with pytest.raises(PolicyTableError) as refused:
        choose(given)
    return refused.value.faults


def test_every_named_policy_is_there() -> None:
    for name in table.NAMED:
        choice = choose({"name": name})
        assert (choice.label, choice.name, choice.overhead_s) == (name, name, 0.0)
        assert callable(choice.make().decide)


def test_options_are_converted() -> None:
    choice = choose(
        {
            "name": "mymodule:Mine", "need": 3, "wait": "20 ms", "far": "0.2 km", "weight": 2,
            "name_it": "x", "label": "mine", "overhead": "1 ms", "knowledge": "fresh",
        }
    )  # fmt: skip
    made = choice.make()
    assert made == Mine(need=3, wait=0.02, far=200.0, weight=2.0, name_it="x")
    assert isinstance(made.weight, float)
    assert (choice.label, choice.overhead_s, choice.knowledge) == ("mine", 0.001, "fresh")


def test_each_policy_is_made_afresh() -> None:
    choice = choose({"name": "mymodule:Mine", "need": 3})
    one, other = choice.make(), choice.make()
    one.memory["a"] = 1
    assert other.memory == {}


def test_what_was_said_can_be_said_again() -> None:
    given = {"name": "thrifty", "margin": "5 ms", "label": "t5", "overhead": "1 ms"}
    choice = choose(given)
    again = choose({"name": choice.name, "label": choice.label, **dict(choice.said)})
    assert again == choice


def test_an_optional_quantity_takes_a_unit() -> None:
    assert choose({"name": "mymodule:Mine", "need": 1, "pause": "20 ms"}).make().pause == 0.02


def test_a_choice_of_words_takes_one_of_them() -> None:
    assert choose({"name": "mymodule:Mine", "need": 1, "mode": "hard"}).make().mode == "hard"
    (fault,) = faults(name="mymodule:Mine", need=1, mode="firm")
    assert fault[0] == "mode"


def test_a_list_of_words_is_taken() -> None:
    made = choose({"name": "mymodule:Mine", "need": 1, "flags": ["a", "b"]}).make()
    assert made.flags == ["a", "b"]


def test_knowledge_may_be_a_class_attribute() -> None:
    assert choose({"name": "mymodule:Plain"}).knowledge == "fresh"
    assert choose({"name": "mymodule:Plain", "knowledge": "reported"}).knowledge == "reported"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ("name", 'give the policy a name; "offload policies" lists')),
        ({"name": 3}, ("name", 'give the policy a name; "offload policies" lists')),
        ({"name": "thrify"}, ("name", 'no policy "thrify"; did you mean "thrifty"?')),
        ({"name": "zzz"}, ("name", 'no policy "zzz"; "offload policies" lists')),
        ({"name": "no_module:Mine"}, ("name", "no_module:Mine cannot be loaded: ModuleNotFoundError")),
        ({"name": "mymodule:Yours"}, ("name", "mymodule:Yours cannot be loaded: AttributeError")),
        ({"name": "mymodule:thing"}, ("name", "mymodule:thing has no method decide(request, seen)")),
        ({"name": "thrifty", "margn": "5 ms"}, ("margn", 'no such option; did you mean "margin"?')),
        ({"name": "thrifty", "zzz": 1}, ("zzz", "no such option; thrifty takes margin")),
        ({"name": "random", "zzz": 1}, ("zzz", "no such option; random takes ")),
        ({"name": "thrifty", "margin": 5}, ("margin", "a bare number; write it with a unit")),
        ({"name": "thrifty", "margin": "5 m"}, ("margin", 'unit "m" is no time; use one of s, ms')),
        ({"name": "thrifty", "margin": "-5 ms"}, ("margin", "must not be negative")),
        ({"name": "thrifty", "margin": True}, ("margin", "not a time")),
        ({"name": "quickest", "split": 1}, ("split", "must be bool, not 1")),
        ({"name": "quickest", "split": "no"}, ("split", "must be bool, not 'no'")),
        ({"name": "local", "variant": 8}, ("variant", "must be str")),
        ({"name": "local", "confidence": 7}, ("confidence", "must be less than or equal to 1, not 7")),
        ({"name": "local", "confidence": "x"}, ("confidence", "must be float | None, not 'x'")),
        ({"name": "edge", "after": -3}, ("after", "must be greater than or equal to 0, not -3")),
        ({"name": "maui", "moved": -1}, ("moved", "must be greater than or equal to 0, not -1")),
        ({"name": "qdmp", "step": -0.5}, ("step", "must be greater than or equal to 0, not -0.5")),
        ({"name": "dads", "step": -0.5}, ("step", "must be greater than or equal to 0, not -0.5")),
        ({"name": "jointdnn", "step": -0.5}, ("step", "must be greater than or equal to 0, not -0.5")),
        ({"name": "deep-decision", "frames": "0 Hz"}, ("frames", "must be greater than 0, not 0.0")),
        ({"name": "deep-decision", "frames": "-1 Hz"}, ("frames", "must not be negative")),
        ({"name": "local", "overhead": 1}, ("overhead", "a bare number; write it with a unit")),
        ({"name": "local", "overhead": "-1 ms"}, ("overhead", "must not be negative")),
        ({"name": "local", "knowledge": "all"}, ("knowledge", "must be one of reported, fresh, clairv")),
        ({"name": "local", "knowledge": ["fresh"]}, ("knowledge", "must be one of reported, fresh, cl")),
        ({"name": "local", "label": "a/b"}, ("label", "a name has 1 to 100 characters, no slash")),
        ({"name": "local", "label": ""}, ("label", "a name has 1 to 100 characters, no slash")),
        ({"name": "local", "label": ".."}, ("label", "a name has 1 to 100 characters, no slash")),
        ({"name": "local", "label": 1}, ("label", "a name has 1 to 100 characters, no slash")),
        ({"name": "local", "chosen": {}}, ("chosen", "no such option")),
        ({"name": "mymodule:Mine"}, ("need", "mymodule:Mine needs it")),
        ({"name": "mymodule:Mine", "need": True}, ("need", "must be int, not True")),
        ({"name": "mymodule:Mine", "need": 1.0}, ("need", "must be int, not 1.0")),
        ({"name": "mymodule:Mine", "need": 1, "weight": float("nan")}, ("weight", "must be ")),
        ({"name": "mymodule:Mine", "need": 1, "weight": True}, ("weight", "must be float, not True")),
    ],
)  # fmt: skip
def test_refusals(given: dict[str, Any], told: tuple[str, str]) -> None:
    ((key, what),) = faults(**given)
    assert key == told[0]
    assert what.startswith(told[1])


def test_all_faults_are_told_at_once() -> None:
    found = faults(name="mymodule:Mine", wait=1, zzz=2, label="/", knowledge="all", overhead="x")
    assert sorted(key for key, _ in found) == ["knowledge", "label", "need", "overhead", "wait", "zzz"]


def test_a_fault_of_what_was_set_is_not_blamed_on_the_file() -> None:
    settings = ['compare.policies=[{ name = "thrifty", margn = "1 ms" }]']
    with pytest.raises(ScenarioError) as caught:
        load(Path(__file__).parent / "small.toml", settings)
    (fault,) = caught.value.faults
    assert fault.startswith("--set compare.policies: ")
