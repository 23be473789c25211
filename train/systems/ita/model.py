"""ITA: the image as words behind the tweet, and a text view taught by the multimodal one.

Two views of one network: `mm` reads tweet, separator and image words (captions, object names, text
in the picture); `text` reads the tweet alone. Cross-view alignment (CVA) pulls the CRF posteriors
of the text view towards those of the mm view.

`Options.upstream()` is the released code (Alibaba-NLP/KB-NER, a fork of flair), error by error; its
checkpoints are in train/systems/ita/released_checkpoint.py.

Source: Wang et al. 2022, ITA: Image-Text Alignments for Multi-Modal Named Entity Recognition.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from extract.core.errors import ConfigError
from extract.tables.tags import split_tag
from extract.words.image_text import GROUPS, ContextOptions, append_context, context_segments
from train.blocks.crf import LinearChainCRF
from train.blocks.path_marginals import path_marginals
from train.blocks.tag_head import TagCodec, TagHead, WordDropout
from train.blocks.text_encoder import SEP, TextEncoder, Word
from train.data.examples import Example, ModelOutput
from train.systems import base
from train.systems.base import length_mask
from train.systems.ita.options import Options

VERSION = 1

# Far below any score and far above float32's limits: exp gives exactly 0, sums stay finite.
_ILLEGAL = -1e4


@dataclass(frozen=True)
class MultimodalView:
    """A tweet with the words of its image."""

    words: list[Word]
    n_words: int
    """How many leading words are the tweet's; only they are tagged."""

    @property
    def has_context(self) -> bool:
        """False when the view is the bare tweet."""
        return len(self.words) > self.n_words


def build_view(
    example: Example, options: ContextOptions, count_subwords: Callable[[Sequence[Word]], int]
) -> MultimodalView:
    """Append an example's image words to its tweet.

    The tweet is never shortened; without any image words the view is the tweet alone, without a
    trailing separator.

    Args:
        example: its tokens, and the items of the groups in use (an absent one adds nothing).
        options: choice and order.
        count_subwords: words -> number of pieces, as the encoder counts.

    Raises:
        StoreError: the store of a group holds no words.
    """
    tokens = example.sample.tokens
    segments = context_segments(example.items, options, f"image {example.sample.image_id}")
    words = append_context(tokens, segments, options, separator=SEP, count_subwords=count_subwords)
    return MultimodalView(words, len(tokens))


class StateCodec(TagCodec):
    """Tags, and behind them states of the CRF that are no tags.

    `states` are the names of all of them; `tags` is what each is read as: an extra state is an
    entity of one word.

    Args:
        entity_types: types in the order that fixes the ids.
        scheme: `bio` or `bioes`.
        extra: of `EXTRA_STATES`.

    Raises:
        ConfigError: an extra state is a tag already.

    Source: flair's reading of tags that are not BIOES.
    """

    def __init__(self, entity_types: Sequence[str], scheme: str, extra: Sequence[str]) -> None:
        super().__init__(entity_types, scheme)
        self.states = [*self.tags, *extra]
        types = [name.removeprefix("S-") for name in extra]
        for name in types:
            if name in entity_types:
                raise ConfigError(f"extra_states: {name} is an entity type of this corpus")
        self.tags += [f"{'S' if scheme == 'bioes' else 'B'}-{name}" for name in types]


class SharedWordDropout(WordDropout):
    """Word dropout whose draw for a position holds in all sentences of the batch.

    Source: flair's WordDropout (Akbik et al. 2018), as ITA's released code applies it.
    """

    def forward(self, words: Tensor) -> Tensor:
        """Return words of shape (B, W, D), the same positions zero in each row when training."""
        if not self.training or self.p == 0:
            return words
        kept = torch.rand((1, words.shape[1], 1), device=words.device) >= self.p
        return words * kept


def may_follow(previous: str, tag: str, scheme: str) -> bool:
    """True when a tag may stand behind another; `O` stands for both ends of a sentence."""
    (before, open_type), (prefix, entity_type) = split_tag(previous), split_tag(tag)
    is_open = before in "BI"
    if prefix in "IE":
        return is_open and entity_type == open_type
    return scheme == "bio" or not is_open


