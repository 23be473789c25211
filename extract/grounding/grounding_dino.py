"""Grounding DINO as a grounder: an image's own noun phrases, in one prompt, are what it looks for.

Code and published checkpoints are under Apache-2.0; those of YOLO-World are not.

The prompt is `a dog. the old man.`; a phrase owns the tokens of its words. The network scores each
of its boxes (queries) against every token. A box goes to the phrase of its best token, whose score
is the box's. That is the score of transformers' own post-processing, but for delimiters: there a
box may also owe its score to `[CLS]`, `[SEP]` or a dot, here it may not.

Images share a forward pass only where their network input has one shape. The masks do not hide
padding: backbone and group norms mix it into the picture (a small random network: the best score of
a phrase moves by up to 0.1). Prompts of different lengths do go together, because every attention
over text is masked; what is left is rounding, under 1e-6 in score and 1e-4 px in box. Rounding may
swap two of the 900 queries whose proposals score the same, mostly among those far below any
threshold (the same network: 2 or 3 boxes in a fifth of the images, the kept ones in none of 24).

Source: Liu et al. 2024, Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set
Object Detection.
"""

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.extractors.base import Extractor as BaseExtractor
from extract.grounding.base import (
    GROUNDING_OUTPUTS,
    GroundedRow,
    best_rows,
    distinct_phrases,
    rows_to_features,
)
from extract.images.decode import resize_exact, to_array
from extract.networks.checkpoints.reading import load_pretrained
from extract.networks.checkpoints.torch_files import first_line
from extract.networks.grounding_dino_prompts import Prompt, PromptWriter
from extract.networks.pixels import IMAGENET_MEAN, IMAGENET_STD, network_input, normalize
from extract.tables.rows import Item, ItemFeatures, Outputs, Phrase, nothing_found

if TYPE_CHECKING:
    import torch

VERSION = 1

logger = logging.getLogger(__name__)

# Each cell of the finest feature map is a candidate for a query.
_CELL_PX = 8


@dataclass(frozen=True)
class Options:
    """What decides the boxes."""

    threshold: float = 0.25
    """Boxes of a lower or equal score are left out, 0-1."""
    phrase_score: Literal["max", "mean"] = "max"
    """Score of a phrase from those of its tokens: `max` as published; `mean` asks that the whole
    phrase matches (`red ball`, not any ball)."""
    iou: float = 0.7
    """Boxes that overlap more (intersection over union) are one, the best of them, 0-1; 1: off."""
    nms: Literal["per_phrase", "across_phrases"] = "per_phrase"
    """`per_phrase`: only boxes of one phrase are compared; `across_phrases`: all of an image."""
    boxes_per_phrase: int = 1
    """Best boxes kept of each phrase; a query belongs to its best phrase only."""
    boxes_per_image: int = 16
    """Best boxes kept of each image."""
    shortest_edge: int = 800
    """Shorter side in px that the network sees (bilinear resize); less where the longer decides."""
    longest_edge: int = 1333
    """Greatest longer side in px that the network sees."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Of the RGB channels, 0-1; must be that of the checkpoint's `preprocessor_config.json`."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Of the RGB channels, 0-1; must be that of the checkpoint's `preprocessor_config.json`."""

    def __post_init__(self) -> None:
        if not (0 <= self.threshold <= 1 and 0 <= self.iou <= 1):
            raise ValueError(
                f"threshold and iou must be 0 to 1, got {self.threshold} and {self.iou}"
            )
        if self.boxes_per_phrase < 1 or self.boxes_per_image < 1:
            raise ValueError("boxes_per_phrase and boxes_per_image must be at least 1")
        if not 1 <= self.shortest_edge <= self.longest_edge:
            raise ValueError(
                "shortest_edge must be at least 1 and at most longest_edge, got "
                f"{self.shortest_edge} and {self.longest_edge}"
            )


