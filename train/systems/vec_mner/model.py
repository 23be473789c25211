"""VEC-MNER: a BERT and a CLIP tower whose layers read each other's keys and values.

Whole image, grounding crops and detector crops form one sequence of patches beside the tweet's word
pieces. A CRF tags the pieces; a contrastive loss pulls tweet and pictures together.

Wei et al. 2024, VEC-MNER: Hybrid Transformer with Visual-Enhanced Cross-Modal Multi-level
Interaction for Multimodal NER, ICMR. The default is the published model with the errors of its
released code (wpfnlp/VEC-MNER) repaired; `Options.upstream()` is that code, error by error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from extract.core.errors import ConfigError, DataError
from train.blocks.crf import LinearChainCRF
from train.blocks.path_marginals import piece_marginals
from train.blocks.piece_tags import PieceTags, as_entities, outside
from train.blocks.pooled_contrast import PooledContrast
from train.blocks.text_encoder import load_text_model, position_limit
from train.blocks.two_stream import add_uniform_noise, text_layers, vision_layers
from train.blocks.vision_tower import load_vision_tower
from train.blocks.visual_sequence import Pictures
from train.data.examples import Example, ModelOutput
from train.data.pieces import PieceTable
from train.data.pixels import pixel_batch
from train.systems.base import TaggingModel
from train.systems.vec_mner.hybrid_stack import HybridStack
from train.systems.vec_mner.options import Options
from train.systems.vec_mner.picture_tokens import PictureTokens

VERSION = 1


@dataclass
class Trace:
    """What VEC-MNER computes on the way to its loss; L pieces, M picture positions, K tags."""

    pictures: Tensor
    """shape: (B, M, D'), embeddings after the tower's first layer norm."""
    picture_mask: Tensor
    """shape: (B, M), bool, positions that show something or hold the class token."""
    text: list[Tensor]
    """Embeddings and then the states after each layer, shape (B, L, D)."""
    vision: Tensor | None
    """shape: (B, M, D'), final picture states, if they were asked for."""
    emissions: Tensor
    """shape: (B, L, K), float32 under autocast."""


class Model(TaggingModel):
    """Hybrid of a BERT-type encoder and a CLIP tower, tagging word pieces with a CRF.

    Raises:
        ConfigError: a checkpoint of another architecture, more pieces than the encoder has
            positions for, or pictures that the tower cannot cut into patches.
    """

    VERSION = VERSION
    roles = ("encoder", "vision")

    def __init__(
        self,
        options: Options,
        vocabulary: dict[str, Any],
        weights: Mapping[str, Path],
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.options = options
        self.tags = PieceTags(vocabulary["entity_types"], options.continuation)
        self.pieces = PieceTable(weights["encoder"], empty_word=options.empty_word)
        encoder = load_text_model(Path(weights["encoder"]), pretrained=pretrained)
        tower = load_vision_tower(weights["vision"], pretrained=pretrained)
        self._build_streams(encoder, tower)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(encoder.config.hidden_size, len(self.tags.names))
        self.crf = LinearChainCRF(len(self.tags.names))

    def _build_streams(self, encoder: nn.Module, tower: nn.Module) -> None:
        """Take over what is used of the two pretrained networks."""
        options = self.options
        text_layers(encoder), vision_layers(tower)  # other architectures are refused here
        if options.max_pieces > position_limit(encoder):
            raise ConfigError(
                f"max_pieces: the encoder reads at most {position_limit(encoder)} pieces, got "
                f"{options.max_pieces}."
            )
        self._configs = encoder.config, tower.config
        self.text_embeddings = encoder.embeddings
        self.pictures = PictureTokens(tower, options.picture_kinds(), positions=options.pos_init)
        self.stack = HybridStack(
            encoder,
            tower,
            self.pictures.length,
            gate=options.gate,
            pooling=options.soft_pool,
            visual_score_bias=options.visual_score_bias,
            reads_vision=options.contrastive_weight > 0,
            interaction=options.interaction,
        )
        self.picture_norm = tower.pre_layrnorm
        widths = encoder.config.hidden_size, tower.config.hidden_size
        self.contrast = PooledContrast(*widths, scale=options.logit_scale)
        self.contrast.requires_grad_(options.contrastive_weight > 0)

    @classmethod
    def required_features(cls, options: Options) -> dict[str, str]:
        """Return the pixel stores in use."""
        return {
            kind.name: f"pixels, {kind.size_px} px squares, the first {kind.number} of an image"
            for kind in options.picture_kinds()
        }

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return pieces with their alignment, pictures with their masks, and tag ids or None.

        Raises:
            DataError: a sample has no token, or a tag that training did not have.
            ShapeError: a store holds squares of another size than the options say.
        """
        options = self.options
        samples = [example.sample for example in examples]
        for sample in samples:
            if not sample.tokens:
                raise DataError(f"sample {sample.id}: no token. Remove it from the split.")
        pieces = self.pieces.encode(
            [sample.tokens for sample in samples],
            max_pieces=options.max_pieces,
            pad_to=options.max_pieces if options.pad_to_max else None,
        )
        stacks = [
            pixel_batch(examples, kind.name, kind.number, kind.size_px)
            for kind in self.pictures.kinds
        ]
        return {
            "input_ids": pieces.input_ids,
            "mask": pieces.attention_mask,
            "is_word": pieces.word_of_piece >= 0,
            "first_piece": pieces.first_piece,
            "n_tokens": [len(sample.tokens) for sample in samples],
            "tag_ids": self.tags.encode(samples, pieces),
            "images": [images for images, _ in stacks],
            "present": [present for _, present in stacks],
        }

    def trace(self, batch: dict[str, Any], *, finish_vision: bool = True) -> Trace:
        """Return the emissions of a batch with everything on the way to them.

        Args:
            batch: of `collate`.
            finish_vision: False leaves out what only the contrastive loss needs.
        """
        options, mask = self.options, batch["mask"]
        alpha = options.embed_noise_alpha if self.training else 0.0
        text = self.text_embeddings(input_ids=batch["input_ids"])
        text = add_uniform_noise(text, alpha, options.max_pieces)
        tokens, shown = self.pictures(Pictures(tuple(batch["images"]), tuple(batch["present"])))
        pictures = self.picture_norm(add_uniform_noise(tokens, alpha, self.pictures.length))
        if not options.mask_missing_crops:
            shown = torch.ones_like(shown)
        states = self.stack(
            text,
            pictures,
            text_mask=mask,
            seen_text=self._seen_text(batch),
            vision_mask=shown,
            finish_vision=finish_vision,
        )
        # The CRF gets float32 even under bfloat16 autocast.
        with torch.autocast(mask.device.type, enabled=False):
            emissions = self.head(self.dropout(states.text[-1].to(self.head.weight.dtype)))
        return Trace(pictures, shown, [text, *states.text], states.vision, emissions)

    def forward(self, batch: dict[str, Any]) -> ModelOutput:
        """Return the mean CRF loss plus the weighted contrastive loss, and emissions of pieces."""
        mask, weight = batch["mask"], self.options.contrastive_weight
        has_gold = batch["tag_ids"] is not None
        trace = self.trace(batch, finish_vision=has_gold and weight > 0)
        if not has_gold:
            return ModelOutput(None, trace.emissions, mask)
        parts = {"crf": self.crf.nll(trace.emissions, batch["tag_ids"], mask).mean()}
        if weight:
            parts["contrastive"] = weight * self.contrastive_loss(trace, batch)
        return ModelOutput(sum(parts.values()), trace.emissions, mask, parts)

    def contrastive_loss(self, trace: Trace, batch: dict[str, Any]) -> Tensor:
        """Return the contrastive loss; samples without any picture take no part, if masked."""
        kept = torch.ones_like(batch["mask"][:, 0])
        if self.options.mask_missing_crops:
            kept = torch.cat(batch["present"], dim=1).any(dim=1)
        pairs = (trace.text[-1], self._seen_text(batch), trace.vision, trace.picture_mask)
        return self.contrast(*(tensor[kept] for tensor in pairs))

    def _seen_text(self, batch: dict[str, Any]) -> Tensor:
        """Return the pieces that pictures and the contrastive loss look at. # shape: (B, L)"""
        mask = batch["mask"]
        return mask if self.options.mask_text_padding else torch.ones_like(mask)

    @torch.no_grad()
    def decode(self, batch: dict[str, Any], view: str = "main") -> list[list[str]]:
        """Return the tag of each word's first piece on the best path; `O` for words not read."""
        if view not in self.views:
            raise ConfigError(f"view: expected one of {', '.join(self.views)}, got {view!r}")
        paths, _ = self.crf.viterbi(self._decodable(batch), batch["mask"])
        read = as_entities if self.options.special_tag_pred == "entity" else outside
        rows = zip(paths, batch["first_piece"].tolist(), batch["n_tokens"], strict=True)
        return [read(self.tags.of_words(path, first[:n_tokens])) for path, first, n_tokens in rows]

    def marginals(self, batch: dict[str, Any], view: str = "main") -> list[list[float | None]]:
        """Return the probability of the tag on each word's first piece; None for words not read."""
        return piece_marginals(self.crf, self._decodable(batch), batch)

    def _decodable(self, batch: dict[str, Any]) -> Tensor:
        """Return emissions with what decoding must not choose at -inf. # shape: (B, L, K)"""
        emissions = self.trace(batch, finish_vision=False).emissions
        if self.options.special_tag_pred != "forbid":
            return emissions
        hidden = torch.zeros_like(emissions, dtype=torch.bool)
        hidden[..., self.tags.special_ids] = batch["is_word"].unsqueeze(2)
        return emissions.masked_fill(hidden, -torch.inf)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return `encoder` and `vision` (what was pretrained), `fusion`, `head`, `crf`.

        `fusion` is the gate, the position tables and, where they exist, projections between
        unequal streams and a learned logit scale. The published rates are in
        workflow/config/published.yaml.
        """
        groups: dict[str, list[nn.Parameter]] = {
            name: [] for name in ("encoder", "vision", "fusion", "head", "crf")
        }
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                groups[_group(name)].append(parameter)
        return groups

    def save_assets(self, folder: Path) -> None:
        """Write the encoder's config and tokenizer, and the tower's config."""
        encoder_config, vision_config = self._configs
        self.pieces.save_assets(folder / "encoder")
        encoder_config.save_pretrained(folder / "encoder")
        vision_config.save_pretrained(folder / "vision")


_GROUPS = {
    "text_embeddings.": "encoder",
    "stack.text.": "encoder",
    "stack.vision.": "vision",
    "picture_norm.": "vision",
    "pictures.class_embedding": "vision",
    "pictures.patch_embedding.": "vision",
    "head.": "head",
    "crf.": "crf",
}
"""Start of a parameter's name -> group; the others are `fusion`."""


def _group(name: str) -> str:
    return next((group for start, group in _GROUPS.items() if name.startswith(start)), "fusion")
