"""ITA: the image as words behind the tweet, and a text view taught by the multimodal one.

Two views of one network: `mm` reads tweet, separator and image words (captions, object names, text
in the picture); `text` reads the tweet alone. Cross-view alignment (CVA) pulls the CRF posteriors
of the text view towards those of the mm view.

Source: Wang et al. 2022, ITA: Image-Text Alignments for Multi-Modal Named Entity Recognition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from extract.errors import ConfigError
from train.context import GROUPS, ContextOptions, build_view
from train.layers.tag_head import TagCodec, TagHead
from train.layers.text_encoder import TextEncoder
from train.models import base
from train.models.base import Example, ModelOutput, length_mask


@dataclass(frozen=True)
class Options:
    """What can be chosen about the system."""

    context: ContextOptions = field(default_factory=ContextOptions)
    """How the words of the image are chosen and joined."""
    cva: bool = True
    """Train both views with cross-view alignment; false trains the mm view alone."""
    cva_temperature: float = 2.0
    """T, which flattens both posteriors. The paper's runs: 2 (Twitter-2017), 4 (others)."""
    cva_rate: float = 0.5
    """r, the weight of the alignment against the likelihood."""
    cva_weighting: Literal["ita", "adaseq"] = "ita"
    """`ita`: (NLL_text + (1 - r) NLL_mm + r CVA) / 2, and (NLL_text + NLL_mm) / 2 for a tweet
    without image words. `adaseq`: r (NLL_mm + NLL_text) + (1 - r) CVA."""
    dropout: float = 0.0
    """Dropout on the channels of the word vectors."""
    word_dropout: float = 0.1
    """Share of words whose whole vector is zeroed in training, without rescaling."""
    tag_scheme: Literal["bio", "bioes"] = "bioes"
    """The tags the CRF works with; in and out it is BIO."""
    crf_init: Literal["uniform", "normal"] = "uniform"
    """Initial transitions: uniform in +-0.1, or standard normal as in the paper's code, which a
    few hundred tweets do not unlearn."""
    empty_word: Literal["unk", "zero"] = "unk"
    """Vector of a word without pieces: that of the `unk` piece, or `zero`."""

    def __post_init__(self) -> None:
        for name in ("dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a number in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.cva_rate <= 1:
            raise ValueError(f"cva_rate: expected a number in [0, 1], got {self.cva_rate}")
        if self.cva_temperature <= 0:
            raise ValueError(f"cva_temperature: expected more than 0, got {self.cva_temperature}")


def cva_divergence(student: Tensor, teacher: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(teacher || student) of each sentence, summed over words.

    The temperature flattens the posteriors after inference, p^(1/T); nothing flows back into the
    teacher.

    Args:
        student: log-posteriors of the text view, shape (B, W, K).
        teacher: those of the mm view, same shape.
        mask: shape (B, W), bool, the same for both views.
        temperature: T > 0.

    Returns:
        Shape (B,).

    Source: Wang et al. 2022, ITA, cross-view alignment; Hinton et al. 2015 for T^2.
    """
    log_p = torch.log_softmax(teacher.detach() / temperature, dim=2)
    log_q = torch.log_softmax(student / temperature, dim=2)
    per_word = (log_p.exp() * (log_p - log_q)).sum(dim=2)  # shape: (B, W)
    return temperature**2 * (per_word * mask).sum(dim=1)


class Model(base.TaggingModel):
    """Encoder -> first piece of each tweet word -> word dropout -> linear -> CRF, on two views."""

    roles = ("encoder",)
    views: ClassVar[tuple[str, ...]] = ("mm", "text")

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
            weights["encoder"], pretrained=pretrained, empty_word=options.empty_word
        )
        # An encoder with few positions leaves less room for context.
        budget = min(options.context.max_subwords, self.encoder.max_subwords - 2)
        self.context = replace(options.context, max_subwords=budget)
        self.head = TagHead(
            self.encoder.dim,
            len(self.codec.tags),
            dropout=options.dropout,
            word_dropout=options.word_dropout,
            crf_init=options.crf_init,
        )

    @classmethod
    def required_features(cls, options: Options) -> dict[str, str]:
        """Return the groups of image words in use."""
        return {group: GROUPS[group] for group in options.context.use}

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return both views as pieces, the mask (B, W), tag ids (B, W) or None, and which tweets
        have image words (B,)."""
        samples = [example.sample for example in examples]
        views = [build_view(e, self.context, self.encoder.count_subwords) for e in examples]
        return {
            "text": self.encoder.tokenize([sample.tokens for sample in samples]),
            "mm": self.encoder.tokenize(
                [view.words for view in views], [view.n_words for view in views]
            ),
            "mask": length_mask([len(sample.tokens) for sample in samples]),
            "tags": self.codec.encode(samples),
            "has_context": torch.tensor([view.has_context for view in views]),
        }

    def forward(self, batch: dict[str, Any]) -> ModelOutput:
        """Return the loss of the configured views, and the emissions of the mm view."""
        mm, mask, tags = self.emissions(batch, "mm"), batch["mask"], batch["tags"]
        if tags is None:
            return ModelOutput(None, mm, mask)
        if not self.options.cva:
            loss = self.head.crf.nll(mm, tags, mask).mean()
            return ModelOutput(loss, mm, mask, {"nll_mm": loss})
        parts = self.paired_loss(self.emissions(batch, "text"), mm, batch)
        return ModelOutput(sum(parts.values()), mm, mask, parts)

    def emissions(self, batch: dict[str, Any], view: str) -> Tensor:
        """Return the emissions of the tweet words in one view. # shape: (B, W, K)"""
        if view not in self.views:
            raise ConfigError(f"view: expected one of {', '.join(self.views)}, got {view!r}")
        return self.head(self.encoder(**batch[view]))

    def paired_loss(self, text: Tensor, mm: Tensor, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Return the weighted parts of the objective, means over sentences.

        Args:
            text: emissions of the text view, shape (B, W, K).
            mm: those of the mm view.
            batch: mask, tags and has_context.
        """
        crf, mask = self.head.crf, batch["mask"]
        both, twice = torch.cat([text, mm]), torch.cat([mask, mask])
        nll_text, nll_mm = crf.nll(both, batch["tags"].repeat(2, 1), twice).chunk(2)
        student, teacher = crf.log_marginals(both, twice).chunk(2)
        divergence = cva_divergence(student, teacher, mask, self.options.cva_temperature)
        weights = self._weights(batch["has_context"].to(nll_mm.dtype))
        terms = {"nll_text": nll_text, "nll_mm": nll_mm, "cva": divergence}
        return {name: (weights[name] * term).mean() for name, term in terms.items()}

    def _weights(self, has_context: Tensor) -> dict[str, Tensor | float]:
        """Return the weight of each term; without image words there is nothing to align."""
        rate = self.options.cva_rate
        if self.options.cva_weighting == "adaseq":
            return {"nll_text": rate, "nll_mm": rate, "cva": (1 - rate) * has_context}
        return {
            "nll_text": 0.5,
            "nll_mm": 0.5 * (1 - rate * has_context),
            "cva": 0.5 * rate * has_context,
        }

    @torch.no_grad()
    def decode(self, batch: dict[str, Any], view: str) -> list[list[str]]:
        """Return the Viterbi path of one view as BIO tags."""
        paths, _ = self.head.crf.viterbi(self.emissions(batch, view), batch["mask"])
        return self.codec.decode(paths)

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
