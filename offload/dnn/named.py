"""The networks that have a name here, where each comes from, and how accurate it is said to be."""

import importlib
import sys
from functools import partial
from typing import Any

import torch
from torch import nn

from offload.dnn import small
from offload.dnn.network import Input, Network, UnknownNetworkError
from offload.networks import Figure


class Plain(nn.Module):
    """A network of transformers that answers with tensors instead of an object of its own."""

    def __init__(self, network: nn.Module, answers: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.answers = answers

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return the answers of these names: a tensor, or a tuple of them."""
        found = self.network(*inputs)
        answers = tuple(found[name] for name in self.answers)
        return answers[0] if len(answers) == 1 else answers


def hide_broken_torchvision() -> None:
    """Let torchvision look absent where it cannot be imported.

    pytorchcv brings it along, transformers imports it if it is there, and pip's wheel of it fits only
    pip's build of torch; where torch came from elsewhere, nothing of transformers would load.
    """
    try:
        importlib.import_module("torchvision")
    except Exception:  # noqa: BLE001 - it fails with whatever its extension fails with
        sys.modules["torchvision"] = None  # type: ignore[assignment]  # Python's way to say: not there


def _pytorchcv(family: str, factory: str, **options: Any) -> nn.Module:  # noqa: ANN401 - any option
    try:
        found = getattr(importlib.import_module(f"pytorchcv.models.{family}"), factory)
    except ImportError as error:
        msg = f'{factory} needs pytorchcv: pip install "offload[zoo]" ({error})'
        raise UnknownNetworkError(msg) from error
    return found(**options)  # type: ignore[no-any-return]  # a module; it has no types


def _pytorchcv_299(family: str, factory: str) -> nn.Module:
    """Average over whatever is left of the image, where pytorchcv expects 7x7 of it."""
    module = _pytorchcv(family, factory)
    module.features.final_pool = nn.AdaptiveAvgPool2d(1)  # type: ignore[union-attr]  # theirs have
    return module


def _transformers(name: str, *answers: str, **sizes: Any) -> nn.Module:  # noqa: ANN401 - any option
    hide_broken_torchvision()
    try:
        import transformers
        from transformers.integrations.sdpa_attention import sdpa_attention_forward
    except ImportError as error:
        msg = f'{name} needs transformers: pip install "offload[zoo]" ({error})'
        raise UnknownNetworkError(msg) from error
    # Nothing is padded, so nothing is masked; under its own name for it, transformers would mask in what
    # torch.export captures and not when the network runs, and the two would cost differently.
    transformers.AttentionInterface.register("sdpa-unmasked", sdpa_attention_forward)
    kind = getattr(transformers, f"{name.partition('For')[0]}Config")
    config = kind(attn_implementation="sdpa-unmasked", **sizes)
    return Plain(getattr(transformers, name)(config), answers)


def _top1(percent: float, weights: str, pixels: int = 224) -> Figure:
    source = f"torchvision 0.28 model weights {weights}, top-1 on ImageNet-1k (single crop, {pixels} px)"
    return Figure(percent / 100, "published", source)


def _image(name: str, factory: str, pixels: int = 224, **top1: tuple[float, str]) -> Network:
    """A classifier of ImageNet's 1000 classes from pytorchcv; `factory` is "family.function"."""
    build = partial(_pytorchcv_299 if name.endswith("-299") else _pytorchcv, *factory.split("."))
    accuracies = {form: _top1(*figure, pixels) for form, figure in top1.items()}
    return Network(name, build, (Input((3, pixels, pixels)),), "classification", "random", accuracies)


# What is timed carries random weights; accuracies are those of trained networks of the same architecture
# (but for a bias in MobileNet v2 and v3). Networks of transformers have the sizes of the published
# configuration that the comment names.
NAMED: dict[str, Network] = {each.name: each for each in (
    _image("alexnet", "alexnet.alexnetb", fp32=(56.522, "AlexNet IMAGENET1K_V1")),
    _image("vgg16", "vgg.vgg16", fp32=(71.592, "VGG16 IMAGENET1K_V1")),
    _image("vgg19", "vgg.vgg19", fp32=(72.376, "VGG19 IMAGENET1K_V1")),
    _image("resnet18", "resnet.resnet18", fp32=(69.758, "ResNet18 IMAGENET1K_V1"),
           int8=(69.494, "quantization.ResNet18 IMAGENET1K_FBGEMM_V1")),
    _image("resnet50", "resnet.resnet50b", fp32=(76.130, "ResNet50 IMAGENET1K_V1"),
           int8=(75.920, "quantization.ResNet50 IMAGENET1K_FBGEMM_V1")),
    _image("resnet152", "resnet.resnet152b", fp32=(78.312, "ResNet152 IMAGENET1K_V1")),
    _image("mobilenetv1", "mobilenet.mobilenet_w1"),
    _image("mobilenetv2", "mobilenetv2.mobilenetv2_w1", fp32=(71.878, "MobileNet_V2 IMAGENET1K_V1"),
           int8=(71.658, "quantization.MobileNet_V2 IMAGENET1K_QNNPACK_V1")),
    _image("mobilenetv3", "mobilenetv3.mobilenetv3_large_w1",
           fp32=(74.042, "MobileNet_V3_Large IMAGENET1K_V1"),
           int8=(73.004, "quantization.MobileNet_V3_Large IMAGENET1K_QNNPACK_V1")),
    _image("squeezenet", "squeezenet.squeezenet_v1_0", fp32=(58.092, "SqueezeNet1_0 IMAGENET1K_V1")),
    # Inception v1 with batch normalisation and wider (Ioffe and Szegedy 2015): the nearest at hand.
    _image("bninception", "bninception.bninception"),
    _image("inceptionv3", "inceptionv3.inceptionv3", 299, fp32=(77.294, "Inception_V3 IMAGENET1K_V1"),
           int8=(77.176, "quantization.Inception_V3 IMAGENET1K_FBGEMM_V1")),
    _image("inceptionv4", "inceptionv4.inceptionv4", 299),
    _image("densenet121", "densenet.densenet121", fp32=(74.434, "DenseNet121 IMAGENET1K_V1")),
    _image("efficientnet-b0", "efficientnet.efficientnet_b0",
           fp32=(77.692, "EfficientNet_B0 IMAGENET1K_V1")),
    # Version 1 proper (stride in the first 1x1 convolution) at 299 pixels, as Coral timed it.
    _image("resnet50v1-299", "resnet.resnet50", 299),
    _image("resnet50v2-299", "preresnet.preresnet50", 299),
    _image("resnet152-299", "resnet.resnet152", 299),
    # google/vit-base-patch16-224
    Network("vit-b16",
            partial(_transformers, "ViTForImageClassification", "logits", num_labels=1000),
            (Input((3, 224, 224)),), "classification", "random",
            {"fp32": _top1(81.072, "ViT_B_16 IMAGENET1K_V1")}),
    # hustvl/yolos-tiny; it was trained at up to 800 x 1333 pixels and runs with 512 on the short side.
    Network("yolos-tiny",
            partial(_transformers, "YolosForObjectDetection", "logits", "pred_boxes", hidden_size=192,
                    num_hidden_layers=12, num_attention_heads=3, intermediate_size=768,
                    image_size=[800, 1333], num_labels=91, use_mid_position_embeddings=False),
            (Input((3, 512, 864)),), "detection", "random"),
    # nvidia/segformer-b0-finetuned-ade-512-512: 512 pixels a side, 150 classes
    Network("segformer-b0",
            partial(_transformers, "SegformerForSemanticSegmentation", "logits", num_labels=150),
            (Input((3, 512, 512)),), "segmentation", "random"),
    # ResNet-50 below, 480 pixels a side, the 21 classes of Pascal VOC
    Network("deeplabv3", partial(_pytorchcv, "deeplabv3", "deeplabv3_resnetd50b_voc", aux=False),
            (Input((3, 480, 480)),), "segmentation", "random"),
    # MIT/ast-finetuned-speech-commands-v2: a second of sound, 128 frames of 128 mel bands, 35 words
    Network("ast-keywords",
            partial(_transformers, "ASTForAudioClassification", "logits", max_length=128, num_labels=35),
            (Input((128, 128)),), "keywords", "random",
            {"fp32": Figure(0.9812, "published", "model card of MIT/ast-finetuned-speech-commands-v2,"
                            " accuracy on Speech Commands v2, 35 words")}),
    # bert-base-uncased with a head for two classes; 128 word pieces
    Network("bert-base",
            partial(_transformers, "BertForSequenceClassification", "logits", num_labels=2),
            (Input((128,), torch.int64, below=30522),), "text classification", "random"),
    # Trained here; its smaller forms lie in data/networks.
    Network(small.NAME, small.build, (Input(small.INPUT_SHAPE),), "classification",
            "trained on Fashion-MNIST", small.accuracies(), small.forms()),
)}  # fmt: skip
