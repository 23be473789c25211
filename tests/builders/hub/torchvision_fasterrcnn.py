"""Torchvision's `fasterrcnn_resnet50_fpn_coco-258fb6c6.pth` of 2019.

Form: names as torchvision 0.3 had them. Since 0.13 the blocks of the pyramid and of the proposal
head are sequences, and `_load_from_state_dict` of torchvision/ops/feature_pyramid_network.py and
models/detection/rpn.py (versions below 2) renames `inner_blocks.N.weight`, `layer_blocks.N.weight`
and `conv.weight` (`RENAMED`). The batch norms are frozen ones: no `num_batches_tracked`. Torch
wrote the older format until 1.6.

Inferred, not seen: the record of versions (`_metadata`), as torch 1.1 adds it: 1 everywhere.
"""

import json
import re
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

NAME = "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth"
RENAMED = (
    (re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.0\."), r"\1."),
    (re.compile(r"rpn\.head\.conv\.0\.0\."), "rpn.head.conv."),
)
"""Today's names -> those in the file."""
LABELS = ("__background__", "dog", "N/A", "traffic light", "person")


def write_fasterrcnn(folder: Path, size: str = "tiny") -> tuple[Path, nn.Module]:
    """Write the file; return what a detector is given, and the network that it is of.

    Args:
        folder: to write into.
        size: `published`: the file alone is given, as users have it; `tiny`: the folder, whose
            config.json says that the network is a ResNet-18 with few classes.
    """
    is_published = size == "published"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = resnet_fpn_backbone(
            backbone_name="resnet50" if is_published else "resnet18",
            weights=None,
            norm_layer=lambda channels: FrozenBatchNorm2d(channels, eps=0.0),
        )
        network = FasterRCNN(backbone, 91 if is_published else len(LABELS)).eval()
    for module in network.modules():
        # Otherwise activations double with every block.
        if isinstance(getattr(module, "bn3", None), FrozenBatchNorm2d):
            module.bn3.weight.fill_(0.2)
    network.roi_heads.box_predictor.cls_score.bias.data[1 if not is_published else 18] = 9.0
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, value in network.state_dict().items():
        for pattern, older in RENAMED:
            name = pattern.sub(older, name)
        state[name] = value
    state._metadata = OrderedDict((name, {"version": 1}) for name, _ in network.named_modules())
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / NAME, _use_new_zipfile_serialization=False)
    if not is_published:
        config = {
            "architecture": "fasterrcnn_resnet18_fpn",
            "labels": LABELS,
            "batch_norm_eps": 0.0,
        }
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return (folder / NAME if is_published else folder), network
