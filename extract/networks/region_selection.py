"""Which of a detector's proposals become regions: never few, never many, each with one class.

Source: Anderson et al. 2018, Bottom-Up and Top-Down Attention, sec. 3.1; Zhang et al. 2021, VinVL
(10 to 100 regions, suppression at 0.3 within each class).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# As in torchvision: thinner boxes are no boxes.
_MIN_SIDE_PX = 1e-2


def suppress_per_class(
    boxes: "torch.Tensor", scores: "torch.Tensor", *, iou: float, score_min: float
) -> "torch.Tensor":
    """Keep, within each class, the boxes that no surer box of that class overlaps.

    Args:
        boxes: shape (P, K, 4), `xyxy`; one box a proposal and class.
        scores: shape (P, K); column 0 is the background, which is never kept.
        iou: boxes that overlap more (intersection over union) are one.
        score_min: lower or equal scores are not kept.

    Returns:
        Shape (P, K): the scores of what is kept, 0 elsewhere.
    """
    import torch
    from torchvision.ops import batched_nms, remove_small_boxes

    proposals, classes = torch.where(scores[:, 1:] > score_min)
    classes = classes + 1
    found = boxes[proposals, classes]
    large = remove_small_boxes(found, _MIN_SIDE_PX)
    found, proposals, classes = found[large], proposals[large], classes[large]
    keep = batched_nms(found, scores[proposals, classes], classes, iou)
    kept = torch.zeros_like(scores)
    kept[proposals[keep], classes[keep]] = scores[proposals[keep], classes[keep]]
    return kept


def choose_regions(
    boxes: "torch.Tensor",
    scores: "torch.Tensor",
    *,
    iou: float,
    score_min: float,
    at_least: int,
    at_most: int,
) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """Return the best regions of an image, best first.

    A proposal keeps its best class that survived the suppression. Where fewer than `at_least` are
    above `score_min`, the best `at_least` are returned whatever their score (all, if there are not
    so many).

    Args:
        boxes: shape (P, K, 4), as in `suppress_per_class`.
        scores: shape (P, K).
        iou: as in `suppress_per_class`.
        score_min: as in `suppress_per_class`.
        at_least: number of regions.
        at_most: number of regions.

    Returns:
        Boxes (R, 4), scores (R,) and classes (R,).
    """
    import torch

    best, classes = suppress_per_class(boxes, scores, iou=iou, score_min=score_min).max(dim=1)
    n_regions = at_most
    if int((best > 0).sum()) < at_least:
        # What is above score_min stays as it is: only surer boxes suppress.
        best, classes = suppress_per_class(boxes, scores, iou=iou, score_min=0.0).max(dim=1)
        n_regions = at_least
    order = torch.argsort(best, descending=True, stable=True)[:n_regions]
    order = order[best[order] > 0]
    return boxes[order, classes[order]], best[order], classes[order]


def without_classes(scores: "torch.Tensor", classes: Sequence[int]) -> "torch.Tensor":
    """Return scores in which some classes can never be kept."""
    scores = scores.clone()
    scores[:, list(classes)] = 0
    return scores
