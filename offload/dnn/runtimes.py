"""Other runtimes than eager PyTorch, to be timed as it is: ONNX Runtime, and torch.compile."""

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Literal

import torch
from torch import Tensor, nn

from offload.dnn import machine, zoo
from offload.dnn.layers import KINDS
from offload.dnn.network import Network
from offload.dnn.onnx_graph import Event, events, layers_and_cuts
from offload.dnn.onnx_model import Inputs, Session, onnx_model
from offload.dnn.profiles import Round
from offload.dnn.refused import why
from offload.entities import OffloadError
from offload.networks import Cut, Layer

Runtime = Literal["onnxruntime", "compile"]
COMPILERS = ("g++", "clang++", "c++")