@dataclass(frozen=True)
class View:
    """An image at the size that the network sees."""

    pixels: np.ndarray
    """shape: (H, W, 3), uint8, RGB."""
    image_size: tuple[int, int]
    """Width and height of the image."""


@dataclass(frozen=True)
class Found:
    """Boxes of one image above the threshold."""

    boxes: np.ndarray
    """shape: (R, 4), float32, `xyxy`, pixels of the image."""
    scores: np.ndarray
    """shape: (R,), float32."""
    phrases: np.ndarray
    """shape: (R,), int64, indices of the phrases."""


class Extractor(BaseExtractor):
    """Boxes of each phrase, best first, in pixels of the upright image."""

    gives = "boxes"
    needs = frozenset({"image", "phrases"})
    roles = ("detector",)

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """Return phrase, box and score."""
        return GROUNDING_OUTPUTS

    def load(self, weights: Mapping[str, Path], device: str) -> None:
        """Open a `GroundingDinoForObjectDetection` checkpoint folder with its tokenizer.

        Raises:
            MissingFileError: no `config.json`, weights or tokenizer in the folder.
            ConfigError: an option does not describe the checkpoint.
            DataError: another model, its tensors are not complete, or not its own tokenizer.
        """
        import torch
        from transformers import GroundingDinoForObjectDetection

        path = Path(weights["detector"])
        model_type = _read_json(path / "config.json").get("model_type")
        if model_type != "grounding-dino":
            raise DataError(
                f"{path}: expected a Grounding DINO checkpoint, got model_type {model_type!r}."
            )
        self._check_preprocessing(path)
        try:
            model = load_pretrained(GroundingDinoForObjectDetection, path)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: not a Grounding DINO checkpoint ({first_line(error)})"
            ) from error
        self._queries = model.config.num_queries
        self._check_sizes(path)
        max_tokens = min(
            model.config.max_text_len, model.config.text_config.max_position_embeddings
        )
        self._prompts = PromptWriter(path, model.model.special_tokens.tolist(), max_tokens)
        self._device = torch.device(device)
        self._model = model.to(self._device)

    def prepare(self, item: Item) -> View:
        """Resize the image."""
        edges = (self.options.shortest_edge, self.options.longest_edge)
        size = resized_size(item.image.size, *edges)
        resized = resize_exact(item.image, size, resample="bilinear")
        return View(to_array(resized), item.image.size)

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Ground the phrases of each image."""
        phrases = [distinct_phrases(item.phrases) for item in batch]
        prompts = [self._prompts.write([p.text for p in of_image]) for of_image in phrases]
        found = self.detect([self.prepared(item) for item in batch], prompts)
        return [self._ground(*of_image) for of_image in zip(phrases, prompts, found, strict=True)]

    def _ground(
        self, phrases: Sequence[Phrase], prompts: Sequence[Prompt], found: Found
    ) -> ItemFeatures:
        if not phrases:
            return nothing_found("no phrase", GROUNDING_OUTPUTS)
        if not prompts:
            return nothing_found("no phrase with a word", GROUNDING_OUTPUTS)
        rows = self._best_rows(found, phrases)
        if not rows:
            reason = f"no box above the threshold {self.options.threshold:g}"
            return nothing_found(reason, GROUNDING_OUTPUTS)
        return rows_to_features(rows)

    def _best_rows(self, found: Found, phrases: Sequence[Phrase]) -> list[GroundedRow]:
        """Return the ordered rows after the cuts per phrase and per image."""
        columns = (found.boxes.tolist(), found.scores.tolist(), found.phrases.tolist())
        rows = [
            GroundedRow(phrases[index].text, tuple(box), score, phrases[index].start)
            for box, score, index in zip(*columns, strict=True)
        ]
        return best_rows(
            rows,
            boxes_per_phrase=self.options.boxes_per_phrase,
            boxes_per_image=self.options.boxes_per_image,
        )

    def detect(self, views: Sequence[View], prompts: Sequence[Sequence[Prompt]]) -> list[Found]:
        """Return all boxes above the threshold after suppression, of each image.

        Args:
            views: of B images.
            prompts: the prompts of each image; several where one cannot hold its phrases.
        """
        pixels = [self._stretch(view.pixels) for view in views]
        shapes = [array.shape for array in pixels]
        found: list[list[Found]] = [[] for _ in views]
        for group in _equal_shapes(shapes, prompts, most=len(views)):
            logits, boxes = self._predict(
                [pixels[index] for index, _ in group], [prompt for _, prompt in group]
            )
            for (index, prompt), of_logits, of_boxes in zip(group, logits, boxes, strict=True):
                size = views[index].image_size
                found[index].append(self._select(of_logits, of_boxes, prompt, size))
        return [self._suppress(of_image) for of_image in found]

    def _stretch(self, pixels: np.ndarray) -> np.ndarray:
        """Return an extremely long image with a place for each query, any other as it is.

        Boxes are fractions of the sides, so that they stay right.
        """
        height, width = pixels.shape[:2]
        short, long = sorted((height, width))
        while _places(short, long) < self._queries:
            short += _CELL_PX
        size = (short, long) if width <= height else (long, short)
        if size == (width, height):
            return pixels
        return to_array(resize_exact(Image.fromarray(pixels), size, resample="bilinear"))

    def _predict(
        self, pixels: Sequence[np.ndarray], prompts: Sequence[Prompt]
    ) -> tuple["torch.Tensor", "torch.Tensor"]:
        """Return logits, shape (B, Q, T), and boxes, shape (B, Q, 4), centre and size, 0-1.

        Args:
            pixels: B arrays of one shape (H, W, 3), uint8.
            prompts: B prompts.
        """
        import torch

        length = max(len(prompt.token_ids) for prompt in prompts)
        token_ids = torch.zeros(len(prompts), length, dtype=torch.long)
        mask = torch.zeros_like(token_ids)
        for row, prompt in enumerate(prompts):
            token_ids[row, : len(prompt.token_ids)] = torch.tensor(prompt.token_ids)
            mask[row, : len(prompt.token_ids)] = 1
        with torch.inference_mode():
            inputs = network_input(pixels, self._device)
            found = self._model(
                pixel_values=normalize(inputs, self.options.mean, self.options.std),
                input_ids=token_ids.to(self._device),
                attention_mask=mask.to(self._device),
            )
        return found.logits.float().cpu(), found.pred_boxes.float().cpu()

    def _select(
        self, logits: "torch.Tensor", boxes: "torch.Tensor", prompt: Prompt, size: tuple[int, int]
    ) -> Found:
        """Give each query of one prompt to its best phrase and leave the low scores out.

        Args:
            logits: shape (Q, T).
            boxes: shape (Q, 4), centre and size as fractions of the image.
            prompt: whose tokens the T are.
            size: width and height of the image.
        """
        import torch

        tokens = logits.sigmoid()
        of_phrase = [tokens[:, start:end] for start, end in prompt.spans]
        if self.options.phrase_score == "max":
            columns = [scores.amax(1) for scores in of_phrase]
        else:
            columns = [scores.mean(1) for scores in of_phrase]
        scores, best = torch.stack(columns, 1).max(1)  # shape: (Q,), (Q,)
        scale = torch.tensor([*size, *size], dtype=torch.float32)
        centre, half = boxes[:, :2], boxes[:, 2:] / 2
        xyxy = torch.cat([centre - half, centre + half], 1) * scale
        xyxy = torch.minimum(xyxy.clamp(min=0), scale)
        keep = (scores > self.options.threshold) & (xyxy[:, :2] < xyxy[:, 2:]).all(1)
        phrases = torch.tensor(prompt.phrases)[best[keep]]
        return Found(xyxy[keep].numpy(), scores[keep].numpy(), phrases.numpy())

    def _suppress(self, parts: Sequence[Found]) -> Found:
        """Join what the prompts of one image found and drop overlapping boxes."""
        import torch
        from torchvision.ops import batched_nms

        if not parts:
            return Found(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int))
        boxes = np.concatenate([part.boxes for part in parts])
        scores = np.concatenate([part.scores for part in parts])
        phrases = np.concatenate([part.phrases for part in parts])
        compared = phrases if self.options.nms == "per_phrase" else np.zeros_like(phrases)
        arrays = (torch.from_numpy(array) for array in (boxes, scores, compared))
        kept = batched_nms(*arrays, self.options.iou).numpy()
        return Found(boxes[kept], scores[kept], phrases[kept])

    def _check_preprocessing(self, path: Path) -> None:
        """Compare the options with the checkpoint's own numbers, where it states them."""
        file = path / "preprocessor_config.json"
        if not file.is_file():
            return
        stated = _read_json(file)
        for option, key in (("mean", "image_mean"), ("std", "image_std")):
            value = getattr(self.options, option)
            if key in stated and tuple(stated[key]) != value:
                raise ConfigError(
                    f"grounding_dino: option {option} is {value}, but the checkpoint {path} has "
                    f"{tuple(stated[key])}. Set {option}: {stated[key]}."
                )
        if stated.get("resample", 2) != Image.Resampling.BILINEAR:
            raise DataError(f"{file}: resample {stated['resample']}, only 2 (bilinear) is known.")
        sizes = stated.get("size")
        chosen = {key: getattr(self.options, key) for key in ("shortest_edge", "longest_edge")}
        if isinstance(sizes, Mapping) and any(sizes.get(k, v) != v for k, v in chosen.items()):
            logger.warning("%s was made for images of %s px, not %s", path, dict(sizes), chosen)

    def _check_sizes(self, path: Path) -> None:
        edge = self.options.shortest_edge
        if _places(edge, edge) < self._queries:
            raise ConfigError(
                f"grounding_dino: shortest_edge {edge} px gives {_places(edge, edge)} places for "
                f"the {self._queries} queries of {path}. Set shortest_edge to at least "
                f"{_CELL_PX * math.isqrt(self._queries - 1) + 1}."
            )


