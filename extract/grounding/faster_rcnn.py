"""Faster R-CNN as a grounder: the objects of an image, found without its text.

The classes are the detector's own (with torchvision's checkpoints the 80 of COCO), and a row's text
is the class name. Crops of these boxes are the detector crops that published models read beside
or instead of grounded ones; every image has the same, whatever its tweet says.

Source: Ren et al. 2015, Faster R-CNN: Towards Real-Time Object Detection with Region Proposal
Networks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from extract.extractors.base import Extractor as BaseExtractor
from extract.grounding.base import GROUNDING_OUTPUTS, GroundedRow, order_rows, rows_to_features
from extract.networks.detection import Detector
from extract.tables.rows import Item, ItemFeatures, Outputs, nothing_found

VERSION = 1


@dataclass(frozen=True)
class Options:
    """What decides the boxes."""

    threshold: float = 0.05
    """Boxes of a lower or equal score are left out, 0-1."""
    iou: float = 0.5
    """Boxes of one class that overlap more (intersection over union) are one, 0-1."""
    boxes_per_image: int = 16
    """Best boxes kept of each image, over all classes."""
    min_size: int = 800
    """Shorter side in px that the network sees; 320 for the MobileNet of that name."""
    max_size: int = 1333
    """Limit of the longer side in px, which wins; 640 for the MobileNet 320."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Precision of the backbone; bfloat16 is autocast (3 significant digits)."""

    def __post_init__(self) -> None:
        if not (0 <= self.threshold <= 1 and 0 <= self.iou <= 1):
            raise ValueError(
                f"threshold and iou must be 0 to 1, got {self.threshold} and {self.iou}"
            )
        if self.boxes_per_image < 1:
            raise ValueError(f"boxes_per_image must be at least 1, got {self.boxes_per_image}")
        if not 1 <= self.min_size <= self.max_size:
            raise ValueError(
                f"min_size must be 1 to max_size, got {self.min_size} and {self.max_size}"
            )


class Extractor(BaseExtractor):
    """Boxes of the detector's classes, best first, in pixels of the upright image."""

    gives = "boxes"
    needs = frozenset({"image"})
    roles = ("detector",)

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """Return class name, box and score."""
        return GROUNDING_OUTPUTS

    def load(self, weights: Mapping[str, Path], device: str) -> None:
        """Open torchvision's COCO file, or a folder with `config.json` and one checkpoint.

        Raises:
            DataError: the tensors are not those of the architecture.
        """
        options = self.options
        self._detector = Detector(
            weights["detector"],
            device,
            min_size=options.min_size,
            max_size=options.max_size,
            bfloat16=options.compute == "bfloat16",
        )
        heads = self._detector.model.roi_heads
        heads.score_thresh, heads.nms_thresh = options.threshold, options.iou
        heads.detections_per_img = options.boxes_per_image

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Detect the objects of each image."""
        return [self._detect(item) for item in batch]

    def _detect(self, item: Item) -> ItemFeatures:
        detector, image = self._detector, item.image
        if detector.is_too_thin(image):
            reason = f"too thin for the detector: {image.width} x {image.height} pixels"
            return nothing_found(reason, GROUNDING_OUTPUTS)
        found = detector.predict(image)
        columns = (found[name].tolist() for name in ("boxes", "labels", "scores"))
        rows = [
            GroundedRow(detector.labels[label], tuple(box), score)
            for box, label, score in zip(*columns, strict=True)
            if detector.is_named(label)
        ]
        if not rows:
            reason = f"no object above the threshold {self.options.threshold:g}"
            return nothing_found(reason, GROUNDING_OUTPUTS)
        return rows_to_features(order_rows(rows))
