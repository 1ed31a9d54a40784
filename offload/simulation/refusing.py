"""What is said of a policy's plan that the world cannot carry out."""

from offload.entities import OffloadError, Plan, Question
from offload.planning.onward import why_not_onward
from offload.planning.validity import choices, why_invalid


class InvalidPlanError(OffloadError):
    """A policy's plan that the world cannot carry out: which request, and why."""


def check(question: Question, plan: Plan) -> None:
    """Refuse a plan that is none, or cannot be carried out. Raises InvalidPlanError."""
    _refuse(question, plan, why_invalid(question.seen.facts, plan))


def check_onward(question: Question, plan: Plan) -> None:
    """Refuse a plan by which a request that has begun cannot go on. Raises InvalidPlanError."""
    begun = question.seen.begun
    _refuse(question, plan, None if begun is None else why_not_onward(begun, plan))


def _refuse(question: Question, plan: Plan, reason: str | None) -> None:
    if reason is None:
        return
    request, facts = question.request, question.seen.facts
    whose = "" if question.seen.begun is None else f" of node {question.asker}"
    msg = (
        f"the plan{whose} for request {request.id} (task {request.asked} of {request.device}, at"
        f" {request.born_s:.6g} s) cannot be carried out: {reason}. Plan: {plan!r:.200};"
        f" {choices(facts)}"
    )
    raise InvalidPlanError(msg)
