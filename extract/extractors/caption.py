"""Captions by any image-to-text model of transformers, by beam search.

Tested with BLIP, BLIP-2, GIT, Florence-2 and vision encoder-decoders (ViT + GPT-2). Image
preprocessing is the checkpoint's own, in its Pillow-backed form where transformers has one. Each
image is preprocessed alone, with the prompt, and only inputs of equal shape share a batch: nothing
is ever padded.

Source: Li et al. 2022, BLIP: Bootstrapping Language-Image Pre-training; Xiao et al. 2024,
Florence-2; Wang et al. 2022, GIT: A Generative Image-to-text Transformer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from extract.core.errors import ConfigError, DataError
from extract.extractors import base
from extract.networks.checkpoints.reading import (
    from_folder,
    load_config,
    load_pretrained,
    quiet_transformers,
)
from extract.networks.checkpoints.tokenizer_files import load_processor, load_tokenizer
from extract.tables.rows import Item, ItemFeatures, Outputs, nothing_found

if TYPE_CHECKING:
    import torch

VERSION = 2

Inputs = dict[str, "torch.Tensor"]
"""Arguments of `generate` by name; the first axis counts images."""


@dataclass(frozen=True)
class Options:
    """What decides the values, together with the checkpoint's own `generation_config.json`."""

    num_captions: int = 1
    """Captions an image, best first; fewer where some are empty or repeat a better one."""
    num_beams: int = 4
    """Width of the beam search; at least `num_captions`."""
    max_new_tokens: int = 30
    """Subwords a caption, the prompt not counted."""
    prompt: str = ""
    """Text that the caption continues, which is not part of the caption; a task such as
    `<CAPTION>` for Florence-2, which needs one."""
    length_penalty: float = 1.0
    """Exponent of the length by which a beam's log probability is divided."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Precision of the matrix products; bfloat16 has 3 significant digits and is faster on a
    processor that has it. Captions whose scores are close may change places."""

    def __post_init__(self) -> None:
        if not 1 <= self.num_captions <= self.num_beams:
            raise ValueError(
                f"num_captions must be from 1 to num_beams ({self.num_beams}), "
                f"got {self.num_captions}"
            )
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")


