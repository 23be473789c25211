"""RGB squares -> network input: scaled and normalised where the network is, without copies.

The means and deviations are those of the images that CLIP and the ImageNet networks learned.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def network_input(squares: Sequence[np.ndarray], device: "torch.device | str") -> "torch.Tensor":
    """Stack equally sized images as network input.

    Bytes go to the device, a quarter of what floats would be.

    Args:
        squares: B arrays of shape (H, W, 3), uint8, RGB.
        device: of the result.

    Returns:
        Shape (B, 3, H, W), float32, 0-255, channels last in memory.
    """
    import torch

    pixels = torch.from_numpy(np.stack(squares)).to(device).float()
    # shape: (B, H, W, 3) -> (B, 3, H, W)
    return pixels.permute(0, 3, 1, 2)


def normalize(
    pixels: "torch.Tensor", mean: Sequence[float], std: Sequence[float]
) -> "torch.Tensor":
    """Return (pixel / 255 - mean) / std, computed in place.

    Args:
        pixels: shape (B, 3, H, W), float32, 0-255.
        mean: of each channel, on the scale 0-1.
        std: of each channel, on the scale 0-1.
    """
    shift, scale = (pixels.new_tensor(values).view(3, 1, 1) for values in (mean, std))
    return pixels.div_(255).sub_(shift).div_(scale)
