"""ACN, the adaptive co-attention network: char-CNN, BiLSTM, image grid, two gates, CRF.

Zhang, Fu, Liu and Huang 2018, Adaptive Co-attention Network for Named Entity Recognition in Tweets,
AAAI 32(1). The default is the published model with its reading and masking errors repaired;
`Options.upstream()` is the public PyTorch re-implementation (monologg), error by error.
"""

import copy
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from extract.core.errors import DataError
from extract.tables.samples import Sample
from extract.tables.tags import split_tag, tag_set
from train.blocks.crf import LinearChainCRF
from train.blocks.path_marginals import of_words, path_marginals
from train.data.batches import grid_tensors, image_grid, tag_tensor
from train.data.examples import Example, ModelOutput
from train.data.word_vectors import PAD, UNK, build_word_vocabulary, read_word_vectors
from train.systems.acn.char_cnn import CharCNN
from train.systems.acn.co_attention import MergedAttention
from train.systems.acn.gates import FiltrationGate, GatedFusion
from train.systems.acn.options import Options
from train.systems.acn.standardize import ChannelStandardizer
from train.systems.acn.symbol_table import SymbolTable
from train.systems.acn.word_index import WordIndex
from train.systems.base import TaggingModel, length_mask

logger = logging.getLogger(__name__)

VERSION = 1
ROLE = "grid"


@dataclass
class Trace:
    """What ACN computes on the way to its emissions; D = 2 * lstm_hidden, R = regions."""

    chars: Tensor
    """shape: (B, W, char_output)"""
    states: Tensor
    """shape: (B, W, D), h of the paper."""
    regions: Tensor
    """shape: (B, R, D), v."""
    visual_weights: Tensor
    """shape: (B, W, R), alpha; the same for every word in `concat` mode."""
    visual: Tensor
    """shape: (B, W, D), the image as each word sees it."""
    textual_weights: Tensor
    """shape: (B, W, W), beta."""
    textual: Tensor
    """shape: (B, W, D), the text as that image vector sees it."""
    fusion_gate: Tensor
    """shape: (B, W, 1), the image's share of the mixture."""
    mixture: Tensor
    """shape: (B, W, D), m."""
    filtration_gate: Tensor
    """shape: (B, W, 1), or (B, W, D) for `vector`, s."""
    emissions: Tensor
    """shape: (B, W, K)"""


