"""Torchvision's Faster R-CNN: read the checkpoint, and predict the boxes of one image.

One image at a time: torchvision pads the images of a batch to one size, which moves the anchors and
so the boxes; and even equally large images give other last bits together than alone.

Source: Ren et al. 2015, Faster R-CNN; Lin et al. 2017, Feature Pyramid Networks for Object
Detection; torchvision, models/detection.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from extract.core.errors import DataError
from extract.images.decode import to_array
from extract.networks.checkpoints.reading import fill_network, find_checkpoint, read_tensors
from extract.networks.vocabularies import BACKGROUND, UNUSED, read_vocabulary

if TYPE_CHECKING:
    import torch

# Networks that torchvision builds by name; `fasterrcnn_<resnet>_fpn` is put together from parts.
_NAMED = (
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
)
_BACKBONES = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
    "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2",
)  # fmt: skip
_RESNET_FPN = {f"fasterrcnn_{name}_fpn": name for name in _BACKBONES}

# A side that holds every level of the pyramid a whole number of times.
_PROBE_SIDE = 256


@dataclass(frozen=True)
class DetectorConfig:
    """What a checkpoint's tensors do not say."""

    architecture: str
    """Empty: torchvision's COCO file of `fasterrcnn_resnet50_fpn` or its `_v2`."""
    labels: tuple[str, ...]
    """Name of each network output, first the background; `N/A` for outputs without a class."""
    batch_norm_eps: float
    """Added to the variances of the backbone's batch norms; torchvision trained its COCO network
    of `fasterrcnn_resnet50_fpn` with 0 and all others with 1e-5."""


@dataclass(frozen=True)
class Candidates:
    """Every proposal of an image with every class, before any suppression."""

    boxes: "torch.Tensor"
    """shape: (P, K, 4), float32, `xyxy` inside the network's input."""
    scores: "torch.Tensor"
    """shape: (P, K), float32, softmax over the K classes; class 0 is the background."""
    scale: tuple[float, float]
    """Pixels of the image in one pixel of the network's input, along x and y."""


def read_detector_config(path: Path) -> DetectorConfig:
    """Return the configuration beside a checkpoint; light, no tensor is read.

    Args:
        path: a folder with `config.json`, or a folder or file without: then the checkpoint is one
            of torchvision's for COCO.

    Raises:
        DataError: `config.json` does not describe a Faster R-CNN.
    """
    file = Path(path) / "config.json"
    if not file.is_file():
        return DetectorConfig("", read_vocabulary("coco"), 0.0)
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not a JSON object ({error}).") from error
    if not _is_legal(config):
        raise DataError(
            f'{file}: expected {{"architecture": "fasterrcnn_resnet50_fpn", "labels": '
            f'["{BACKGROUND}", "person", ...]}} with, where wanted, "batch_norm_eps": 1e-5; known '
            f"are {', '.join((*_RESNET_FPN, *_NAMED))}, the last three without "
            f"batch_norm_eps. Got {str(config)[:200]}"
        )
    eps = float(config.get("batch_norm_eps", 1e-5))
    return DetectorConfig(config["architecture"], tuple(config["labels"]), eps)


def _is_legal(config: Any) -> bool:
    if not isinstance(config, dict):
        return False
    architecture, labels = config.get("architecture"), config.get("labels")
    # Networks that torchvision builds by name take no other value.
    is_default, eps = "batch_norm_eps" not in config, config.get("batch_norm_eps", 1e-5)
    return (
        isinstance(architecture, str)
        and (architecture in _RESNET_FPN or (architecture in _NAMED and is_default))
        and isinstance(labels, list)
        and len(labels) > 1
        and all(isinstance(label, str) and label for label in labels)
        and labels[0] == BACKGROUND
        and isinstance(eps, int | float)
        and eps >= 0
    )


