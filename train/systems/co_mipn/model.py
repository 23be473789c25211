"""Co-MIPN: four BERTs that attend with and to image prompts, mixed by a gate, and a CRF on pieces.

CLIP's states of all levels become key and value prompts; DINO's patches, weighted by their
similarity to the text, become query, key and value prompts; image and text are also drawn together
by a contrastive loss. The default is the repaired model; `Options.upstream()` is the released code
of Co-MIPN ("Cross-modal guided interactive entity recognition network via contrastive aggregation
and dynamic similarity"), error by error. Data and training scheme go back to Chen et al. 2022,
HVPNeT.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from extract.core.errors import ConfigError
from extract.networks.pixels import IMAGENET_MEAN, IMAGENET_STD
from train.blocks.crf import LinearChainCRF
from train.blocks.paired_contrast import PairedContrast
from train.blocks.path_marginals import piece_marginals
from train.blocks.special_labels import SpecialLabels, as_tags
from train.blocks.text_encoder import TextEncoder
from train.blocks.vision_tower import save_vision_assets
from train.data.examples import Example, ModelOutput
from train.data.pieces import PieceTable
from train.data.pixels import pixel_batch
from train.systems.base import TaggingModel
from train.systems.co_mipn.options import Options
from train.systems.co_mipn.prompt_towers import N_IMAGES, ImagePrompts, PromptTowers, TowerOptions
from train.systems.co_mipn.sentence_reader import SentenceReader, read_states
from train.systems.co_mipn.text_branches import (
    BranchStates,
    TextBranches,
    prompts_by_branch,
)

VERSION = 1


@dataclass
class Trace:
    """What Co-MIPN computes on the way to its emissions; T pieces, H channels."""

    prompts: ImagePrompts
    text_cls: Tensor
    """shape: (B, H), first state of the text encoder."""
    branches: BranchStates
    emissions: Tensor
    """shape: (B, T, K)"""


class Model(TaggingModel):
    """Co-MIPN. Its positions are word pieces, T of them, with both special ones.

    The role `sentence` is only read with the contrastive loss `albert_isolated`.

    Raises:
        ConfigError: the options do not fit the networks, or the networks each other.
    """

    VERSION = VERSION
    roles = ("encoder", "vision", "dino", "sentence")

    def __init__(
        self,
        options: Options,
        vocabulary: dict[str, Any],
        weights: Mapping[str, Path],
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.options = options
        self.labels = SpecialLabels(vocabulary["entity_types"])
        self.table = PieceTable(weights["encoder"], empty_word=options.empty_word)
        self.text = TextEncoder(weights["encoder"], pretrained=pretrained)
        self.sentence: SentenceReader | None = None
        if options.contrastive == "albert_isolated":
            own_pieces = options.sentence_pieces == "own"
            self.sentence = SentenceReader(
                weights["sentence"], pretrained=pretrained, own_pieces=own_pieces
            )
        self._check_positions()
        config = self.text.model.config
        self.images = PromptTowers(
            TowerOptions(**{f.name: getattr(options, f.name) for f in fields(TowerOptions)}),
            clip=weights["vision"],
            dino=weights["dino"],
            pretrained=pretrained,
            n_heads=config.num_attention_heads,
            n_layers=config.num_hidden_layers,
            dim=self.text.dim,
        )
        self.images.freeze_unread(options.branches)
        self.branches = TextBranches(
            self.text.model,
            squash=options.branch_gate == "sigmoid",
            keep_unused=options.unused_tensors,
            names=options.branches,
        )
        self.dropout = nn.Dropout(options.dropout)
        self.output = nn.Linear(self.text.dim, len(self.labels.names))
        self.crf = LinearChainCRF(len(self.labels.names))
        self._build_contrast()
        if options.unused_tensors:
            self._build_unused()
        if not options.train_all_heads:
            for head in self._late_heads():
                head.requires_grad_(False)

    def _check_positions(self) -> None:
        """See that the text encoders can read `max_pieces` pieces."""
        readers = {"encoder": self.text}
        if self.sentence is not None and self.options.sentence_pieces == "encoder":
            readers["sentence"] = self.sentence.encoder
        for role, reader in readers.items():
            if self.options.max_pieces > reader.max_subwords:
                raise ConfigError(
                    f"max_pieces: {role} reads at most {reader.max_subwords} pieces, "
                    f"got {self.options.max_pieces}."
                )

    def _build_contrast(self) -> None:
        options = self.options
        self.contrast: PairedContrast | None = None
        if options.contrastive != "off":
            self.contrast = PairedContrast(
                vision_dim=self.images.clip.config.hidden_size,
                text_dim=(self.sentence or self.text).dim,
                dim=options.contrastive_dim,
                temperature=options.temperature,
                normalized=options.contrastive_normalized,
            )

    def _build_unused(self) -> None:
        """Make the tensors of released checkpoints that nothing reads."""
        dim, dino = self.text.dim, self.images.dino
        sizes = {name: (dim, dim) for name in ("bert1", "bert2", "bert3", "bert4", "bert")}
        sizes["dino"] = (dino.config.hidden_size, dino.config.hidden_size)
        if self.sentence is not None:
            sizes["sentence"] = (self.sentence.dim, self.sentence.dim)
        self.unused = nn.ModuleDict(
            {f"{name}_pooler": nn.Linear(*size) for name, size in sizes.items()}
        )
        self.unused["dim1"] = nn.Linear(self.images.n_dino_tokens, self.options.max_pieces)
        self.unused.requires_grad_(False)

    def _late_heads(self) -> list[nn.Module]:
        """Return the modules that the released code's optimizer misses."""
        heads = [self.images.similarity, self.branches.gate, self.contrast]
        return [head for head in heads if head is not None]

    @classmethod
    def roles_for(cls, options: Options) -> tuple[str, ...]:
        """Return all roles, `sentence` only where its loss is asked for."""
        is_separate = options.contrastive == "albert_isolated"
        return cls.roles if is_separate else cls.roles[:-1]

    @classmethod
    def required_features(cls, options: Options) -> dict[str, str]:
        """Return the two stores of pixels."""
        squares = "squares of pixels as large as the image towers read them"
        return {"image": f"the whole image: {squares}", "crops": f"crops, best first: {squares}"}

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return pieces, images and, when all samples are tagged, a label for each piece.

        Raises:
            DataError: a tag that training did not have.
            ShapeError: a store holds squares of another size than the towers read.
        """
        options, samples = self.options, [example.sample for example in examples]
        sentences = [sample.tokens for sample in samples]
        pieces = self.table.encode(
            sentences,
            max_pieces=options.max_pieces,
            pad_to=None if options.mask_padding else options.max_pieces,
        )
        size_px = self.images.size_px
        whole = pixel_batch(examples, "image", 1, size_px, IMAGENET_MEAN, IMAGENET_STD)
        crops = pixel_batch(examples, "crops", N_IMAGES - 1, size_px, IMAGENET_MEAN, IMAGENET_STD)
        images, present = (torch.cat(pair, dim=1) for pair in zip(whole, crops, strict=True))
        return {
            "input_ids": pieces.input_ids,
            "mask": pieces.attention_mask,
            "first_piece": pieces.first_piece,
            "n_tokens": [len(sentence) for sentence in sentences],
            "labels": self.labels.encode(samples, pieces),
            "images": images,
            "present": present,
            "sentence": None if self.sentence is None else self.sentence.collate(sentences, pieces),
        }

    def trace(self, batch: dict[str, Any]) -> Trace:
        """Return the emissions of a batch with everything on the way to them."""
        ids, mask = batch["input_ids"], batch["mask"]
        text_mask = mask if self.options.mask_padding else None
        states = read_states(self.text, ids, text_mask)
        images = batch["images"].to(self.output.weight.dtype)
        prompts = self.images(images, batch["present"], states, mask)
        branches = self.branches(ids, prompts_by_branch(prompts), text_mask=text_mask)
        # The CRF gets float32 even under bfloat16 autocast.
        with torch.autocast(states.device.type, enabled=False):
            emissions = self.output(self.dropout(branches.mixture))
        return Trace(prompts, states[:, 0], branches, emissions)

    def forward(self, batch: dict[str, Any]) -> ModelOutput:
        """Return both losses, weighted, and the emissions of the pieces."""
        trace, labels = self.trace(batch), batch["labels"]
        if labels is None:
            return ModelOutput(None, trace.emissions, batch["mask"])
        nll = self.crf.nll(trace.emissions, labels, batch["mask"]).mean()
        parts = {"nll": nll}
        if self.contrast is not None:
            share = self.options.contrastive_weight
            contrast = self.contrastive_loss(batch, trace)
            parts = {"nll": (1 - share) * nll, "contrastive": share * contrast}
        return ModelOutput(sum(parts.values()), trace.emissions, batch["mask"], parts)

    def contrastive_loss(self, batch: dict[str, Any], trace: Trace) -> Tensor:
        """Return the contrastive loss of a batch, not weighted; a scalar."""
        text = trace.text_cls
        if self.sentence is not None:
            text = self.sentence(**batch["sentence"], mask_padding=self.options.mask_padding)
        present = batch["present"][:, 0]
        if not self.options.mask_missing:
            present = torch.ones_like(present)
        return self.contrast(trace.prompts.vision_cls, text, present)

    @torch.no_grad()
    def word_labels(self, batch: dict[str, Any]) -> list[list[str | None]]:
        """Return the label of each word's first piece, a special one too; None for unread words."""
        paths, _ = self.crf.viterbi(self._decodable(batch), batch["mask"])
        words = self.labels.of_words(paths, batch["first_piece"])
        return [labels[:n] for labels, n in zip(words, batch["n_tokens"], strict=True)]

    def marginals(self, batch: dict[str, Any], view: str = "main") -> list[list[float | None]]:
        """Return the probability of the label at each first piece; None for unread words."""
        return piece_marginals(self.crf, self._decodable(batch), batch)

    def _decodable(self, batch: dict[str, Any]) -> Tensor:
        """Return the emissions; they forbid all but tags at first pieces if the options do."""
        emissions, first_piece = self.trace(batch).emissions, batch["first_piece"]
        if self.options.word_labels != "tags":
            return emissions
        is_first = torch.zeros(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        rows, words = torch.nonzero(first_piece >= 0, as_tuple=True)
        is_first[rows, first_piece[rows, words]] = True
        is_special = torch.zeros(emissions.shape[2], dtype=torch.bool, device=emissions.device)
        is_special[self.labels.special_ids()] = True
        return emissions.masked_fill(is_first.unsqueeze(2) & is_special, -torch.inf)

    def decode(self, batch: dict[str, Any], view: str) -> list[list[str]]:
        """Return one BIO tag for each token; the only view is `main`."""
        if view not in self.views:
            raise ConfigError(f"view: expected one of {self.views}, got {view!r}")
        return [as_tags(labels) for labels in self.word_labels(batch)]

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return `encoder` (all text encoders), `fusion` (prompts, similarity, gate, contrast),
        `head` and `crf`.

        With `unused_tensors`, `encoder` lists frozen tensors too, as the released code's
        optimizer does.
        """
        unused = getattr(self, "unused", {})
        poolers = [pooler for name, pooler in unused.items() if name.startswith(("bert", "sent"))]
        modules = {
            "encoder": [self.text, self.branches.encoders, self.sentence, *poolers],
            "fusion": [self.images.level_prompts, self.images.gated_prompts],
            "head": [self.output],
            "crf": [self.crf],
        }
        if self.options.train_all_heads:
            modules["fusion"] += self._late_heads()
        return {
            name: [p for module in members if module is not None for p in module.parameters()]
            for name, members in modules.items()
        }

    def save_assets(self, folder: Path) -> None:
        """Write configs and tokenizers of the pretrained networks."""
        self.text.save_assets(folder / "encoder")
        save_vision_assets(self.images.clip, folder / "vision")
        save_vision_assets(self.images.dino, folder / "dino")
        if self.sentence is not None:
            self.sentence.encoder.save_assets(folder / "sentence")
