"""A random YOLO-World of 0.4 million weights, saved as ultralytics saves its own."""

from pathlib import Path
from typing import Any

from extract.grounding import yolo_world


def build_tiny_detector() -> Any:
    """Return the network; its scores are spread, so that boxes have an order."""
    yolo_world._prepare_environment()
    import torch
    import yaml
    from ultralytics.nn.modules.block import MaxSigmoidAttnBlock
    from ultralytics.nn.tasks import WorldModel
    from ultralytics.utils import ROOT

    config = yaml.safe_load((ROOT / "cfg/models/v8/yolov8-worldv2.yaml").read_text())
    config["scales"], config["scale"] = {"n": [0.33, 0.0625, 1024]}, "n"
    torch.manual_seed(1)
    model = WorldModel(config, nc=4, verbose=False).eval()
    # A fresh network gives every place almost one score, and ties have no order: let signals
    # through (all but the fixed convolution that decodes boxes) and spread the scores.
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d) and module.weight.requires_grad:
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, MaxSigmoidAttnBlock):
            # Otherwise the phrases would hardly reach the boxes.
            module.gl.weight.data *= 5000
    head = model.model[-1]
    for to_boxes, to_embedding, contrast in zip(head.cv2, head.cv3, head.cv4, strict=True):
        to_boxes[-1].weight.data *= 300
        to_embedding[-1].weight.data *= 300
        contrast.bias.data.fill_(-2.0)
        contrast.logit_scale.data.fill_(2.0)
    return model


def write_tiny_detector(path: Path) -> Path:
    """Write the checkpoint."""
    model = build_tiny_detector()
    import torch

    torch.save({"model": model, "ema": None, "train_args": {}}, path)
    return path
