"""YOLO-World as a grounder: each image's own noun phrases are the detector's classes.

The detector is ultralytics' (AGPL-3.0; no other file imports it). Its text tower is not used: it
wants to install a package. Embeddings come from a CLIP text checkpoint of transformers instead.

Images share a forward pass, but not each other's classes or padding, which would change their
boxes: only images whose letterboxed shape is equal go together, and an image with fewer phrases
than its neighbours repeats its first one. All that the network takes from the classes together is
a maximum, which a repeated one does not move; its scores are dropped before suppression. What is
left is rounding: against one image at a time, boxes move by 1e-4 px and scores by 5e-6 (a small
random network).

Source: Cheng et al. 2024, YOLO-World: Real-Time Open-Vocabulary Object Detection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from extract.core.errors import DataError, MissingToolError, ShapeError
from extract.core.offline import leave_home_alone, set_offline
from extract.extractors.base import Extractor as BaseExtractor
from extract.grounding.base import (
    GROUNDING_OUTPUTS,
    GroundedRow,
    best_rows,
    distinct_phrases,
    rows_to_features,
)
from extract.networks.checkpoints.reading import find_checkpoint, load_pretrained
from extract.networks.checkpoints.tokenizer_files import load_tokenizer
from extract.networks.checkpoints.torch_files import (
    BROKEN,
    check_archive,
    first_line,
    raise_unless_broken,
)
from extract.networks.checkpoints.whole_files import check_whole
from extract.tables.rows import Item, ItemFeatures, Outputs, Phrase, nothing_found

if TYPE_CHECKING:
    import torch

VERSION = 1

# More boxes than a picture can give after suppression: the cut is ours, one phrase at a time.
_MAX_DETECTIONS = 30_000


@dataclass(frozen=True)
class Options:
    """What decides the boxes."""

    threshold: float = 0.05
    """Boxes of a lower or equal score are left out, 0-1."""
    iou: float = 0.7
    """Boxes that overlap more (intersection over union) are one, the best of them, 0-1."""
    nms: Literal["per_phrase", "across_phrases"] = "per_phrase"
    """`per_phrase`: only boxes of one phrase are compared; `across_phrases`: all of an image."""
    boxes_per_phrase: int = 1
    """Best boxes kept of each phrase; a place in the image belongs to its best phrase only."""
    boxes_per_image: int = 16
    """Best boxes kept of each image."""
    image_size: int = 640
    """Longer side in px that the network sees, a multiple of 32."""

    def __post_init__(self) -> None:
        if not (0 <= self.threshold <= 1 and 0 <= self.iou <= 1):
            raise ValueError(
                f"threshold and iou must be 0 to 1, got {self.threshold} and {self.iou}"
            )
        if self.boxes_per_phrase < 1 or self.boxes_per_image < 1:
            raise ValueError("boxes_per_phrase and boxes_per_image must be at least 1")
        if self.image_size < 32 or self.image_size % 32:
            raise ValueError(f"image_size must be a multiple of 32, got {self.image_size}")


class Extractor(BaseExtractor):
    """Boxes of each phrase, best first, in pixels of the upright image."""

    gives = "boxes"
    needs = frozenset({"image", "phrases"})
    roles = ("detector", "text")

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """Return phrase, box and score."""
        return GROUNDING_OUTPUTS

    def load(self, weights: Mapping[str, Path], device: str) -> None:
        """Open the detector (`.pt` of ultralytics) and the CLIP text folder.

        Raises:
            MissingToolError: ultralytics is not installed.
            DataError: a checkpoint is not what its role asks for.
            ShapeError: the text embeddings have not the width that the detector was trained with.
        """
        self._device = device
        self._model = load_detector(find_checkpoint(weights["detector"]), device)
        self._text = TextEncoder(weights["text"], device)
        width = self._model.model[-1].cv3[0][-1].out_channels
        if self._text.width != width:
            raise ShapeError(
                f"{weights['text']}: text embeddings have {self._text.width} numbers, but the "
                f"detector {weights['detector']} compares {width}."
            )

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Ground the phrases of each image."""
        phrases = [distinct_phrases(item.phrases) for item in batch]
        asked = [index for index, of_image in enumerate(phrases) if of_image]
        found = self.detect(
            [batch[index].image for index in asked],
            [[phrase.text for phrase in phrases[index]] for index in asked],
        )
        boxes = dict(zip(asked, found, strict=True))
        return [self._ground(phrases[index], boxes.get(index)) for index in range(len(batch))]

    def _ground(self, phrases: Sequence[Phrase], boxes: np.ndarray | None) -> ItemFeatures:
        if boxes is None:
            return nothing_found("no phrase", GROUNDING_OUTPUTS)
        rows = self._best_rows(boxes, phrases)
        if not rows:
            reason = f"no box above the threshold {self.options.threshold:g}"
            return nothing_found(reason, GROUNDING_OUTPUTS)
        return rows_to_features(rows)

    def _best_rows(self, boxes: np.ndarray, phrases: Sequence[Phrase]) -> list[GroundedRow]:
        """Return the ordered rows after the cuts per phrase and per image."""
        rows = [
            GroundedRow(
                phrases[int(index)].text, tuple(xyxy), float(score), phrases[int(index)].start
            )
            for *xyxy, score, index in boxes.tolist()
            # A box in the padding around the image is empty once clipped.
            if xyxy[0] < xyxy[2] and xyxy[1] < xyxy[3]
        ]
        return best_rows(
            rows,
            boxes_per_phrase=self.options.boxes_per_phrase,
            boxes_per_image=self.options.boxes_per_image,
        )

    def detect(
        self, images: Sequence[Image.Image], names: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """Return all boxes above the threshold after suppression, of each image.

        Args:
            images: B, upright RGB.
            names: the phrases of each image, at least one.

        Returns:
            B arrays of shape (R, 6), float32: x1, y1, x2, y2 in pixels of the image, score, index
            of the name; score descending.
        """
        pixels = [self._letterbox(image) for image in images]
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, array in enumerate(pixels):
            by_shape.setdefault(array.shape, []).append(index)
        found: dict[int, np.ndarray] = {}
        for group in by_shape.values():
            predictions = self._predict(
                np.stack([pixels[index] for index in group]), [names[index] for index in group]
            )
            for index, of_image in zip(group, predictions, strict=True):
                size, shape = images[index].size, pixels[index].shape[1:]
                found[index] = self._suppress(of_image, len(names[index]), shape, size)
        return [found[index] for index in range(len(images))]

    def _predict(self, pixels: np.ndarray, names: Sequence[Sequence[str]]) -> "torch.Tensor":
        """Return places before suppression, shape (B, 4 + C, P): centre, size, score of each name.

        Args:
            pixels: shape (B, 3, H, W), uint8.
            names: of each image; C is the longest list, the rest of a shorter one is repeated.
        """
        import torch

        most = max(map(len, names))
        padded = [[*of_image, *[of_image[0]] * (most - len(of_image))] for of_image in names]
        embeddings = torch.stack([self._text.embed(of_image) for of_image in padded])
        # The head reads the number of classes from this attribute, not from the embeddings.
        self._model.model[-1].nc = most
        inputs = torch.from_numpy(pixels).to(self._device).float() / 255
        with torch.inference_mode():
            return self._model.predict(inputs, txt_feats=embeddings)[0]

    def _suppress(
        self, places: "torch.Tensor", n_names: int, shape: tuple[int, int], size: tuple[int, int]
    ) -> np.ndarray:
        """Return the boxes of one image, shape (R, 6), as `detect` does.

        Args:
            places: shape (4 + C, P); what is after the first `n_names` classes was repeated.
            n_names: names of this image.
            shape: height and width of the network input.
            size: width and height of the image.
        """
        import torch
        from ultralytics.utils.nms import non_max_suppression
        from ultralytics.utils.ops import scale_boxes

        with torch.inference_mode():
            # One image a call: after a time limit the rest of a batch would come back empty.
            found = non_max_suppression(
                places[None, : 4 + n_names],
                self.options.threshold,
                self.options.iou,
                agnostic=self.options.nms == "across_phrases",
                max_det=_MAX_DETECTIONS,
            )[0]
            found[:, :4] = scale_boxes(shape, found[:, :4], size[::-1])
        return found.float().cpu().numpy()

    def _letterbox(self, image: Image.Image) -> np.ndarray:
        """Return the network input, shape (3, H, W), uint8, padded to multiples of 32."""
        from ultralytics.data.augment import LetterBox

        stride = int(max(self._model.stride))
        fit = LetterBox((self.options.image_size,) * 2, auto=True, stride=stride)
        # shape: (H, W, 3), RGB; resizing and grey padding do not care for the channel order
        return fit(image=np.array(image)).transpose(2, 0, 1)


class TextEncoder:
    """CLIP text tower: phrases -> vectors of unit length, each phrase computed once and alone.

    Alone, because the last bits of a vector depend on how many share its batch, also where all of
    them have equally many tokens. So a phrase has one vector, however the corpus is sharded.
    """

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import CLIPTextModelWithProjection

        self._tokenizer = load_tokenizer(folder)
        try:
            # A full CLIP checkpoint also holds the vision tower.
            model = load_pretrained(CLIPTextModelWithProjection, folder, is_part=True)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{folder}: not a CLIP text checkpoint ({first_line(error)})"
            ) from error
        self._model = model.to(device)
        self._max_tokens = model.config.max_position_embeddings
        self._cache: dict[str, torch.Tensor] = {}
        self._device = device

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return self._model.config.projection_dim

    def embed(self, names: Sequence[str]) -> "torch.Tensor":
        """Return shape (C, D), float32; the name alone is the prompt, as in the detector."""
        import torch

        return torch.stack([self._embed_one(name) for name in names])

    def _embed_one(self, name: str) -> "torch.Tensor":
        import torch

        if name not in self._cache:
            tokens = self._tokenizer(
                name, truncation=True, max_length=self._max_tokens, return_tensors="pt"
            )
            with torch.inference_mode():
                vector = self._model(**tokens.to(self._device)).text_embeds[0].float()
            self._cache[name] = vector / vector.norm()
        return self._cache[name]


