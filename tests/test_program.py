"""MAUI's program against all placements."""

from itertools import pairwise, product

import numpy as np
import pytest

from offload.algorithms.program import Call, Placement, Program, solve, value


def drawn(chance: np.random.Generator, parts: int, *, chain: bool, onward: float = 0.0) -> Program:
    """Draw a chain, or a call graph in which each part may call any later one; costs are eighths."""

    def eighths(most: int) -> float:
        return float(chance.integers(0, 8 * most)) / 8

    pairs = list(pairwise(range(parts)))
    if not chain:
        pairs = [(u, v) for u in range(parts) for v in range(u + 1, parts) if chance.random() < 0.35]
    calls = [
        Call(u, v, *(eighths(3) for _ in range(4)), onward=chance.random() < onward) for u, v in pairs
    ]
    here_s = [eighths(4) for _ in range(parts)]
    movable = [bool(chance.random() < 0.8) for _ in range(parts)]
    return Program(
        here_s, [each / 4 for each in here_s], [eighths(6) for _ in range(parts)], movable, calls
    )


def by_enumeration(program: Program, limit_s: float) -> Placement | None:
    """Try every placement."""
    allowed = [
        value(program, there)
        for there in product((False, True), repeat=len(program.here_s))
        if all(may or not moved for may, moved in zip(program.movable, there, strict=True))
        and not any(call.onward and there[call.caller] > there[call.callee] for call in program.calls)
    ]
    in_time = [each for each in allowed if each.latency_s <= limit_s]
    return max(in_time, key=lambda each: each.saved_j, default=None)


@pytest.mark.parametrize("chain", [True, False])
@pytest.mark.parametrize("onward", [0.0, 0.5])
def test_no_placement_saves_more(chain: bool, onward: float) -> None:
    chance = np.random.default_rng(9)
    solved = refused = moved = 0
    for _ in range(25):
        program = drawn(chance, int(chance.integers(1, 11)), chain=chain, onward=onward)
        limit_s = sum(program.here_s) * float(chance.uniform(0.1, 1.5))
        mine, best = solve(program, limit_s), by_enumeration(program, limit_s)
        if best is None or mine is None:
            assert mine is best is None
            refused += 1
            continue
        assert mine.saved_j == pytest.approx(best.saved_j, abs=1e-6)
        assert mine.latency_s <= limit_s + 1e-6
        assert mine == value(program, mine.there)
        solved += 1
        moved += any(mine.there)
    assert min(solved, refused, moved) > 1  # all kinds were met


def test_thirteen_methods() -> None:
    program = drawn(np.random.default_rng(3), 13, chain=False)
    limit_s = 0.8 * sum(program.here_s)
    mine, best = solve(program, limit_s), by_enumeration(program, limit_s)
    assert mine is not None
    assert best is not None
    assert mine.saved_j == pytest.approx(best.saved_j, abs=1e-6)


def test_what_goes_up_may_come_back_unless_it_must_go_on() -> None:
    # Two heavy parts around one that may not move: up, back, up, back.
    def program(*, onward: bool) -> Program:
        calls = [Call(u, v, 0.1, 1.0, 0.1, 1.0, onward=onward and v < 4) for u, v in pairwise(range(5))]
        movable = [False, True, False, True, False]
        return Program([0.0, 5.0, 0.0, 5.0, 0.0], [0.0] * 5, [0.0, 9.0, 0.0, 9.0, 0.0], movable, calls)

    assert solve(program(onward=False), 9.0) == ((False, True, False, True, False), 14.0, 0.4)
    placed = solve(program(onward=True), 9.0)
    assert placed is not None
    assert placed[:2] == ((False, False, False, True, False), 7.0)
