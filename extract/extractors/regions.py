"""Regions of an image: 10 to 100 boxes with class, attributes and a feature vector each.

A detector proposes the boxes and names their classes, a ResNet trunk gives the vectors (average
pooled C5), and CLIP names the attributes. The three replace the one network of VinVL, whose weights
have no counterpart in the libraries used here.

Images go through one at a time: padding to a common size would change what the networks see.

Source: Zhang et al. 2021, VinVL: Revisiting Visual Representations in Vision-Language Models;
Anderson et al. 2018, Bottom-Up and Top-Down Attention for Image Captioning and VQA.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from extract.core.errors import ConfigError
from extract.extractors import base
from extract.images.decode import clip_box
from extract.networks.attribute_scores import AttributeScorer, best_attributes, check_prompt
from extract.networks.detection import Detector, read_detector_config
from extract.networks.region_selection import choose_regions, without_classes
from extract.networks.resnet_trunk import Pooling, ResnetTrunk, resize_within
from extract.networks.vocabularies import read_vocabulary
from extract.tables.rows import Item, ItemFeatures, Outputs, nothing_found

VERSION = 1


@dataclass(frozen=True)
class Options:
    """What decides the values."""

    pooling: Pooling = "c4_head"
    """`c4_head`: RoIAlign before the last stage, which runs on each region, as VinVL does;
    `c5_map`: RoIAlign after it. With 100 regions and ResNet-50 the trunk then takes 0.4 of the
    time, with 10 regions the same; the detector takes more than both."""
    feature_dim: int = 2048
    """Channels of the last stage; checked against the checkpoint."""
    score_min: float = 0.05
    """Class scores of this or less count only where an image would have too few regions, 0-1."""
    iou: float = 0.3
    """Boxes of one class that overlap more (intersection over union) are one, 0-1."""
    min_regions: int = 10
    """So many best regions are kept whatever their score; an image may have fewer proposals."""
    max_regions: int = 100
    """Best regions kept of each image."""
    detector_min_size: int = 800
    """Shorter side in px that the detector sees."""
    detector_max_size: int = 1333
    """Limit of the longer side in px that the detector sees, which wins."""
    shorter_side: int = 600
    """Shorter side in px that the trunk sees."""
    longer_side: int = 1000
    """Limit of the longer side in px that the trunk sees, which wins."""
    sampling_ratio: int = 0
    """Points a bin of RoIAlign along each axis; 0 means as many as the bin has cells."""
    aligned: bool = True
    """False shifts regions by half a cell, as the detectors before 2019 (VinVL's too) did."""
    attributes: bool = True
    """Name the attributes of each region; needs the role `clip`."""
    attribute_words: tuple[str, ...] = ()
    """Attributes to choose from; none means the list that comes with the code."""
    attribute_score_min: float = 0.05
    """Attributes of a lower score are left out, 0-1; the scores of a region sum to 1."""
    prompt: str = "a {attribute} {class}"
    """What CLIP compares with the region's pixels."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Precision of the networks; bfloat16 is autocast (3 significant digits)."""
    dtype: Literal["float16", "float32"] = "float16"
    """Of the stored features."""

    def __post_init__(self) -> None:
        for name in ("score_min", "iou", "attribute_score_min"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be 0 to 1, got {getattr(self, name)}")
        for low, high in (
            ("min_regions", "max_regions"),
            ("detector_min_size", "detector_max_size"),
            ("shorter_side", "longer_side"),
        ):
            if not 1 <= getattr(self, low) <= getattr(self, high):
                raise ValueError(
                    f"{low} must be 1 to {high}, got {getattr(self, low)} and {getattr(self, high)}"
                )
        if self.sampling_ratio < 0:
            raise ValueError(f"sampling_ratio must be at least 0, got {self.sampling_ratio}")
        if len(set(self.attribute_words)) != len(self.attribute_words):
            raise ValueError("attribute_words holds a word twice")
        check_prompt(self.prompt)

    @property
    def words(self) -> tuple[str, ...]:
        """The attributes to choose from; empty where none are named."""
        if not self.attributes:
            return ()
        return self.attribute_words or read_vocabulary("attributes")


class Extractor(base.Extractor):
    """Detector, trunk and, for attributes, CLIP."""

    gives = "regions"
    roles = ("detector", "trunk", "clip")

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        if not options.attributes:
            self.roles = ("detector", "trunk")

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """One row a region; the classes come with the detector (`outputs_from`)."""
        return Outputs(
            feature_dim=options.feature_dim,
            feature_dtype=options.dtype,
            boxes=True,
            scores=True,
            attributes=options.words,
        )

    def outputs_from(self, weights: Callable[[str], Path]) -> Outputs:
        """Return the columns with the detector's class names."""
        labels = read_detector_config(weights("detector")).labels
        return replace(self.outputs(self.options), labels=labels)

    def load(self, weights: Mapping[str, Path], device: str) -> None:
        """Load the detector, the trunk and, where attributes are wanted, CLIP.

        Raises:
            DataError: the tensors of a checkpoint are not those of its network.
            ConfigError: `feature_dim` does not describe the trunk.
        """
        options, is_bfloat16 = self.options, self.options.compute == "bfloat16"
        self._outputs = self.outputs_from(lambda role: weights[role])
        self._detector = Detector(
            weights["detector"],
            device,
            min_size=options.detector_min_size,
            max_size=options.detector_max_size,
            bfloat16=is_bfloat16,
        )
        labels = range(len(self._detector.labels))
        self._unnamed = [label for label in labels if not self._detector.is_named(label)]
        self._trunk = ResnetTrunk(weights["trunk"], device, bfloat16=is_bfloat16)
        if self._trunk.feature_dim != options.feature_dim:
            raise ConfigError(
                f"regions: option feature_dim is {options.feature_dim}, but the checkpoint "
                f"{weights['trunk']} has {self._trunk.feature_dim}. "
                f"Set feature_dim: {self._trunk.feature_dim}."
            )
        if options.attributes:
            self._scorer = AttributeScorer(
                weights["clip"],
                device,
                words=options.words,
                prompt=options.prompt,
                bfloat16=is_bfloat16,
            )

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Return the regions of each image, best first."""
        return [self._extract_one(item.image) for item in batch]

    def _extract_one(self, image: Image.Image) -> ItemFeatures:
        if self._detector.is_too_thin(image):
            reason = f"too thin for the detector: {image.width} x {image.height} pixels"
            return nothing_found(reason, self._outputs)
        boxes, scores, labels = self._choose(image)
        if not len(boxes):
            return nothing_found("the detector proposed no region", self._outputs)
        result = ItemFeatures(
            features=self._pool(image, boxes).astype(self.options.dtype),
            boxes=boxes,
            scores=scores,
            labels=labels,
        )
        if not self.options.attributes:
            return result
        crops = [image.crop(clip_box(box, *image.size)) for box in boxes]
        names = [self._detector.labels[label] for label in labels]
        found = self._scorer.score(crops, names)
        attributes, kept = best_attributes(found, score_min=self.options.attribute_score_min)
        return replace(result, attributes=attributes, attribute_scores=kept)

    def _choose(self, image: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes (R, 4) in pixels of the image, scores (R,) and labels (R,)."""
        found = self._detector.candidates(image)
        boxes, scores, labels = choose_regions(
            found.boxes,
            without_classes(found.scores, self._unnamed),
            iou=self.options.iou,
            score_min=self.options.score_min,
            at_least=self.options.min_regions,
            at_most=self.options.max_regions,
        )
        pixels = boxes.cpu().numpy() * np.array(found.scale * 2, np.float32)
        # The product may pass the edge by its last bit.
        pixels = np.clip(pixels, 0, np.array(image.size * 2, np.float32))
        return pixels, scores.cpu().numpy(), labels.cpu().numpy().astype(np.int32)

    def _pool(self, image: Image.Image, boxes: np.ndarray) -> np.ndarray:
        """Return the features of each box, shape (R, D), float32."""
        import torch

        options = self.options
        resized = resize_within(image, options.shorter_side, options.longer_side)
        scale = np.array(resized.size, np.float64) / image.size
        scaled = torch.from_numpy((boxes * np.tile(scale, 2)).astype(np.float32))
        found = self._trunk.pool(
            resized,
            scaled,
            options.pooling,
            sampling_ratio=options.sampling_ratio,
            aligned=options.aligned,
        )
        return found.cpu().numpy()