class Model(TaggingModel):
    """Adaptive co-attention network.

    Raises:
        MissingFileError, DataError: the word vectors cannot be read.
    """

    VERSION = VERSION

    def __init__(
        self,
        options: Options,
        vocabulary: dict[str, Any],
        weights: Mapping[str, Path] | None = None,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.options, self.vocabulary = options, vocabulary
        extra = [PAD, UNK] if options.upstream_tags else []
        self.tags = [*extra, *tag_set(vocabulary["entity_types"])]
        self._tag_ids = {tag: position for position, tag in enumerate(self.tags)}
        self.index = WordIndex(
            vocabulary["words"],
            vocabulary["chars"],
            number_test=options.number_test,
            char_text=options.char_text,
        )
        self._grid_shape = (options.regions, options.image_dim)
        self._cut: set[str] = set()
        self._build_reader(options)
        if options.word_vectors is not None:
            self._fill_words(pretrained)
        width = 2 * options.lstm_hidden
        self.project_image = nn.Linear(options.image_dim, width)
        merge = dict.fromkeys(("regions", "words"), options.attention_merge)
        merge |= dict.fromkeys(options.averaged, "mean")
        self.visual_attention = MergedAttention(width, merge["regions"])
        self.textual_attention = MergedAttention(width, merge["words"])
        self.fusion = GatedFusion(width, gated=options.fusion_gate)
        self.filtration = FiltrationGate(width, len(self.tags), options.filtration)
        self.crf = LinearChainCRF(len(self.tags))
        self.standardize = (
            ChannelStandardizer(options.image_dim) if options.standardize_grid else None
        )

    def _build_reader(self, options: Options) -> None:
        """Make everything up to the BiLSTM."""
        self.char_cnn = CharCNN(
            len(self.vocabulary["chars"]),
            char_dim=options.char_dim,
            filters=options.filters,
            widths=options.filter_widths,
            hidden=options.char_hidden,
            output=options.char_output,
            dropout=options.char_dropout,
            masked_max=options.masked_char_max,
            zero_pad=options.zero_pad_rows,
        )
        self.word_table = SymbolTable(
            len(self.vocabulary["words"]),
            options.word_dim,
            zero_pad=options.zero_pad_rows,
            singletons=self.vocabulary["singletons"],
            singleton_unk=options.singleton_unk,
        )
        self.input_dropout = nn.Dropout(options.input_dropout)
        self.lstm = nn.LSTM(
            options.word_dim + options.char_output,
            options.lstm_hidden,
            batch_first=True,
            bidirectional=True,
        )
        self.state_dropout = nn.Dropout(options.state_dropout)

    def _fill_words(self, pretrained: bool) -> None:
        """Put in the word vectors and freeze the table, if the options say so."""
        self.word_table.weight.requires_grad_(not self.options.freeze_word_vectors)
        if pretrained:  # else a checkpoint brings the table, and the file may be gone
            row = {word: position for position, word in enumerate(self.vocabulary["words"])}
            self.word_table.fill((row[word], vector) for word, vector in _vectors(self.options))

    @classmethod
    def required_features(cls, options: Options) -> dict[str, str]:
        """Return the one role: the image grid."""
        return {ROLE: f"{options.regions} grid cells an image, {options.image_dim} channels each"}

    @classmethod
    def check_files(cls, options: Options) -> None:
        """Read the first word vector.

        Raises:
            MissingFileError, DataError: there is no such file, or it is none of word vectors.
        """
        if options.word_vectors is not None:
            next(_vectors(options))

    @classmethod
    def build_vocabulary(
        cls, options: Options, samples: Sequence[Sample], entity_types: Sequence[str]
    ) -> dict[str, Any]:
        """Return words and characters of the training text, then the words of the vector file."""
        with_vector = (word for word, _ in _vectors(options)) if options.word_vectors else ()
        tables = build_word_vocabulary(
            (sample.tokens for sample in samples),
            with_vector,
            number_test=options.number_test,
            char_text=options.char_text,
        )
        return {"entity_types": list(entity_types), **tables}

    def fit_statistics(self, examples: Iterable[Example]) -> None:
        """Fit the channel statistics on the training images (`standardize_grid` only).

        Each sample counts once, so that shuffling images between samples changes nothing here.
        """
        if self.standardize is not None:
            with_image = (example for example in examples if example.items[ROLE].is_ok)
            self.standardize.fit(image_grid(e, ROLE, self._grid_shape) for e in with_image)

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return ids, masks, the image grid and, when all samples are tagged, the tag ids.

        Raises:
            DataError: a sample has no token, or a tag that training did not have.
            ShapeError: a grid has another shape than the options say.
        """
        options = self.options
        texts = [self._kept_tokens(example.sample) for example in examples]
        width, n_chars = options.max_tokens, options.max_chars
        if not options.pad_to_caps:
            width = max(map(len, texts))
            longest = max(len(self.index.char_ids(token)) for text in texts for token in text)
            n_chars = max(min(longest, n_chars), *options.filter_widths)
        words = self.index.encode(texts, width=width, n_chars=n_chars)
        hash_them, dim = options.unknown_words == "hash", options.word_dim
        return {
            "word_ids": words.word_ids,
            "char_ids": words.char_ids,
            "char_lengths": words.char_lengths,
            "hashed": self.index.hashed_vectors(texts, width=width, dim=dim) if hash_them else None,
            "mask": length_mask([len(text) for text in texts], width),
            "n_tokens": [len(example.sample.tokens) for example in examples],
            "tag_ids": tag_tensor([example.sample for example in examples], self._tag_ids, width),
            **grid_tensors(examples, ROLE, self._grid_shape),
        }

    def _kept_tokens(self, sample: Sample) -> list[str]:
        if not sample.tokens:
            raise DataError(f"sample {sample.id}: no token. Remove it from the split.")
        if len(sample.tokens) > self.options.max_tokens and sample.id not in self._cut:
            self._cut.add(sample.id)
            if len(self._cut) == 1:
                logger.warning(
                    "sample %s has %d tokens; those after max_tokens = %d are tagged O "
                    "(shown once, whatever the number of such samples)",
                    *(sample.id, len(sample.tokens), self.options.max_tokens),
                )
        return sample.tokens[: self.options.max_tokens]

    def trace(self, batch: dict[str, Any]) -> Trace:
        """Return the emissions of a batch with everything on the way to them."""
        mask, dtype = batch["mask"], self.word_table.weight.dtype
        chars = self.char_cnn(batch["char_ids"], batch["char_lengths"])
        words = self.word_table(batch["word_ids"], batch["hashed"])
        states = self._read(torch.cat([words, chars], dim=-1), mask)
        image = batch["image"].to(dtype)
        if self.standardize is not None:
            image = self.standardize(image)
        regions = torch.tanh(self.project_image(image))
        visual, alpha = self.visual_attention(states, regions)
        seen = mask if self.options.mask_text_attention else None
        textual, beta = self.textual_attention(visual, states, seen)
        mixture, fusion_gate = self.fusion(visual, textual)
        emissions, filtration_gate = self.filtration(states, mixture, batch["has_image"])
        # In `concat` mode all words share one row of what follows; a view of it costs nothing.
        shared = (alpha, visual, beta, textual, fusion_gate, mixture, filtration_gate)
        rows = [tensor.expand(-1, mask.shape[1], -1) for tensor in shared]
        # The CRF gets float32 even under bfloat16 autocast.
        return Trace(chars, states, regions, *rows, emissions.to(dtype))

    def _read(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Return the BiLSTM states. # shape: (B, W, D)"""
        inputs = self.input_dropout(inputs)
        if not self.options.pack:
            return self.state_dropout(self.lstm(inputs)[0])
        lengths = mask.sum(dim=1).cpu()  # packing wants them on the CPU
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=mask.shape[1]
        )
        return self.state_dropout(states)

    def forward(self, batch: dict[str, Any]) -> ModelOutput:
        """Return the mean over sentences of the CRF's negative log-likelihood, and emissions."""
        emissions, mask = self.trace(batch).emissions, batch["mask"]
        if batch["tag_ids"] is None:
            return ModelOutput(None, emissions, mask)
        loss = self.crf.nll(emissions, batch["tag_ids"], mask).mean()
        return ModelOutput(loss, emissions, mask, {"crf": loss})

    @torch.no_grad()
    def decode(self, batch: dict[str, Any], view: str = "main") -> list[list[str]]:
        """Return the best path of each sample; `O` for tokens beyond `max_tokens`."""
        paths, _ = self._decoder().viterbi(self.trace(batch).emissions, batch["mask"])
        # [pad] and [unk] say nothing about a real token.
        names = ["O" if tag in (PAD, UNK) else tag for tag in self.tags]
        rows = zip(paths, batch["n_tokens"], strict=True)
        return [[names[i] for i in path] + ["O"] * (n - len(path)) for path, n in rows]

    def marginals(self, batch: dict[str, Any], view: str = "main") -> list[list[float | None]]:
        """Return the probability of each tag on the best path."""
        rows = path_marginals(self._decoder(), self.trace(batch).emissions, batch["mask"])
        return of_words(rows, batch["n_tokens"])

    def _decoder(self) -> LinearChainCRF:
        return without_orphans(self.crf, self.tags) if self.options.constrain_bio else self.crf

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return `vision`, `fusion`, `crf`, `head` (the rest), without frozen and dead tensors.

        The first steps move all weights of a sum the same way; at one rate they can saturate the
        tanh over 512 image channels for good. Small corpora want smaller `vision`, `fusion` rates.
        """
        of_module = dict.fromkeys(("visual_attention", "fusion", "filtration"), "fusion")
        of_module |= {"project_image": "vision", "crf": "crf"}
        groups: dict[str, list[nn.Parameter]] = {"head": [], "vision": [], "fusion": [], "crf": []}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                module = "head" if name.startswith("filtration.output") else name.partition(".")[0]
                groups[of_module.get(module, "head")].append(parameter)
        return groups


def _vectors(options: Options) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the words and vectors of the options' file."""
    path = Path(options.word_vectors)
    return read_word_vectors(path, options.word_dim, limit=options.max_vector_words)


@torch.no_grad()
def without_orphans(crf: LinearChainCRF, tags: Sequence[str]) -> LinearChainCRF:
    """Return a copy of a CRF in which no path has an `I-X` without its beginning.

    Args:
        crf: trained without constraints; it is not changed.
        tags: the tag of each of its K states; others than B, I and O are never constrained.
    """
    constrained = copy.deepcopy(crf)
    for to, tag in enumerate(tags):
        prefix, entity_type = split_tag(tag)
        if prefix != "I":
            continue
        constrained.start_transitions[to] = -torch.inf
        for origin, before in enumerate(tags):
            if before not in (f"B-{entity_type}", f"I-{entity_type}"):
                constrained.transitions[origin, to] = -torch.inf
    return constrained
