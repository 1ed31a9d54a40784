"""How a policy answers the world's questions, and what is said of one that fails."""

import signal
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from offload.entities import OffloadError, Plan, Question
from offload.planning.validity import choices
from offload.policies.protocol import Joint, Policy
from offload.policies.table import Choice
from offload.units import show_seconds

T = TypeVar("T")
_OURS = Path(__file__).parents[1]
Answering = Callable[[Sequence[Question]], Sequence[Plan]]


class PolicyError(OffloadError):
    """A policy that failed, or whose plan cannot be carried out."""


class TooSlowError(OffloadError):
    """A policy that took longer than it may."""


def answering(policy: Policy, choice: Choice) -> Answering:
    """Return what answers questions by a policy: one by one, or all at once if it can.

    What that raises is a PolicyError, which names the policy and the request.
    """
    limit_s = choice.time_limit_s
    if isinstance(policy, Joint):
        decide_all = policy.decide_all if limit_s is None else limited(policy.decide_all, limit_s)

        def all_at_once(questions: Sequence[Question]) -> Sequence[Plan]:
            try:
                plans = list(decide_all(questions))
            except Exception as error:
                raise blame(choice, _about(questions), error) from error
            if len(plans) != len(questions):
                counts = f"{len(plans)} plans for {len(questions)} questions"
                msg = f"policy {choice.label}: {counts}, {_about(questions)}"
                raise PolicyError(msg)
            return plans

        return all_at_once
    decide = policy.decide if limit_s is None else limited(policy.decide, limit_s)

    def one_by_one(questions: Sequence[Question]) -> Sequence[Plan]:
        plans = []
        for question in questions:
            try:
                plans.append(decide(question.request, question.seen))
            except Exception as error:
                raise blame(choice, _about([question]), error) from error
        return plans

    return one_by_one


def each_asker(devices: Answering, nodes: Mapping[str, Answering]) -> Answering:
    """Return what puts a device's question to one policy, and a node's to that of the node."""

    def answer(questions: Sequence[Question]) -> Sequence[Plan]:
        mine = tuple(question for question in questions if question.seen.begun is None)
        plans = iter(devices(mine) if mine else ())
        return [
            next(plans) if question.seen.begun is None else nodes[question.asker]([question])[0]
            for question in questions
        ]

    return answer


def limited(call: Callable[..., T], limit_s: float) -> Callable[..., T]:
    """Return the same function, which raises TooSlowError when it takes longer: seconds of a clock.

    It is stopped in the middle where the system has timers and this is the main thread.
    """
    told = f"it took longer than its time_limit of {show_seconds(limit_s)}"

    def stop(_signal: int, _frame: object) -> None:
        raise TooSlowError(told)

    def timed(*args: Any) -> T:  # noqa: ANN401 - whatever the function takes
        main = threading.current_thread() is threading.main_thread()
        stoppable = main and hasattr(signal, "setitimer")
        began_s = perf_counter()
        if stoppable:
            usual = signal.signal(signal.SIGALRM, stop)
            signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            found = call(*args)
        finally:
            if stoppable:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
                signal.signal(signal.SIGALRM, usual)
        if perf_counter() - began_s > limit_s:
            raise TooSlowError(told)
        return found

    return timed


def guard(choice: Choice, when: str, call: Callable[[], T]) -> T:
    """Call something of a policy's author. Raises PolicyError, whatever that raises."""
    try:
        return call()
    except Exception as error:
        raise blame(choice, when, error) from error


def blame(choice: Choice, when: str, error: Exception) -> PolicyError:
    """Return what to say of a policy that raised an error."""
    if isinstance(error, PolicyError):
        return error
    what = str(error) if isinstance(error, TooSlowError) else told(error)
    return PolicyError(f"policy {choice.label} failed {when}: {what}")


def told(error: Exception) -> str:
    """Say what an author's code raised, and the last of its lines that led there."""
    frames = [(Path(each.filename), each.lineno) for each in traceback.extract_tb(error.__traceback__)]
    lines = [
        f" ({path.name}:{line})"
        for path, line in frames
        if "site-packages" not in path.parts and not path.is_relative_to(_OURS)
    ]
    return f"{type(error).__name__}: {error}{lines[-1] if lines else ''}"


def _about(questions: Sequence[Question]) -> str:
    """Name the first request of those that were asked about, and what there was to choose from."""
    request, facts = questions[0].request, questions[0].seen.facts
    return (
        f"for request {request.id} (task {request.asked} of {request.device}, at {request.born_s:.6g} s;"
        f" {choices(facts)})"
    )
