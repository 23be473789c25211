"""Captions by any image-to-text model of transformers (BLIP, BLIP-2, GIT, ...), by beam search.

Image preprocessing is the checkpoint's own, in its Pillow-backed form where transformers has one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from extract.checkpoints import load_pretrained
from extract.errors import DataError, MissingFileError
from extract.extractors import base

VERSION = 1


@dataclass(frozen=True)
class Options:
    """What decides the values."""

    num_captions: int = 1
    """Captions an image, best first."""
    num_beams: int = 4
    """Width of the beam search; at least `num_captions`."""
    max_new_tokens: int = 30
    """Subwords a caption, the prompt not counted."""
    prompt: str = ""
    """Text that the caption continues; it is not part of the caption."""
    length_penalty: float = 1.0
    """Exponent of the length by which a beam's log probability is divided."""

    def __post_init__(self) -> None:
        if not 1 <= self.num_captions <= self.num_beams:
            raise ValueError(
                f"num_captions must be from 1 to num_beams ({self.num_beams}), "
                f"got {self.num_captions}"
            )
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")


class Extractor(base.Extractor):
    """A captioning checkpoint folder with its processor."""

    roles = ("captioner",)

    @classmethod
    def outputs(cls, options: Options) -> base.Outputs:
        """Captions with the beam's length-normalised log probability (NaN without beams)."""
        return base.Outputs(text=True, scores=True)

    def load(self, weights: Mapping[str, Path], device: str) -> None:
        """Load model and processor.

        Raises:
            MissingFileError: the folder is not a transformers checkpoint.
            DataError: its tensors are not complete, or no captioner has such a config.
        """
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        path = Path(weights["captioner"])
        if not (path / "config.json").is_file():
            raise MissingFileError(f"{path}/config.json: expected a captioner's checkpoint folder.")
        try:
            model = load_pretrained(AutoModelForImageTextToText, path)
            self.processor = AutoProcessor.from_pretrained(
                path, local_files_only=True, backend="pil"
            )
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: not a captioning checkpoint with a processor: {str(error)[:300]}"
            ) from error
        self.device = torch.device(device)
        self.model = model.to(self.device)

    def extract(self, batch: Sequence[base.Item]) -> list[base.ItemFeatures]:
        """Return the captions of each image, best first."""
        if not batch:
            return []
        texts, scores = self._generate([item.image for item in batch])
        n = self.options.num_captions
        return [
            self._rows(texts[i : i + n], scores[i : i + n]) for i in range(0, len(batch) * n, n)
        ]

    def _generate(self, images: list[Any]) -> tuple[list[str], np.ndarray]:
        """Return B * num_captions texts and scores, image after image."""
        import torch

        options = self.options
        text = [options.prompt] * len(images) if options.prompt else None
        inputs = self.processor(images=images, text=text, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            result = self.model.generate(
                **inputs,
                do_sample=False,
                num_beams=options.num_beams,
                num_return_sequences=options.num_captions,
                max_new_tokens=options.max_new_tokens,
                length_penalty=options.length_penalty if options.num_beams > 1 else None,
                return_dict_in_generate=True,
                output_scores=True,
            )
        texts = self.processor.batch_decode(result.sequences, skip_special_tokens=True)
        scores = getattr(result, "sequences_scores", None)
        if scores is None:
            return texts, np.full(len(texts), np.nan, np.float32)
        return texts, scores.float().cpu().numpy()

    def _rows(self, texts: Sequence[str], scores: np.ndarray) -> base.ItemFeatures:
        """Drop the prompt and empty captions."""
        captions = [self._without_prompt(text) for text in texts]
        kept = [index for index, caption in enumerate(captions) if caption]
        if not kept:
            return base.nothing_found("the captioner gave no text", self.outputs(self.options))
        return base.ItemFeatures(
            text=[captions[index] for index in kept], scores=scores[kept].astype(np.float32)
        )

    def _without_prompt(self, text: str) -> str:
        """Cut the prompt off; tokenizers may have changed its capitals and spaces."""
        text, prompt = " ".join(text.split()), " ".join(self.options.prompt.split())
        if prompt and text.lower().startswith(prompt.lower()):
            text = text[len(prompt) :]
        return text.strip()
