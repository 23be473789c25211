"""Attributes of image crops by CLIP, zero-shot: which word fits, given what the thing is.

Source: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision,
sec. 3.1 (zero-shot transfer).
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from extract.core.errors import DataError
from extract.images.decode import center_crop, resize_shorter_side, to_array
from extract.networks.checkpoints.reading import load_pretrained
from extract.networks.checkpoints.tokenizer_files import load_tokenizer
from extract.networks.checkpoints.torch_files import first_line
from extract.networks.pixels import CLIP_MEAN, CLIP_STD, network_input, normalize
from extract.tables.rows import ATTRIBUTES_PER_ROW

if TYPE_CHECKING:
    import torch

_CROPS_AT_ONCE = 32


class AttributeScorer:
    """Both towers of a CLIP model, and the text embeddings that were asked for so far.

    Args:
        folder: of a `CLIPModel` with its tokenizer.
        device: `cpu` or `cuda`.
        words: A attributes.
        prompt: with `{attribute}` and, where wanted, `{class}`.
        bfloat16: compute both towers in bfloat16; the softmax stays float32.

    Raises:
        MissingFileError: no weights, or no usable tokenizer.
        DataError: not a whole CLIP checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        *,
        words: Sequence[str],
        prompt: str,
        bfloat16: bool = False,
    ) -> None:
        import torch
        from transformers import CLIPModel

        self._words, self._prompt, self._bfloat16 = tuple(words), prompt, bfloat16
        self._tokenizer = load_tokenizer(folder)
        try:
            model = load_pretrained(CLIPModel, folder)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{folder}: not a whole CLIP checkpoint ({first_line(error)})"
            ) from error
        self.device = torch.device(device)
        self._model = model.to(self.device)
        self._mean, self._std = _read_normalization(Path(folder))
        self._texts: dict[tuple[str, ...], torch.Tensor] = {}

    def score(self, crops: Sequence[Image.Image], names: Sequence[str]) -> np.ndarray:
        """Return the probability of each attribute of each crop.

        Args:
            crops: R images.
            names: the class of each crop.

        Returns:
            Shape (R, A), float32; a row sums to 1.
        """
        import torch

        images = self._embed_images(crops)
        scores = np.zeros((len(crops), len(self._words)), np.float32)
        with torch.inference_mode():
            logit_scale = self._model.logit_scale.exp()
            for name in sorted(set(names)):
                rows = [row for row, other in enumerate(names) if other == name]
                logits = logit_scale * (images[rows] @ self._embed_texts(name).T)
                scores[rows] = logits.softmax(dim=1).cpu().numpy()
        return scores

    def _embed_images(self, crops: Sequence[Image.Image]) -> "torch.Tensor":
        """Return unit vectors, shape (R, D), float32."""
        import torch

        size = self._model.config.vision_config.image_size
        squares = [to_array(center_crop(resize_shorter_side(c, size), size)) for c in crops]
        parts = []
        with torch.inference_mode(), self._autocast():
            for first in range(0, len(squares), _CROPS_AT_ONCE):
                pixels = network_input(squares[first : first + _CROPS_AT_ONCE], self.device)
                pixels = normalize(pixels, self._mean, self._std)
                parts.append(self._model.get_image_features(pixel_values=pixels).pooler_output)
        return _to_unit(torch.cat(parts))

    def _embed_texts(self, name: str) -> "torch.Tensor":
        """Return unit vectors of all attributes of one class, shape (A, D), float32."""
        import torch

        prompts = tuple(fill_prompt(self._prompt, word, name) for word in self._words)
        if prompts not in self._texts:
            tokens = self._tokenizer(
                list(prompts),
                padding=True,
                truncation=True,
                max_length=self._model.config.text_config.max_position_embeddings,
                return_tensors="pt",
            ).to(self.device)
            with torch.inference_mode(), self._autocast():
                found = self._model.get_text_features(
                    input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
                ).pooler_output
            self._texts[prompts] = _to_unit(found)
        return self._texts[prompts]

    def _autocast(self) -> AbstractContextManager:
        import torch

        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16)


def best_attributes(scores: np.ndarray, *, score_min: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the surest attributes of each row, as the columns of a store hold them.

    Args:
        scores: shape (R, A), float32.
        score_min: attributes with a lower score are left out.

    Returns:
        Indices (R, 16), int32, best first, then -1; scores (R, 16), float32, NaN for none.
    """
    n_rows, n_words = scores.shape
    attributes = np.full((n_rows, ATTRIBUTES_PER_ROW), -1, np.int32)
    kept = np.full((n_rows, ATTRIBUTES_PER_ROW), np.nan, np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :ATTRIBUTES_PER_ROW]
    best = np.take_along_axis(scores, order, axis=1)
    places = min(n_words, ATTRIBUTES_PER_ROW)
    is_sure = best >= score_min
    attributes[:, :places] = np.where(is_sure, order, -1)
    kept[:, :places] = np.where(is_sure, best, np.nan)
    return attributes, kept


def check_prompt(prompt: str) -> None:
    """See that a prompt has a place for the attribute.

    Raises:
        ValueError: no `{attribute}`, or another field than `{attribute}` and `{class}`.
    """
    fields = {field for _, field, _, _ in Formatter().parse(prompt) if field is not None}
    if "attribute" not in fields or fields - {"attribute", "class"}:
        raise ValueError(
            f"prompt must hold {{attribute}} and may hold {{class}}, nothing else, got '{prompt}'"
        )


def fill_prompt(prompt: str, attribute: str, name: str) -> str:
    """Return the prompt of one attribute and class."""
    return prompt.format_map({"attribute": attribute, "class": name})


def _to_unit(vectors: "torch.Tensor") -> "torch.Tensor":
    vectors = vectors.float()
    return vectors / vectors.norm(dim=-1, keepdim=True)


def _read_normalization(folder: Path) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and std of `preprocessor_config.json`; CLIP's own where it states none."""
    file = folder / "preprocessor_config.json"
    if not file.is_file():
        return CLIP_MEAN, CLIP_STD
    try:
        stated = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not a JSON object ({error}).") from error
    return stated.get("image_mean", CLIP_MEAN), stated.get("image_std", CLIP_STD)
