"""Tells the author of a policy what is wrong with it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from offload.entities import Knowledge, Outcome, Plan, Question
from offload.planning.validity import why_invalid
from offload.policies.protocol import Joint, Learns, Policy, Starts, slot_s
from offload.policies.table import KNOWLEDGE, options
from offload.scenario.load import Scenario, check
from offload.simulation.answering import told
from offload.simulation.world import World
from offload.streams import Streams

# Cameras within and beyond a cell's range, one whose frames need two networks; measured networks, an
# edge server and a cloud.
_SCENARIO = {
    "format": 1,
    "name": "check-policy",
    "duration": "5 s",
    "devices": {
        "camera": {
            "count": 6,
            "hardware": "cortex-a53",
            "radio_power": "1 W",
            "tasks": {
                "objects": {
                    "models": ["mobilenetv2", "resnet50"],
                    "variants": ["int8"],
                    "every": "200 ms",
                    "deadline": "130 ms",
                    "input": "60 kB",
                }
            },
        },
        "far": {
            "hardware": "cortex-a53",
            "at": ["900 m", "0 m"],
            "tasks": {
                "objects": {
                    "models": ["mobilenetv2"],
                    "variants": ["int8"],
                    "every": "500 ms",
                    "deadline": "200 ms",
                    "input": "60 kB",
                }
            },
        },
        "two": {
            "hardware": "cortex-a53",
            "tasks": {
                "frame": {
                    "every": "500 ms",
                    "deadline": "300 ms",
                    "stages": {
                        "detect": {
                            "models": ["mobilenetv2"],
                            "variants": ["int8"],
                            "input": "60 kB",
                        },
                        "classify": {
                            "models": ["mobilenetv2"],
                            "variants": ["int8"],
                            "after": ["detect"],
                            "count": {"mean": 2, "max": 4},
                            "input": {"distribution": "uniform", "min": "2 kB", "max": "9 kB"},
                        },
                    },
                }
            },
        },
    },
    "nodes": {
        "edge": {"kind": "edge", "hardware": "x86-core", "servers": 2},
        "cloud": {"kind": "cloud", "hardware": "x86-core", "servers": 8},
    },
    "links": {
        "cell": {
            "from": "*", "to": "edge", "up": "40 Mbit/s", "down": "100 Mbit/s", "delay": "4 ms",
            "range": "200 m",
        },
        "backhaul": {"from": "edge", "to": "cloud", "rate": "1 Gbit/s", "delay": "12 ms"},
    },
}  # fmt: skip


def check_policy(make: Callable[[], Policy], scenario: Scenario | None = None) -> list[str]:
    """Try a policy and return the first thing wrong with it, as a list of one; empty if nothing is.

    `make` returns a fresh policy (its class, say). Two of them are driven side by side through a short
    scenario with every level of knowledge: each plan is checked, and two fresh policies that are asked
    the same must answer the same, else results could not be repeated. What answers several questions at
    once is asked about all that come up in 50 ms, or in its own slot if that is longer.
    """
    if scenario is None:
        scenario = check(Path("check-policy"), _SCENARIO, lambda _: "check-policy", Path())
    for knowledge in KNOWLEDGE:
        try:
            options(make)
            pair = _fresh(make), _fresh(make)
        except Exception as error:  # noqa: BLE001 - a user's code may raise anything
            return [f"it cannot be made: {told(error)}"]
        fault = _try(pair, scenario, knowledge)
        if fault is not None:
            return [f"with knowledge {knowledge}: {fault}"]
    return []


def _fresh(make: Callable[[], Policy]) -> Policy:
    policy = make()
    if not isinstance(policy, Policy):
        msg = f"{type(policy).__name__} has no method decide(request, seen)"
        raise TypeError(msg)
    if isinstance(policy, Starts):
        policy.start(np.random.default_rng(1))
    return policy


def _try(pair: tuple[Policy, Policy], scenario: Scenario, knowledge: Knowledge) -> str | None:
    """Drive both through one world until something is wrong, and say what."""
    learns = [policy.learn for policy in pair if isinstance(policy, Learns)]

    def learn(outcome: Outcome) -> None:
        for each in learns:
            each(outcome)

    together_s = max(0.05, slot_s(pair[0])) if isinstance(pair[0], Joint) else 0.0
    heard = learn if learns else None
    game = World(scenario.setting(0.0), Streams(1, 0), knowledge, heard, together_s).play()
    plans: list[list[Plan]] | None = None
    while True:
        try:
            questions = next(game) if plans is None else game.send(plans[0])
        except StopIteration:
            return None
        except Exception as error:  # noqa: BLE001 - a user's code may raise anything
            return f"it raises {told(error)}"
        try:
            plans = [_answer(policy, questions) for policy in pair]
        except Exception as error:  # noqa: BLE001 - as above
            return f"it raises {told(error)}"
        if fault := _fault(questions, plans):
            return fault


def _fault(questions: Sequence[Question], plans: Sequence[Sequence[Plan]]) -> str | None:
    """Say what is wrong with the answers of two equal policies."""
    if len(plans[0]) != len(questions):
        return f"it answers {len(questions)} questions with {len(plans[0])} plans"
    for question, plan, other in zip(questions, *plans, strict=True):
        reason = why_invalid(question.seen.facts, plan)
        if reason is not None:
            return f"its plan for {question.request} cannot be carried out: {reason}"
        if plan != other:
            return (
                f"two fresh policies answer {question.request} differently: {plan} and {other};"
                " draw chance from the generator that start(rng) is given"
            )
    return None


def _answer(policy: Policy, questions: Sequence[Question]) -> list[Plan]:
    kept = [question.seen.begun for question in questions]
    if any(kept):  # a node decides by a policy of its own: let it keep what has come
        others = iter(_answer(policy, [q for q in questions if q.seen.begun is None]))
        return [begun or next(others) for begun in kept]
    if isinstance(policy, Joint):
        return list(policy.decide_all(questions)) if questions else []
    return [policy.decide(question.request, question.seen) for question in questions]