@torch.no_grad()
def forbid_illegal_moves(crf: LinearChainCRF, tags: Sequence[str], scheme: str) -> None:
    """Set starts, ends and transitions that the scheme forbids to -10000."""
    starts = torch.tensor([may_follow("O", tag, scheme) for tag in tags])
    ends = torch.tensor([may_follow(tag, "O", scheme) for tag in tags])
    moves = torch.tensor([[may_follow(a, b, scheme) for b in tags] for a in tags])
    crf.start_transitions.masked_fill_(~starts, _ILLEGAL)
    crf.end_transitions.masked_fill_(~ends, _ILLEGAL)
    crf.transitions.masked_fill_(~moves, _ILLEGAL)


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

    VERSION = VERSION
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
        types, scheme = vocabulary["entity_types"], options.tag_scheme
        self.codec = StateCodec(types, scheme, options.extra_states)
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
        if options.word_dropout_shared:
            self.head.word_dropout = SharedWordDropout(options.word_dropout)
        if options.crf_constrained:
            forbid_illegal_moves(self.head.crf, self.codec.tags, scheme)

    @classmethod
    def trained_views(cls, options: Options) -> tuple[str, ...]:
        """Return both views with cross-view alignment, else mm alone."""
        return cls.views if options.cva else ("mm",)

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
        """Return the loss of the configured views, and the emissions of the mm view.

        Under the `interleaved` schedule a batch of b tweets is 2b accumulated samples of the
        released code, a tweet and its mm view each: same gradient as theirs. It shuffles the 2N
        samples of an epoch, so that the views of a tweet mostly are in different updates.
        """
        mm, mask, tags = self.emissions(batch, "mm"), batch["mask"], batch["tags"]
        if tags is None:
            return ModelOutput(None, mm, mask)
        if not self.options.cva:
            loss = self.head.crf.nll(mm, tags, mask).mean()
            return ModelOutput(loss, mm, mask, {"nll_mm": loss})
        text = self.emissions(batch, "text")
        interleaved = self.options.cva_schedule == "interleaved"
        student = self.emissions(batch, "text") if interleaved else None
        teacher = self._without_dropout(batch) if self.options.cva_teacher_eval else None
        parts = self.paired_loss(text, mm, batch, student=student, teacher=teacher)
        return ModelOutput(sum(parts.values()), mm, mask, parts)

    def emissions(self, batch: dict[str, Any], view: str) -> Tensor:
        """Return the emissions of the tweet words in one view. # shape: (B, W, K)"""
        if view not in self.views:
            raise ConfigError(f"view: expected one of {', '.join(self.views)}, got {view!r}")
        return self.head(self.encoder(**batch[view]))

    @torch.no_grad()
    def _without_dropout(self, batch: dict[str, Any]) -> Tensor:
        """Return the emissions of the mm view in evaluation mode. # shape: (B, W, K)"""
        was_training = self.training
        self.eval()
        try:
            return self.emissions(batch, "mm")
        finally:
            self.train(was_training)

    def paired_loss(
        self,
        text: Tensor,
        mm: Tensor,
        batch: dict[str, Any],
        *,
        student: Tensor | None = None,
        teacher: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted parts of the objective, means over sentences.

        Args:
            text: emissions of the text view, shape (B, W, K).
            mm: those of the mm view.
            batch: mask, tags and has_context.
            student: emissions of the text view for the alignment (default: `text`).
            teacher: those of the mm view for it (default: `mm`).
        """
        crf, mask = self.head.crf, batch["mask"]
        both, twice = torch.cat([text, mm]), torch.cat([mask, mask])
        nll_text, nll_mm = crf.nll(both, batch["tags"].repeat(2, 1), twice).chunk(2)
        if student is not None or teacher is not None:
            aligned = (text if student is None else student, mm if teacher is None else teacher)
            both = torch.cat(aligned)
        posteriors = crf.log_marginals(both, twice).chunk(2)
        divergence = cva_divergence(*posteriors, mask, self.options.cva_temperature)
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

    def marginals(self, batch: dict[str, Any], view: str) -> list[list[float | None]]:
        """Return the probability of each tag on the Viterbi path of one view."""
        return path_marginals(self.head.crf, self.emissions(batch, view), batch["mask"])

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
