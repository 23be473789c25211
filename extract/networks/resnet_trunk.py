"""A ResNet of torchvision as the trunk of region features: image + boxes -> one row a box.

`c4_head` is the C4 way: RoIAlign 14 x 14 on the map before the last stage, the last stage on each
region, mean. `c5_map` runs the last stage once on the whole image and pools its map, 7 x 7, mean.

Source: He et al. 2016, Deep Residual Learning, sec. 4.3 and appendix A; He et al. 2017, Mask R-CNN,
sec. 3 (RoIAlign); Xie et al. 2017, Aggregated Residual Transformations (ResNeXt).
"""

import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from extract.core.errors import DataError
from extract.images.decode import resize_exact, to_array
from extract.networks.checkpoints.reading import fill_network, find_checkpoint, read_tensors
from extract.networks.pixels import IMAGENET_MEAN, IMAGENET_STD, network_input, normalize

if TYPE_CHECKING:
    import torch

Pooling = Literal["c4_head", "c5_map"]

_C4_STRIDE, _C5_STRIDE = 16, 32
_C4_CELLS, _C5_CELLS = 14, 7
_BLOCK = re.compile(r"layer([1-4])\.(\d+)\.conv1\.weight")


class ResnetTrunk:
    """The convolutions of a ResNet, ResNeXt or wide ResNet, in evaluation mode.

    Args:
        path: a checkpoint of torchvision, or a folder with one; its tensors tell the architecture.
            A `config.json` beside it may state other `mean` and `std` than ImageNet's.
        device: `cpu` or `cuda`.
        bfloat16: compute the convolutions in bfloat16.

    Raises:
        DataError: the tensors are not those of a ResNet.
    """

    def __init__(self, path: Path, device: str, *, bfloat16: bool = False) -> None:
        import torch

        self.mean, self.std = read_normalization(Path(path))
        checkpoint = find_checkpoint(Path(path))
        tensors = read_tensors(checkpoint)
        network = build_resnet(tensors, checkpoint)
        self.feature_dim: int = network.fc.in_features
        # The classifier of an ImageNet checkpoint has no part in the features.
        network.fc = torch.nn.Identity()
        features = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
        fill_network(network, features, checkpoint)
        self.device, self._bfloat16 = torch.device(device), bfloat16
        network = network.eval().to(self.device, memory_format=torch.channels_last)
        self._to_c4 = torch.nn.Sequential(
            network.conv1, network.bn1, network.relu, network.maxpool,
            network.layer1, network.layer2, network.layer3,
        )  # fmt: skip
        self._c4_to_c5 = network.layer4

    def pool(
        self,
        image: Image.Image,
        boxes: "torch.Tensor",
        pooling: Pooling,
        *,
        sampling_ratio: int = 0,
        aligned: bool = True,
    ) -> "torch.Tensor":
        """Return the features of each box.

        Args:
            image: RGB, already resized; the map has one cell in 16 (`c4_head`) or 32 pixels.
            boxes: shape (R, 4), float32, `xyxy`, pixels of this image.
            pooling: see the module.
            sampling_ratio: points a bin along each axis; 0 means as many as it has cells.
            aligned: False shifts boxes by half a cell, as detectors before 2019 did.

        Returns:
            Shape (R, feature_dim), float32.
        """
        import torch
        from torchvision.ops import roi_align

        boxes = boxes.to(self.device)
        with torch.inference_mode(), self._autocast():
            feature_map = self._to_c4(self._pixels(image))
            cells, stride = _C4_CELLS, _C4_STRIDE
            if pooling == "c5_map":
                feature_map = self._c4_to_c5(feature_map)
                cells, stride = _C5_CELLS, _C5_STRIDE
            # shape: (R, C, cells, cells)
            regions = roi_align(
                feature_map.float(), [boxes], cells, 1 / stride, sampling_ratio, aligned
            )
            if pooling == "c4_head":
                regions = self._c4_to_c5(regions)
            return regions.float().mean(dim=(2, 3))

    def _pixels(self, image: Image.Image) -> "torch.Tensor":
        return normalize(network_input([to_array(image)], self.device), self.mean, self.std)

    def _autocast(self) -> AbstractContextManager:
        import torch

        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16)


def resize_within(image: Image.Image, shorter_side: int, longer_side: int) -> Image.Image:
    """Resize to a shorter side, or less where the longer side would exceed its limit.

    Bilinear; sides are rounded and have at least one pixel.
    """
    scale = min(shorter_side / min(image.size), longer_side / max(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    return resize_exact(image, (width, height), resample="bilinear")


def read_normalization(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std of the RGB channels, 0-1; ImageNet's where no `config.json` states them.

    Raises:
        DataError: `config.json` is not that of a ResNet.
    """
    file = path / "config.json"
    if not file.is_file():
        return IMAGENET_MEAN, IMAGENET_STD
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        if config["architecture"] != "resnet":
            raise ValueError(f"architecture is {config['architecture']!r}")
        mean, std = (
            tuple(float(value) for value in config.get(name, default))
            for name, default in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD))
        )
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError("mean and std must be 3 numbers, those of std above 0")
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f'{file}: expected {{"architecture": "resnet", "mean": [3 numbers], "std": '
            f"[3 numbers]}}, the last two where they are not ImageNet's ({error})."
        ) from error
    return mean, std


def build_resnet(tensors: Mapping[str, Any], path: Path) -> Any:
    """Return torchvision's network with fresh weights, in the shape that the tensors tell.

    Args:
        tensors: of a checkpoint, by torchvision's names.
        path: of the checkpoint, for the message.

    Raises:
        DataError: the names are not those of a ResNet.
    """
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    blocks = [match for match in map(_BLOCK.fullmatch, tensors) if match]
    depths = [len({m[2] for m in blocks if m[1] == stage}) for stage in "1234"]
    second = tensors.get("layer1.0.conv2.weight")
    if 0 in depths or second is None or second.ndim != 4:
        raise DataError(
            f"{path}: not a ResNet of torchvision: expected tensors such as "
            "layer1.0.conv1.weight to layer4.*. Check that the weights entry names the right file."
        )
    if "layer1.0.conv3.weight" not in tensors:
        return ResNet(BasicBlock, depths, num_classes=1)
    # The 3 x 3 convolution of the first stage has (groups x width) filters of `width` channels.
    filters, width = second.shape[:2]
    return ResNet(
        Bottleneck, depths, num_classes=1, groups=max(1, filters // width), width_per_group=width
    )
