"""A small random Faster R-CNN, built by torchvision's own constructors, as a checkpoint folder."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

LABELS = ("__background__", "dog", "N/A", "traffic light", "person")
MIN_SIZE, MAX_SIZE = 32, 64


def build_network(**settings: object) -> FasterRCNN:
    """Return torchvision's network with ResNet-18; equal weights in every call."""
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d
    )
    sizes = {"min_size": MIN_SIZE, "max_size": MAX_SIZE}
    return FasterRCNN(backbone, len(LABELS), **{**sizes, **settings}).eval()


def write_detector(folder: Path, **more: object) -> Path:
    """Save the network with its config.json."""
    folder.mkdir()
    config = {"architecture": "fasterrcnn_resnet18_fpn", "labels": LABELS, **more}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(build_network().state_dict(), folder / "model.safetensors")
    return folder


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return smooth coloured blobs."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)


def as_tensor(image: Image.Image) -> torch.Tensor:
    """Return what torchvision's networks take: shape (3, H, W), float32, 0-1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
