"""Torchvision's `resnet101-63fe2227.pth`, the ImageNet weights of ResNet-101.

Form: pytorch/vision issue 2068: the file of 2017 (a tar archive, which torch 2.6 refuses to read
safely), read and saved again in the zip format under a new name; its content was not changed. Names
are those of `torchvision.models.resnet101`, without the batch norms' `num_batches_tracked`, which
came with torch 0.4.

Inferred, not seen: that values are `Parameter`s, but for the running means and variances. `written`
gives the other forms in which ResNets of torchvision go round: `legacy`, as torch 1.0 to 1.5 saved
them, and `counted`, with the counts, as today's do.
"""

from collections import OrderedDict
from pathlib import Path

import torch
from torchvision.models.resnet import Bottleneck, ResNet

NAME = "resnet101-63fe2227.pth"
FORMS = ("published", "legacy", "counted")


def write_resnet101(
    folder: Path, size: str = "tiny", form: str = "published"
) -> tuple[Path, dict[str, torch.Tensor]]:
    """Write the file; return its path, and its tensors by name.

    Args:
        folder: to write into.
        size: `published`, or `tiny`: one narrow block a stage.
        form: one of `FORMS`.
    """
    blocks, width = ([3, 4, 23, 3], 64) if size == "published" else ([1, 1, 1, 1], 4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ResNet(Bottleneck, blocks, num_classes=1000, width_per_group=width)
    for module in network.modules():
        # Otherwise activations double with every block.
        if isinstance(module, Bottleneck):
            torch.nn.init.constant_(module.bn3.weight, 0.2)
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, value in network.state_dict(keep_vars=form == "published").items():
        if form == "counted" or not name.endswith("num_batches_tracked"):
            state[name] = value
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / NAME, _use_new_zipfile_serialization=form != "legacy")
    return folder / NAME, dict(state)
