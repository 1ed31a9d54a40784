"""The small network that was trained here on Fashion-MNIST: its architecture and its shipped forms."""

import csv
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from offload.dnn import stored
from offload.networks import Figure
from offload.shipped import DATA

NAME = "fashion-cnn"
INPUT_SHAPE = (1, 28, 28)
FOLDER = DATA / "networks"
TABLE = DATA / f"{NAME}.csv"


class Block(nn.Module):
    """Two 3x3 convolutions and the way around them (He et al. 2016, the basic block)."""

    def __init__(self, taken: int, made: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(taken, made, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(made)
        self.conv2 = nn.Conv2d(made, made, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(made)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or taken != made:
            conv = nn.Conv2d(taken, made, 1, stride, bias=False)
            self.around = nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(made)))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep the rows and columns, or halve them."""
        y = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(y)) + self.around(x))  # type: ignore[no-any-return]  # a module


class FashionCNN(nn.Module):
    """Five blocks in three stages; what crosses shrinks from stage to stage.

    (batch, 1, 28, 28) -> (batch, 16, 28, 28) -> (batch, 32, 14, 14) -> (batch, 64, 7, 7) -> (batch, 10).
    """

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        self.features = nn.Sequential(
            OrderedDict(
                stem=stem,
                stage1=nn.Sequential(Block(16, 16)),
                stage2=nn.Sequential(Block(16, 32, 2), Block(32, 32)),
                stage3=nn.Sequential(Block(32, 64, 2), Block(64, 64)),
            )
        )
        self.output = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one logit a class."""
        return self.output(self.features(x).mean((2, 3)))  # type: ignore[no-any-return]  # a module


def build() -> nn.Module:
    """Return the network with random weights."""
    return FashionCNN()


def load(variant: str = "fp32") -> nn.Module:
    """Return a shipped form of the network, trained, in eval mode. Raises StoredError."""
    return stored.read(FOLDER / f"{NAME}.{variant}.safetensors", build, INPUT_SHAPE)


def forms() -> Mapping[str, Callable[[], nn.Module]]:
    """Return how to load each shipped form, by its name; fp32 first."""
    names = {path.name.split(".")[1] for path in FOLDER.glob(f"{NAME}.*.safetensors")}
    return {name: partial(load, name) for name in sorted(names, key=lambda name: (name != "fp32", name))}


def accuracies() -> dict[str, Figure]:
    """Return the measured accuracy of each form, from the shipped table: the mean over its seeds."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        whole = [
            row for row in csv.DictReader(file) if row["variant"] in forms() and not row["leave_at"]
        ]
    return {
        row["variant"]: Figure(
            float(row["accuracy"]),
            "measured",
            f"mean of {row['seeds']} seeds (standard deviation {float(row['accuracy_sd']):.4f}) on the"
            f" test images of {row['data']}, {row['date']}",
        )
        for row in whole
    }
