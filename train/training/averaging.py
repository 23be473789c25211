"""The average of a training's weights: steadier than the last of them, for one more copy.

Source: Polyak and Juditsky 1992 (averaging); Tarvainen and Valpola 2017 (exponential, validated).
"""

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def weight_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """Return a copy of a model that follows its weights, or None where `decay` is 0.

    `update_parameters(model)` after an update moves each weight by a share 1 - decay towards the
    model's; the first call copies. Buffers are those of the model.

    Args:
        model: on its device, with the weights that training starts from.
        decay: at least 0 and below 1; of 0.995 the last 200 updates or so count.
    """
    if not decay:
        return None
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    return average.requires_grad_(False)
