"""Training a classifier, and what it answers to images that it has not seen."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from offload.dnn.pictures import Pictures, Split

BATCH = 256
NUMBERS = 2_000_000  # in the inputs of one batch, at most: large images come in smaller batches
Logits = tuple[torch.Tensor, ...]
Loss = Callable[[Logits, torch.Tensor, torch.Tensor], torch.Tensor]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread meanwhile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def cross_entropy(logits: Logits, labels: torch.Tensor, _which: torch.Tensor) -> torch.Tensor:
    """Return the mean over a batch of the sum over exits, as BranchyNet is trained."""
    return torch.stack([functional.cross_entropy(each, labels) for each in logits]).sum()


def distilling(teacher: torch.Tensor, temperature: float = 4.0, share: float = 0.7) -> Loss:
    """Return the loss of Hinton et al. 2015: partly the labels, partly what a teacher said.

    `teacher` holds its logits for all training images (images, classes).
    """
    said = functional.log_softmax(teacher / temperature, 1)

    def loss(logits: Logits, labels: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        own = functional.log_softmax(logits[-1] / temperature, 1)
        soft = functional.kl_div(own, said[which], reduction="batchmean", log_target=True)
        return share * temperature**2 * soft + (1 - share) * functional.cross_entropy(logits[-1], labels)

    return loss


def train(
    network: nn.Module,
    images: Split,
    epochs: int,
    seed: int,
    *,
    rate: float = 4e-3,
    loss: Loss = cross_entropy,
    parts: Sequence[nn.Module] | None = None,
    after_step: Callable[[], None] = lambda: None,
    advance: Callable[[int, float], None] = lambda _epoch, _accuracy: None,
) -> nn.Module:
    """Train a network in place, one-cycle AdamW; it ends with the epoch best on the validation images.

    With `parts`, only these modules learn and the rest stays as it is. The seed orders the images; the
    random weights are the caller's. `advance` hears of each epoch and its validation accuracy (the mean
    over exits).
    """
    learning = [network] if parts is None else list(parts)
    parameters = [p for part in learning for p in part.parameters()]
    network.requires_grad_(requires_grad=False)
    for each in parameters:
        each.requires_grad = True
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs want a tensor
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-2)
    size = min(_batch(images.train), max(2, len(images.train) // 4))
    steps = max(1, len(images.train) // size)  # the few images over are others each epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * steps + 1)
    order = torch.Generator().manual_seed(seed)
    best, kept = -1.0, copy.deepcopy(network.state_dict())
    for epoch in range(epochs):
        network.eval()
        for part in learning:
            part.train()
        shuffled = torch.randperm(len(images.train), generator=order)
        for step in range(steps):
            which = shuffled[step * size : (step + 1) * size]
            batch = images.train.inputs(which).contiguous(memory_format=torch.channels_last)
            error = loss(_tuple(network(batch)), images.train.labels[which], which)
            optimizer.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
            optimizer.step()
            schedule.step()
            after_step()
        accuracy = float(np.mean(answers(network, images.validation).right))
        if accuracy > best:
            best, kept = accuracy, copy.deepcopy(network.state_dict())
        advance(epoch, accuracy)
    network.load_state_dict(kept)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as above
    return network.eval()


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What a network said, shape (exits, images): the class, whether it is right, and how sure it was.

    `confidence` is the largest class probability in 255ths, rounded down.
    """

    said: np.ndarray
    right: np.ndarray
    confidence: np.ndarray

    def leaving(self, confidence: float | None) -> np.ndarray:
        """Return the exit of each image: the first that is sure enough, the last with None."""
        if confidence is None:
            return np.full(self.said.shape[1], len(self.said) - 1)
        sure = self.confidence >= 255 * confidence
        sure[-1] = True
        leaving: np.ndarray = sure.argmax(0)
        return leaving


def answers(network: nn.Module, images: Pictures) -> Answered:
    """Return what the network, put in eval mode, answers to images."""
    network.eval()
    batch = _batch(images)
    said, sure = [], []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            logits = _tuple(network(images.inputs(slice(start, start + batch))))
            top = torch.stack([each.float().softmax(1) for each in logits]).max(2)
            said.append(top.indices)
            sure.append((top.values * 255).floor().to(torch.uint8))
    found = torch.cat(said, 1)
    right = found == images.labels
    return Answered(found.numpy(), right.numpy(), torch.cat(sure, 1).numpy())


def logits(network: nn.Module, images: Pictures) -> torch.Tensor:
    """Return the last exit's logits for images, (images, classes)."""
    network.eval()
    batch = _batch(images)
    with torch.inference_mode():
        starts = range(0, len(images), batch)
        found = [_tuple(network(images.inputs(slice(s, s + batch))))[-1] for s in starts]
    return torch.cat(found).clone()


def batches(images: Pictures, count: int, size: int = 64) -> Iterable[tuple[torch.Tensor, ...]]:
    """Yield a few batches of inputs, to calibrate on."""
    for start in range(0, min(len(images), count * size), size):
        yield (images.inputs(slice(start, start + size)),)


@dataclass(frozen=True, slots=True)
class Scores:
    """How good answers are; all but `accuracy` are means over classes, each class counting alike."""

    accuracy: float
    precision: float
    recall: float
    f1: float


def scores(said: np.ndarray, labels: np.ndarray, classes: int) -> Scores:
    """Return accuracy and macro precision, recall and F1; a class never answered has precision 0."""
    table = np.zeros((classes, classes))
    np.add.at(table, (labels, said), 1)
    hit = np.diag(table)
    precision = hit / np.maximum(1, table.sum(0))
    recall = hit / np.maximum(1, table.sum(1))
    f1 = 2 * precision * recall / np.maximum(1e-12, precision + recall)
    return Scores(hit.sum() / table.sum(), precision.mean(), recall.mean(), f1.mean())


def least_confidence(found: Answered, loss: float = 0.002) -> float:
    """Return the least confidence at which leaving early costs at most `loss` of the accuracy."""
    images = np.arange(found.said.shape[1])
    whole = found.right[-1].mean()
    for percent in range(50, 100):
        leaving = found.leaving(percent / 100)
        if found.right[leaving, images].mean() >= whole - loss:
            return percent / 100
    return 1.0


def _batch(images: Pictures) -> int:
    return max(16, min(BATCH, NUMBERS // images.raw[0].numel()))


def _tuple(made: torch.Tensor | Logits) -> Logits:
    return (made,) if isinstance(made, torch.Tensor) else tuple(made)
