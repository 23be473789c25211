"""Torchvision's `vgg16-397923af.pth`, the ImageNet weights of VGG-16.

Form: what pytorch/vision issue 125 (March 2017) says of its sister `vgg19-dcbb9e9d.pth`: a pickle
that begins with an OrderedDict, no longer a tar archive; torch wrote the zip format from 1.6 on.
Names are those of `torchvision.models.vgg16`, which have not changed: `features.N.weight`, `.bias`
and the classifier's `classifier.{0,3,6}.*`.

Inferred, not seen: that values are `Parameter`s, as state dicts of torch 0.1 held them, and that
there is no record of versions (`_metadata`), which came with torch 0.4.
"""

import json
import math
from collections import OrderedDict
from pathlib import Path

import torch

NAME = "vgg16-397923af.pth"
_PUBLISHED = [
    64,
    64,
    "M",
    128,
    128,
    "M",
    256,
    256,
    256,
    "M",
    512,
    512,
    512,
    "M",
    512,
    512,
    512,
    "M",
]
_TINY = [4, "M", 4, "M", 8, "M", 8, "M", 8, "M"]
_CLASSIFIER = {"tiny": (16, 12, 10), "published": (4096, 4096, 1000)}


def write_vgg16(folder: Path, size: str = "tiny") -> tuple[Path, dict[str, torch.Tensor]]:
    """Write the file; return what the extractor is given, and the tensors by name.

    Args:
        folder: to write into.
        size: `published`: the file alone is given, as users have it; `tiny`: the folder, whose
            config.json says that the network is narrow.
    """
    layers = _PUBLISHED if size == "published" else _TINY
    generator = torch.Generator().manual_seed(0)
    state: OrderedDict[str, torch.nn.Parameter] = OrderedDict()

    def add(name: str, *shape: int) -> None:
        # He's initialisation: activations keep their size through sixteen layers.
        spread = math.sqrt(2 / math.prod(shape[1:]))
        weight = torch.randn(shape, generator=generator) * spread
        state[f"{name}.weight"] = torch.nn.Parameter(weight)
        state[f"{name}.bias"] = torch.nn.Parameter(torch.randn(shape[0], generator=generator) / 9)

    channels, place = 3, 0
    for layer in layers:
        if layer != "M":
            add(f"features.{place}", layer, channels, 3, 3)
            channels = layer
        place += 1 if layer == "M" else 2
    inputs = channels * 49
    for number, outputs in zip((0, 3, 6), _CLASSIFIER[size], strict=True):
        add(f"classifier.{number}", outputs, inputs)
        inputs = outputs
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / NAME, _use_new_zipfile_serialization=False)
    if size == "tiny":
        config = {"architecture": "vgg", "layers": layers}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return (folder / NAME if size == "published" else folder), dict(state)
