"""Measuring a tiny network in a tiny budget: what a round holds, and why one is rejected."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from offload.dnn import machine, profiler, profiles, zoo
from offload.dnn.eager import Eager
from offload.dnn.profiler import Session
from offload.dnn.rounds import Diary
from offload.networks import Figure


class Tiny(nn.Sequential):
    """Three layers."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


TINY = zoo.Network(
    "tiny", Tiny, (zoo.Input((6,)),), "guessing", "random", {"fp32": Figure(0.5, "assumed", "a coin")}
)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session of almost no budget; what it sets for the whole process is put back."""
    threads, fast = torch.get_num_threads(), torch.backends.mha.get_fastpath_enabled()
    yield Session("box", (1, 2), tmp_path, budget_s=0.001)
    torch.set_num_threads(threads)
    torch.backends.mha.set_fastpath_enabled(fast)


def round_of(session: Session, subject: Eager) -> profiles.Round:
    """Return a round of a subject."""
    return subject.round(session.budget_s, session.fastest_spin_s)


def test_a_round_holds_means_of_its_runs(session: Session) -> None:
    done = round_of(session, Eager("tiny", Tiny().eval(), TINY.example(2)))
    assert done.batch == 2
    assert done.runs == len(done.ratios) == 8  # the fewest, when the budget is spent
    assert len(done.layers_s) == 3
    assert all(each >= 0 for each in done.layers_s)
    assert done.residual == pytest.approx(sum(done.layers_s) / done.end_to_end_s - 1, abs=1e-3)
    assert sum(done.ratios) / 8 == pytest.approx(1.0, abs=1e-3)
    assert done.busy_share < 1
    assert done.at.endswith("+00:00")


def test_time_goes_to_the_layer_that_takes_it(session: Session) -> None:
    lopsided = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1_000_000)).eval()
    done = round_of(session, Eager("lopsided", lopsided, TINY.example(1)))
    assert done.layers_s[2] > 0.8 * sum(done.layers_s)


@pytest.mark.parametrize(
    ("busy_share", "spin", "why"),
    [
        (0.0, 1.0, ""),
        (0.05, 1.25, ""),
        (0.051, 1.0, "kept from running for 5% of the time"),
        (0.3, 9.0, "kept from running for 30% of the time"),
        (0.0, 1.26, "a fixed loop ran 1.26 times slower than at its fastest"),
    ],
)
def test_why_a_round_is_rejected(busy_share: float, spin: float, why: str) -> None:
    assert machine.why_busy(busy_share, spin) == why


@pytest.mark.parametrize("spin", [1.0, 2.0])
def test_rejection_depends_on_spin_and_busy_share_alone(
    session: Session, spin: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However odd the residual of so small a network, it decides nothing.
    monkeypatch.setattr(machine, "spin", lambda: spin * session.fastest_spin_s)
    monkeypatch.setattr(machine, "BUSY_SHARE", 2.0)
    done = round_of(session, Eager("tiny", Tiny().eval(), TINY.example(1)))
    assert done.spin == spin
    slow = "a fixed loop ran 2.00 times slower than at its fastest"
    assert done.rejected == ("" if spin == 1.0 else slow)


def test_a_session_measures_until_it_has_its_rounds(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rounds = iter(range(1000))

    # Every third round is disturbed, whatever this machine does meanwhile.
    monkeypatch.setattr(machine, "why_busy", lambda *_: "busy" if next(rounds) % 3 == 0 else "")
    said: list[str] = []
    (told,) = session.measure([(TINY, "fp32")], rounds=4, pause_s=0.0, say=said.append)
    for batch in (1, 2):
        assert sum(r.batch == batch and not r.rejected for r in told.rounds) >= 4
    assert len(said) == len(told.rounds) > 8
    assert sum("rejected: busy" in line for line in said) == sum(bool(r.rejected) for r in told.rounds)
    assert (told.model, told.variant, told.hardware, told.weights) == ("tiny", "fp32", "box", "random")
    assert told.input_shape == [6]
    assert told.machine.threads == 1

    path = tmp_path / "tiny.fp32.box.json"
    profiles.write(path, told)
    assert profiles.ProfileFile.model_validate_json(path.read_bytes()) == told
    found = profiles.read(path)
    assert found.variant.label == "tiny:fp32"
    assert found.variant.accuracy == Figure(0.5, "assumed", "a coin")
    assert [layer.kind for layer in found.variant.layers] == ["linear", "activation", "linear"]
    assert [cut.payload_bytes for cut in found.variant.cuts] == [24, 32, 32, 8]
    for batch in (1, 2):
        good = [r.end_to_end_s for r in told.rounds if r.batch == batch and not r.rejected]
        assert sum(found.layers_s[batch]) == pytest.approx(sum(good) / len(good))


def test_a_profile_describes_one_input_whatever_batch_came_first(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "why_busy", lambda *_: "")
    session.batches = Session("box", (2,), session.folder).batches
    assert session.batches == (1, 2)
    (told,) = session.measure([(TINY, "fp32")], rounds=1, pause_s=0.0)
    assert told.cuts[0].payload_bytes == 24
    assert told.layers[0].flops == 2 * 6 * 8


def test_on_a_busy_machine_it_gives_up(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "why_busy", lambda *_: "busy")
    with pytest.raises(profiler.BusyMachineError, match="too busy for tiny:fp32 in 6 rounds"):
        list(session.measure([(TINY, "fp32")], rounds=2, pause_s=0.0))


def test_stopped_work_goes_on(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "why_busy", lambda *_: "")
    said: list[str] = []

    def stop(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(session.measure([(TINY, "fp32")], rounds=2, pause_s=0.0, say=stop))
    (kept,) = session.folder.iterdir()
    kept.write_text(kept.read_text() + '{"at": "2026-')  # a line that was cut off
    again = Session("box", (1, 2), session.folder, budget_s=0.001)
    (told,) = again.measure([(TINY, "fp32")], rounds=2, pause_s=0.0, say=said.append)
    assert [each.batch for each in told.rounds] == [1, 2, 1, 2]
    assert len(said) == 4
    assert not any(session.folder.iterdir())


def test_rounds_of_another_machine_are_not_gone_on_with(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "why_busy", lambda *_: "")
    layers: list[profiles.LayerRecord] = []
    kept = session.folder / "kept"
    Diary(kept, session.machine, layers).add(
        round_of(session, Eager("tiny", Tiny().eval(), TINY.example(1)))
    )
    assert len(Diary(kept, session.machine, layers).rounds) == 1
    other = session.machine.model_copy(update={"torch": "9.9"})
    assert Diary(kept, other, layers).rounds == []
    assert Diary(kept, session.machine, layers).rounds == []


def test_a_batch_that_does_not_fit_is_refused(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory_bytes", lambda: 100.0)
    with pytest.raises(profiler.TooLargeError, match="tiny:fp32: a batch of 2 needs about"):
        list(session.measure([(TINY, "fp32")], rounds=1, pause_s=0.0))


def test_parts_are_timed_at_batch_one_only(session: Session) -> None:
    alone = round_of(session, Eager("tiny", Tiny().eval(), TINY.example(1)))
    assert {part.after for part in alone.parts} <= {1, 2}
    assert all(part.before_s > 0 and part.after_s > 0 for part in alone.parts)
    assert round_of(session, Eager("tiny", Tiny().eval(), TINY.example(2))).parts == []


def test_several_threads_are_timed_by_the_clock_on_the_wall(session: Session) -> None:
    several = Session("box", (1,), session.folder, threads=2, budget_s=0.001)
    assert several.machine.threads == 2
    done = round_of(several, Eager("tiny", Tiny().eval(), TINY.example(1), 2))
    assert done.busy_share == 0  # CPU time says nothing then


def test_other_runtimes_make_variants_of_their_own(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "why_busy", lambda *_: "")
    other = Session("box", (1,), session.folder, runtime="onnxruntime", budget_s=0.001)
    (told,) = other.measure([(TINY, "fp32")], rounds=1, pause_s=0.0)
    assert (told.variant, told.precision) == ("fp32-onnxruntime", "fp32")
    assert told.runtime.startswith("onnxruntime 1.")
    assert told.cuts[-1].after == len(told.layers) < 4  # it fuses
    assert told.accuracy is not None


def test_what_is_finished_is_given_though_another_never_is(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = iter([""] * 2 + ["busy"] * 99)
    monkeypatch.setattr(machine, "why_busy", lambda *_: next(busy))
    measured = session.measure([(TINY, "fp32"), (TINY, "bf16")], rounds=1, pause_s=0.0)
    assert next(measured).variant == "fp32"
    with pytest.raises(profiler.BusyMachineError, match="too busy for tiny:bf16 in 3 rounds"):
        next(measured)
