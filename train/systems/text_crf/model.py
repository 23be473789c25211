"""Text alone: pretrained encoder, linear layer, CRF. The baseline of every multimodal system.

Source: Devlin et al. 2019 (first piece of each word) with the CRF of Lample et al. 2016.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from extract.core.errors import ConfigError
from train.blocks.path_marginals import path_marginals
from train.blocks.tag_head import TagCodec, TagHead
from train.blocks.text_encoder import TextEncoder
from train.data.examples import Example, ModelOutput
from train.systems import base
from train.systems.base import length_mask
from train.systems.text_crf.options import Options

VERSION = 1


class Model(base.TaggingModel):
    """Encoder -> first piece of each word -> dropout -> linear -> CRF."""

    VERSION = VERSION
    roles = ("encoder",)

    def __init__(
        self,
        options: Options,
        vocabulary: dict[str, Any],
        weights: Mapping[str, Path],
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.options = options
        self.codec = TagCodec(vocabulary["entity_types"], options.tag_scheme)
        self.encoder = TextEncoder(
            weights["encoder"],
            pretrained=pretrained,
            empty_word=options.empty_word,
            max_subwords=options.max_subwords,
        )
        self.head = TagHead(
            self.encoder.dim,
            len(self.codec.tags),
            dropout=options.dropout,
            word_dropout=options.word_dropout,
            crf_init=options.crf_init,
        )

    @classmethod
    def required_features(cls, options: Options) -> dict[str, str]:
        """Return nothing: the image is not looked at."""
        return {}

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return pieces, mask (B, W) and tag ids (B, W) or None."""
        samples = [example.sample for example in examples]
        return {
            "text": self.encoder.tokenize([sample.tokens for sample in samples]),
            "mask": length_mask([len(sample.tokens) for sample in samples]),
            "tags": self.codec.encode(samples),
        }

    def forward(self, batch: dict[str, Any]) -> ModelOutput:
        """Return the mean negative log-likelihood of the gold tags, and emissions."""
        emissions, mask = self.head(self.encoder(**batch["text"])), batch["mask"]
        if batch["tags"] is None:
            return ModelOutput(None, emissions, mask)
        loss = self.head.crf.nll(emissions, batch["tags"], mask).mean()
        return ModelOutput(loss, emissions, mask, {"nll": loss})

    @torch.no_grad()
    def decode(self, batch: dict[str, Any], view: str) -> list[list[str]]:
        """Return the Viterbi path as BIO tags; the only view is `main`."""
        if view not in self.views:
            raise ConfigError(f"view: expected one of {self.views}, got {view!r}")
        emissions = self.head(self.encoder(**batch["text"]))
        return self.codec.decode(self.head.crf.viterbi(emissions, batch["mask"])[0])

    def marginals(self, batch: dict[str, Any], view: str) -> list[list[float | None]]:
        """Return the probability of each tag on the Viterbi path."""
        emissions = self.head(self.encoder(**batch["text"]))
        return path_marginals(self.head.crf, emissions, batch["mask"])

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the encoder, the linear layer (`head`) and the `crf`."""
        return {
            "encoder": list(self.encoder.parameters()),
            "head": list(self.head.linear.parameters()),
            "crf": list(self.head.crf.parameters()),
        }

    def save_assets(self, folder: Path) -> None:
        """Write the encoder's config and tokenizer."""
        self.encoder.save_assets(folder / "encoder")