def load_detector(path: Path, device: str) -> Any:
    """Return the YOLO-World network of an ultralytics checkpoint, ready to predict.

    The file is a pickled object; only the known layer classes of torch and ultralytics are built.

    Raises:
        MissingToolError: ultralytics is not installed.
        DataError: the file holds something else.
    """
    _prepare_environment()
    try:
        # The suppression of ultralytics takes torchvision's only where that is already imported.
        import torchvision  # noqa: F401
        from ultralytics.nn.tasks import WorldModel, torch_safe_load
    except ImportError as error:
        raise MissingToolError(
            "grounding yolo_world: package 'ultralytics' is not installed (AGPL-3.0). "
            "Run: pip install '.[yolo]' (in this project's folder)"
        ) from error
    check_whole(path)
    check_archive(path)
    try:
        # Ultralytics drops quotes from a path, and then looks for the file on the network.
        with TemporaryDirectory() as folder:
            link = Path(folder, "model.pt")
            link.symlink_to(path.resolve())
            checkpoint, _ = torch_safe_load(link, safe_only=True)
        model = checkpoint.get("ema") or checkpoint["model"]
    except (*BROKEN, ModuleNotFoundError) as error:
        raise_unless_broken(error, path)
        found = first_line(error.__cause__ or error)  # ultralytics' own words advise other models
        raise DataError(
            f"{path}: not an ultralytics checkpoint of its known layers ({found}). Other pickles "
            "can run code and are not opened. Compare its checksum with the source's."
        ) from error
    if not isinstance(model, WorldModel):
        raise DataError(
            f"{path}: holds a {type(model).__name__}, expected a YOLO-World model (WorldModel)."
        )
    # As ultralytics' own predictor does: batch norms are folded into the convolutions.
    return model.float().eval().fuse(verbose=False).to(device)


def _prepare_environment() -> None:
    """Keep ultralytics from downloading, installing, reporting and writing to the home folder."""
    set_offline()
    leave_home_alone()
    _undo_image_patch()


def _undo_image_patch() -> None:
    """Give Pillow its own `open` back: ultralytics replaces it for the whole process.

    The replacement fails with an import error where Pillow says why a file is no image.
    """
    try:
        from ultralytics.utils import patches
    except ImportError:
        return
    Image.open = patches._image_open
