"""Training on few images, and what answers count for."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from offload.dnn import pictures, training
from offload.dnn.pictures import Pictures, Split
from offload.dnn.training import Answered


def halves(count: int, seed: int) -> Pictures:
    """Images whose upper or lower half is bright."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    raw = torch.randint(0, 80, (count, 1, 4, 4), generator=draw)
    for number, label in enumerate(labels.tolist()):
        raw[number, 0, 2 * label : 2 * label + 2] += 150
    return Pictures("halves", raw.to(torch.uint8), labels, ("upper", "lower"))


SPLIT = Split(halves(64, 0), halves(20, 1), halves(20, 2))


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    )


def test_training_learns_and_is_the_same_again() -> None:
    heard: list[tuple[int, float]] = []
    one = training.train(network(), SPLIT, 5, 3, advance=lambda *said: heard.append(said))
    assert training.answers(one, SPLIT.test).right.mean() > 0.9
    assert not one.training
    assert [epoch for epoch, _ in heard] == [*range(5)]
    other = training.train(network(), SPLIT, 5, 3)
    for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    third = training.train(network(), SPLIT, 5, 4)
    assert not torch.equal(one[0].weight, third[0].weight)


def test_the_epoch_best_on_the_validation_images_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    weights: list[torch.Tensor] = []
    accuracies = iter([0.5, 0.9, 0.7])

    def answers(made: nn.Module, _images: Pictures) -> Answered:
        weights.append(made[0].weight.clone())
        right = np.array([[next(accuracies)]])
        return Answered(right, right, right)

    monkeypatch.setattr(training, "answers", answers)
    made = training.train(network(), SPLIT, 3, 0)
    assert torch.equal(made[0].weight, weights[1])
    assert not torch.equal(made[0].weight, weights[2])


def test_only_some_parts_learn() -> None:
    made = network()
    before = {name: each.clone() for name, each in made.state_dict().items()}
    training.train(made, SPLIT, 2, 0, parts=[made[4]])
    changed = {name for name, each in made.state_dict().items() if not torch.equal(each, before[name])}
    assert changed == {"4.weight", "4.bias"}  # not even the norm's running means


def test_after_each_step_something_may_be_mended() -> None:
    made = network()

    def hold() -> None:
        with torch.no_grad():
            made[4].weight[0].zero_()

    training.train(made, SPLIT, 1, 0, after_step=hold)
    assert not made[4].weight[0].any()
    assert made[4].weight[1].any()


def test_the_loss_of_exits_is_their_sum() -> None:
    one, two, labels = torch.randn(5, 3), torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    expected = functional.cross_entropy(one, labels) + functional.cross_entropy(two, labels)
    assert training.cross_entropy((one, two), labels, labels) == pytest.approx(float(expected))


def test_distilling_is_least_at_the_teachers_own_answers() -> None:
    teacher = torch.tensor([[2.0, 0.0, -1.0], [0.0, 3.0, 1.0]])
    labels, which = torch.tensor([1]), torch.tensor([1])
    loss = training.distilling(teacher, temperature=2.0, share=1.0)
    assert loss((teacher[which],), labels, which) == pytest.approx(0, abs=1e-6)
    assert loss((teacher[:1],), labels, which) > 0.1
    # KL(p || q) by hand, times the temperature squared.
    p, q = (teacher[1] / 2).softmax(0), (teacher[0] / 2).softmax(0)
    assert loss((teacher[:1],), labels, which) == pytest.approx(
        4 * float((p * (p / q).log()).sum()), rel=1e-4
    )


def test_answers_are_classes_and_confidences() -> None:
    class Sure(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            flat = torch.zeros(len(x), 2)
            return flat, flat + torch.tensor([0.0, 50.0])

    found = training.answers(Sure(), SPLIT.test)
    assert found.said.shape == (2, 20)
    assert found.said[1].tolist() == [1] * 20
    assert found.right[1].tolist() == [bool(label) for label in SPLIT.test.labels]
    assert (found.confidence[0] == 127).all()  # half of 255, rounded down
    assert (found.confidence[1] == 255).all()


def test_images_leave_at_the_first_exit_that_is_sure() -> None:
    right = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]], bool)
    confidence = np.array([[255, 127, 128, 0], [0, 204, 250, 203], [0, 0, 0, 0]], np.uint8)
    found = Answered(right.astype(int), right, confidence)
    assert found.leaving(None).tolist() == [2, 2, 2, 2]
    assert found.leaving(0.5).tolist() == [0, 1, 0, 1]
    assert found.leaving(0.8).tolist() == [0, 1, 1, 2]
    assert found.leaving(1.0).tolist() == [0, 2, 2, 2]


def test_the_least_confidence_that_costs_little() -> None:
    # The first exit is right above 0.8 only; the end always.
    confidence = np.array([[120 + k for k in range(130)], [255] * 130], np.uint8)
    right = np.array([confidence[0] > 0.8 * 255, [True] * 130])
    found = Answered(right.astype(int), right, confidence)
    assert training.least_confidence(found, loss=0.0) == 0.81
    assert training.least_confidence(found, loss=1.0) == 0.5
    never = Answered(right.astype(int), np.array([[False] * 130, [True] * 130]), confidence * 0 + 255)
    assert training.least_confidence(never, loss=0.0) == 1.0


def test_scores_by_hand() -> None:
    said, labels = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 0, 0, 1, 1, 2])
    found = training.scores(said, labels, 3)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.precision == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert found.recall == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.f1 == pytest.approx((2 / 3 + 0.8 + 0) / 3)


def test_calibration_takes_a_few_batches() -> None:
    slice_ = pictures.test_slice()
    found = list(training.batches(slice_, 3, 8))
    assert [batch.shape for (batch,) in found] == [(8, 1, 28, 28)] * 3
    assert torch.equal(found[2][0], slice_.inputs(slice(16, 24)))