class Extractor(base.Extractor):
    """A captioning checkpoint folder with its processor, or with image processor and tokenizer."""

    gives = "captions"
    roles = ("captioner",)

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.processor: Any = None
        """Of images and prompts; None before `load`."""
        # Tokenizers change their own state while they work.
        self._lock = Lock()

    @classmethod
    def outputs(cls, options: Options) -> Outputs:
        """Captions with the beam's length-normalised log probability (NaN without beams)."""
        return Outputs(text=True, scores=True)

    def load(self, weights: Mapping[str, Path], device: str) -> None:
        """Load model and processor.

        Raises:
            MissingFileError: the folder is not a transformers checkpoint, or has no tokenizer.
            DataError: its tensors are not complete, or no captioner has such a config.
            ConfigError: the processor does not take the prompt.
        """
        import torch
        from transformers import AutoModelForImageTextToText

        path = Path(weights["captioner"])
        unused = _old_buffers(load_config(path))
        try:
            model = load_pretrained(AutoModelForImageTextToText, path, may_be_unused=unused)
            processor = _load_processor(path, model)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: not a captioning checkpoint with a processor: {str(error)[:300]}"
            ) from error
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.processor = processor
        self._try_prompt(path)

    def prepare(self, item: Item) -> Inputs | None:
        """Return the network's inputs of one image; None, which keeps the image, before `load`."""
        return None if self.processor is None else self.network_input(item.image)

    def network_input(self, image: Image.Image) -> Inputs:
        """Return the arguments of `generate` for one image; every first axis is that image's."""
        text = [self.options.prompt] if self.options.prompt else None
        with self._lock:
            inputs = dict(self.processor(images=[image], text=text, return_tensors="pt"))
        if "token_type_ids" in inputs and not _takes_token_types(self.model):
            del inputs["token_type_ids"]
        return self._without_end(inputs)

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Return the captions of each image, best first."""
        inputs = [self.prepared(item) for item in batch]
        n = self.options.num_captions
        found: dict[int, ItemFeatures] = {}
        for group in _equal_shapes(inputs):
            texts, scores = self._generate([inputs[index] for index in group])
            for i, index in enumerate(group):
                own = slice(i * n, (i + 1) * n)
                found[index] = self._rows(texts[own], scores[own])
        return [found[index] for index in range(len(batch))]

    def _try_prompt(self, path: Path) -> None:
        """See early, with any image, that the processor takes what it will be given."""
        try:
            self.network_input(Image.new("RGB", (32, 32)))
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"caption: the processor of {path} does not take the prompt "
                f"{self.options.prompt!r}: {str(error)[:300]}. Correct the option prompt."
            ) from error

    def _without_end(self, inputs: Inputs) -> Inputs:
        """Cut the token off that closes the prompt of a decoder, which is to go on from there."""
        config = self.model.config
        # BLIP's `generate` cuts it off itself.
        if config.is_encoder_decoder or config.model_type == "blip" or "input_ids" not in inputs:
            return inputs
        tokenizer = self.processor.tokenizer
        n_tokens = inputs["input_ids"].shape[1]
        last = int(inputs["input_ids"][0, -1])
        if n_tokens < 2 or last not in (tokenizer.sep_token_id, tokenizer.eos_token_id):
            return inputs
        return {
            name: value[:, :-1] if value.shape[1:] == (n_tokens,) else value
            for name, value in inputs.items()
        }

    def _generate(self, group: Sequence[Inputs]) -> tuple[list[str], np.ndarray]:
        """Return B * num_captions texts without prompt, and scores, image after image."""
        import torch

        options = self.options
        inputs = {
            name: torch.cat([one[name] for one in group]).to(self.device) for name in group[0]
        }
        is_bfloat16 = options.compute == "bfloat16"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=is_bfloat16),
            # A checkpoint's own max_length, which max_new_tokens replaces, is warned of each time.
            quiet_transformers(),
        ):
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
        n_prompt = self._prompt_length(group[0])
        texts = [self._decode(sequence, n_prompt) for sequence in result.sequences.tolist()]
        scores = getattr(result, "sequences_scores", None)
        if scores is None:
            return texts, np.full(len(texts), np.nan, np.float32)
        return texts, scores.float().cpu().numpy()

    def _prompt_length(self, inputs: Inputs) -> int:
        """Return how many tokens of a generated sequence are the prompt."""
        config = self.model.config
        prompt = inputs.get("decoder_input_ids" if config.is_encoder_decoder else "input_ids")
        if prompt is None:
            return 0
        return prompt.shape[1] - (config.model_type == "blip")

    def _decode(self, sequence: list[int], n_prompt: int) -> str:
        """Return the text after the prompt; a subword that continues the prompt is spelled so."""
        decode = self.processor.tokenizer.decode
        whole = decode(sequence, skip_special_tokens=True)
        prompt = decode(sequence[:n_prompt], skip_special_tokens=True) if n_prompt else ""
        if not whole.startswith(prompt):
            whole, prompt = decode(sequence[n_prompt:], skip_special_tokens=True), ""
        return " ".join(whole[len(prompt) :].split())

    def _rows(self, texts: Sequence[str], scores: np.ndarray) -> ItemFeatures:
        """Drop empty captions, and those that differ from a better one in spaces alone."""
        # Keeps the first, which is the best.
        kept = [i for i, text in enumerate(texts) if text and text not in texts[:i]]
        if not kept:
            return nothing_found("the captioner gave no text", self.outputs(self.options))
        return ItemFeatures(
            text=[texts[index] for index in kept], scores=scores[kept].astype(np.float32)
        )


class _ImageProcessorAndTokenizer:
    """What a processor does, for checkpoints that have the two in separate files."""

    def __init__(self, path: Path, start_token_id: int) -> None:
        from transformers import AutoImageProcessor

        self.image_processor = from_folder(AutoImageProcessor.from_pretrained, path, backend="pil")
        self.tokenizer = load_tokenizer(path)
        self._start_token_id = start_token_id

    def __call__(
        self, images: list[Image.Image], text: list[str] | None = None, return_tensors: str = "pt"
    ) -> dict[str, Any]:
        """Return pixels, and each prompt as the beginning of what the decoder writes."""
        import torch

        inputs = dict(self.image_processor(images=images, return_tensors=return_tensors))
        if text:
            encode = self.tokenizer.encode
            prompts = [encode(prompt, add_special_tokens=False) for prompt in text]
            ids = torch.tensor([[self._start_token_id, *prompt] for prompt in prompts])
            # Stated, for it cannot be told from the ids where the start token also pads.
            inputs |= {"decoder_input_ids": ids, "decoder_attention_mask": torch.ones_like(ids)}
        return inputs


def _load_processor(path: Path, model: Any) -> Any:
    """Return the checkpoint's processor, or what stands for one where it has none."""
    processor = load_processor(path, backend="pil")
    if hasattr(processor, "image_processor") and hasattr(processor, "tokenizer"):
        return processor
    generation = model.generation_config
    start = generation.decoder_start_token_id
    return _ImageProcessorAndTokenizer(path, generation.bos_token_id if start is None else start)


def _old_buffers(config: Any) -> list[str]:
    """Return the names of constants that GPT-2 decoders were once saved with."""
    decoder = getattr(config, "decoder", None)
    if getattr(decoder, "model_type", "") != "gpt2":
        return []
    return [
        f"decoder.transformer.h.{layer}.{attention}.masked_bias"
        for layer in range(decoder.n_layer)
        for attention in ("attn", "crossattention")
    ]


def _takes_token_types(model: Any) -> bool:
    import inspect

    return "token_type_ids" in inspect.signature(model.forward).parameters


def _equal_shapes(inputs: Sequence[Inputs]) -> list[list[int]]:
    """Return the indices of the inputs that can share a batch, group by group."""
    groups: dict[Any, list[int]] = {}
    for index, one in enumerate(inputs):
        shapes = tuple((name, tuple(value.shape)) for name, value in sorted(one.items()))
        groups.setdefault(shapes, []).append(index)
    return list(groups.values())