class Detector:
    """A Faster R-CNN in evaluation mode.

    Args:
        path: torchvision's COCO file of `fasterrcnn_resnet50_fpn` or `_v2`, or a folder with
            `config.json` and one checkpoint.
        device: `cpu` or `cuda`.
        min_size: shorter side in px that the network sees.
        max_size: limit of the longer side in px, which wins.
        bfloat16: compute the backbone in bfloat16; boxes and scores stay float32, because
            coordinates of 8 significant bits would be off by several pixels.

    Raises:
        DataError: the tensors are not those of the architecture.
    """

    def __init__(
        self, path: Path, device: str, *, min_size: int, max_size: int, bfloat16: bool = False
    ) -> None:
        import torch

        config = read_detector_config(path)
        checkpoint = find_checkpoint(Path(path))
        tensors = read_tensors(checkpoint)
        self.labels = config.labels
        model = build_detector(config, _architecture(config, tensors, checkpoint))
        fill_network(model, tensors, checkpoint)
        model.transform.min_size, model.transform.max_size = (min_size,), max_size
        self.device = torch.device(device)
        self.model = model.eval().to(self.device)
        self._fix_scales()
        if bfloat16:
            self.model.backbone = _in_bfloat16(self.model.backbone, self.device)

    def _fix_scales(self) -> None:
        """Give the pooling its strides.

        By itself it guesses them from the first image that it sees and keeps them: a first image of
        a few pixels' height would change the boxes of all the others.
        """
        import torch

        with torch.inference_mode():
            shape = (1, 3, _PROBE_SIDE, _PROBE_SIDE)
            features = self.model.backbone(torch.zeros(shape, device=self.device))
            box = torch.tensor([[0.0, 0.0, 32.0, 32.0]], device=self.device)
            self.model.roi_heads.box_roi_pool(features, [box], [shape[2:]])

    def is_too_thin(self, image: Image.Image) -> bool:
        """True where the resize would leave no pixel of the shorter side."""
        transform = self.model.transform
        scale = min(transform.min_size[0] / min(image.size), transform.max_size / max(image.size))
        return min(image.size) * scale < 1

    def is_named(self, label: int) -> bool:
        """True where a network output stands for a class."""
        return self.labels[label] not in (BACKGROUND, UNUSED)

    def predict(self, image: Image.Image) -> dict[str, "torch.Tensor"]:
        """Return what torchvision's own call returns: `boxes` (R, 4), `labels`, `scores` (R,)."""
        import torch

        with torch.inference_mode():
            return self.model([self._pixels(image)])[0]

    def candidates(self, image: Image.Image) -> Candidates:
        """Return every proposal with every class, clipped to the image, not yet suppressed."""
        import torch
        from torchvision.ops import clip_boxes_to_image

        model, heads = self.model, self.model.roi_heads
        with torch.inference_mode():
            images, _ = model.transform([self._pixels(image)])
            features = model.backbone(images.tensors)
            proposals, _ = model.rpn(images, features)
            pooled = heads.box_roi_pool(features, proposals, images.image_sizes)
            logits, deltas = heads.box_predictor(heads.box_head(pooled))
            # shape: (P, K, 4)
            boxes = heads.box_coder.decode(deltas, proposals).reshape(-1, len(self.labels), 4)
            boxes = clip_boxes_to_image(boxes, images.image_sizes[0])
        height, width = images.image_sizes[0]
        scale = (image.width / width, image.height / height)
        return Candidates(boxes, logits.softmax(dim=-1), scale)

    def _pixels(self, image: Image.Image) -> "torch.Tensor":
        """Return the image as the network's own resize and normalisation take it."""
        import torch

        pixels = torch.from_numpy(to_array(image)).to(self.device)
        return pixels.permute(2, 0, 1).float() / 255  # shape: (3, H, W)


def build_detector(config: DetectorConfig, architecture: str) -> Any:
    """Return torchvision's network with fresh weights; nothing is downloaded."""
    from torch import nn
    from torchvision.models import get_model
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    n_outputs = len(config.labels)
    if architecture in _NAMED:
        return get_model(architecture, weights=None, weights_backbone=None, num_classes=n_outputs)
    # In evaluation an ordinary batch norm computes the same as the frozen one of the training.
    backbone = resnet_fpn_backbone(
        backbone_name=_RESNET_FPN[architecture],
        weights=None,
        norm_layer=lambda channels: nn.BatchNorm2d(channels, eps=config.batch_norm_eps),
    )
    return FasterRCNN(backbone, n_outputs)


def _architecture(config: DetectorConfig, tensors: dict[str, Any], path: Path) -> str:
    """Return the stated architecture, or which of torchvision's COCO files this is."""
    if config.architecture:
        return config.architecture
    if "roi_heads.box_head.fc6.weight" in tensors and "backbone.body.conv1.weight" in tensors:
        return "fasterrcnn_resnet50_fpn"
    if "roi_heads.box_head.0.0.weight" in tensors:
        return "fasterrcnn_resnet50_fpn_v2"
    raise DataError(
        f"{path}: not torchvision's COCO checkpoint of fasterrcnn_resnet50_fpn or its _v2. Put the "
        "file into a folder with a config.json that names architecture and labels."
    )


def _in_bfloat16(backbone: Any, device: "torch.device") -> Any:
    """Return a backbone that computes in bfloat16 and gives float32."""
    import torch

    class Bfloat16Backbone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, pixels: "torch.Tensor") -> dict[str, "torch.Tensor"]:
            with torch.autocast(device.type, torch.bfloat16):
                features = self.backbone(pixels)
            return {name: feature.float() for name, feature in features.items()}

    return Bfloat16Backbone()