def resized_size(size: tuple[int, int], shortest_edge: int, longest_edge: int) -> tuple[int, int]:
    """Return the (width, height) with that shorter side, or less so that the longer one fits.

    Rounded as transformers' image processors of the DETR family do; no side is under 1 px.
    """
    short, long = sorted(size)
    exact = float(shortest_edge)
    if long / short * shortest_edge > longest_edge:
        exact = longest_edge * short / long
    edge = round(exact)
    other = long if edge == short else int(exact * long / short)
    edge = max(edge, 1)
    return (edge, other) if size[0] <= size[1] else (other, edge)


def _places(height: int, width: int) -> int:
    """Return the cells of the finest feature map; the coarser ones add to them."""
    return math.ceil(height / _CELL_PX) * math.ceil(width / _CELL_PX)


def _equal_shapes(
    shapes: Sequence[tuple[int, ...]], prompts: Sequence[Sequence[Prompt]], *, most: int
) -> Iterator[list[tuple[int, Prompt]]]:
    """Yield (image, prompt) pairs whose images have one shape, up to `most` at a time."""
    by_shape: dict[tuple[int, ...], list[tuple[int, Prompt]]] = {}
    for index, of_image in enumerate(prompts):
        by_shape.setdefault(shapes[index], []).extend((index, prompt) for prompt in of_image)
    for pairs in by_shape.values():
        for first in range(0, len(pairs), most):
            yield pairs[first : first + most]


def _read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object of a checkpoint folder."""
    if not file.is_file():
        raise MissingFileError(f"{file}: no such file; expected a Grounding DINO checkpoint.")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not a JSON object ({error}).") from error
