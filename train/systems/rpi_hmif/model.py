"""RPI-HMIF: a question mines text and image, then routing fuses what was mined, token by token.

"How People Read? Reading Preference-Inspired Multimodal NER with Heterogeneous Mining and Iterative
Fusion Engine", Information Fusion, 2025. Each docstring says where a part comes from: *published*
(description and figure), *from released code* (an earlier state of the model, not the published
one), or *our reconstruction*. The paper's own equations were not available.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from extract.core.errors import ConfigError, DataError
from train.blocks.path_marginals import piece_marginals
from train.blocks.piece_tags import PieceTags, outside
from train.blocks.pooled_contrast import PooledContrast
from train.blocks.tag_head import TagHead
from train.blocks.text_encoder import load_text_model, position_limit
from train.blocks.vision_tower import load_vision_tower, save_vision_assets
from train.blocks.visual_sequence import Pictures, VisualSequence
from train.data.examples import Example, ModelOutput
from train.data.pieces import PieceTable
from train.data.pixels import pixel_batch
from train.systems import base
from train.systems.rpi_hmif.fusion_engine import (
    Fused,
    FusionEngine,
    RoutingMeter,
    RoutingPass,
)
from train.systems.rpi_hmif.information_mining import InformationMining
from train.systems.rpi_hmif.options import Options
from train.systems.rpi_hmif.prefix_encoder import PrefixEncoder
from train.systems.rpi_hmif.question_encoder import (
    QuestionEncoder,
    build_questions,
    encode_questions,
)

logger = logging.getLogger(__name__)

VERSION = 1


@dataclass
class Trace:
    """What the model computes on the way to its emissions."""

    text: Tensor
    """H_T, shape (B, L, D)."""
    visual: Tensor
    """H_V, shape (B, M, D)."""
    visual_mask: Tensor
    """shape: (B, M), bool."""
    question: Tensor | None
    """H_Q, shape (1, Q, D)."""
    mined_text: Tensor
    """TF, shape (B, L, D)."""
    mined_visual: Tensor | None
    """VF, shape (B, L, D); None when the image is not mined."""
    weights: Tensor | None
    """c of the last pass, shape (B, L, 2), text first; None without routing."""
    passes: list[RoutingPass]
    """One state a routing pass."""
    fused: Tensor
    """Z, shape (B, L, D)."""
    emissions: Tensor
    """shape: (B, L, K)"""


class Model(base.TaggingModel):
    """Reading-preference-inspired mining and iterative fusion.

    Tags stand on word pieces, a word's tag on each of its pieces; a word is tagged as its first.

    Raises:
        ConfigError: the networks are not a BERT and a CLIP tower, the encoder has too few
            positions, or the question is too long.
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
        self.tags = PieceTags(vocabulary["entity_types"])
        self.pieces = PieceTable(weights["encoder"], empty_word=options.empty_word)
        self.backbone = _load_backbone(options, weights, pretrained)
        self.dim, self.heads = self.backbone.dim, self.backbone.encoder.config.num_attention_heads
        self.question = self._build_question(vocabulary["entity_types"])
        self.mining = InformationMining(
            *(self.dim, self.heads, options.him),
            n_text=options.max_pieces,
            n_question=None if self.question is None else self.question.length,
            n_visual=self.backbone.sequence.length,
            dropout=options.dropout,
        )
        fuses = options.iffe.enabled and options.him.visual
        size = self.dim, self.heads
        self.fusion = FusionEngine(*size, options.iffe, dropout=options.dropout) if fuses else None
        self.meter = RoutingMeter()
        n_tags = len(self.tags.names)
        self.head = TagHead(
            self.dim, n_tags, dropout=options.dropout, word_dropout=0.0, crf_init="uniform"
        )
        contrasts = options.contrastive_weight > 0
        self.contrast = PooledContrast(*[self.dim] * 2, scale="exp_learned") if contrasts else None

    def _build_question(self, entity_types: Sequence[str]) -> QuestionEncoder | None:
        """Return the encoder of the question, where one is asked."""
        options = self.options.question
        texts = build_questions(options, entity_types) if self.options.him.enabled else []
        if not texts:
            return None
        width = options.max_pieces - options.prompt_len
        ids, mask = encode_questions(self.pieces, texts, width)
        return QuestionEncoder(self.backbone.encoder, ids, mask, options)

    @classmethod
    def required_features(cls, options: Options) -> dict[str, str]:
        """Return the stores of pixels that are looked at."""
        if not options.use_image:
            return {}
        needed = {
            "crops": f"pixels of grounding crops, {options.crop_px} px",
            "detector_crops": f"pixels of detector crops, {options.detector_crop_px} px",
        }
        if options.use_whole_image:
            side = "the side that the vision tower is made for (224 px for CLIP ViT-B/32)"
            needed["image"] = f"pixels of the whole image, {side}"
        return needed

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return pieces, pictures with their masks, and tag ids when all samples are tagged.

        Raises:
            DataError: a sample has no token, or a tag that training did not have.
            ShapeError: a store holds pictures of another size.
        """
        options, samples = self.options, [example.sample for example in examples]
        for sample in samples:
            if not sample.tokens:
                raise DataError(f"sample {sample.id}: no token. Remove it from the split.")
        # A token mixer has a weight for each position, so rows are as long as it expects.
        mixes = options.him.align == "token_mix" or not options.him.enabled
        pieces = self.pieces.encode(
            [sample.tokens for sample in samples],
            max_pieces=options.max_pieces,
            pad_to=options.max_pieces if mixes else None,
        )
        return {
            "input_ids": pieces.input_ids,
            "mask": pieces.attention_mask,
            "first_piece": pieces.first_piece,
            "n_tokens": [len(sample.tokens) for sample in samples],
            "tags": self.tags.encode(samples, pieces),
            "pictures": self._pictures(examples),
        }

    def _pictures(self, examples: Sequence[Example]) -> Pictures:
        """Return the pictures of each kind; without `use_image` none is there."""
        options = self.options
        kinds = [
            ("crops", options.crops, options.crop_px),
            ("detector_crops", options.crops, options.detector_crop_px),
        ]
        if options.use_whole_image:
            kinds.insert(0, ("image", 1, self.backbone.vision.config.image_size))
        if options.use_image:
            found = [pixel_batch(examples, *kind) for kind in kinds]
        else:
            shapes = [(len(examples), number, 3, side, side) for _, number, side in kinds]
            found = [(torch.zeros(s), torch.zeros(s[:2], dtype=torch.bool)) for s in shapes]
        images, present = zip(*found, strict=True)
        return Pictures(images, present)

    def trace(self, batch: dict[str, Any]) -> Trace:
        """Return the emissions of a batch with everything on the way to them."""
        mask = batch["mask"]
        text, visual, visual_mask = self.backbone(batch["input_ids"], mask, batch["pictures"])
        question = None if self.question is None else self.question(self.backbone.encoder)
        mined_text, mined_visual = self.mining((text, mask), question, (visual, visual_mask))
        fused = self._fuse(mined_text, mined_visual, mask)
        return Trace(
            *(text, visual, visual_mask, question and question[0], mined_text, mined_visual),
            *(fused.weights, fused.passes, fused.states),
            emissions=self.head(fused.states),
        )

    def _fuse(self, mined_text: Tensor, mined_visual: Tensor | None, mask: Tensor) -> Fused:
        """Return one vector a token from what was mined."""
        if self.fusion is not None:
            return self.fusion(mined_text, mined_visual, mask)
        if mined_visual is None or self.options.iffe.off_mode == "text":
            return Fused(mined_text, None, [])
        return Fused((mined_text + mined_visual) / 2, None, [])

    def forward(self, batch: dict[str, Any]) -> ModelOutput:
        """Return the mean negative log-likelihood of the gold tags, and emissions of the pieces.

        Emissions (B, L, K) and mask (B, L) are over word pieces, the two special ones included.
        """
        trace, mask = self.trace(batch), batch["mask"]
        if batch["tags"] is None:
            return ModelOutput(None, trace.emissions, mask)
        parts = {"crf": self.head.crf.nll(trace.emissions, batch["tags"], mask).mean()}
        if self.contrast is not None:
            seen = trace.visual_mask.any(dim=1)
            pairs = (trace.mined_text, mask, trace.visual, trace.visual_mask)
            contrast = self.contrast(*(tensor[seen] for tensor in pairs))
            parts["contrastive"] = self.options.contrastive_weight * contrast
        return ModelOutput(sum(parts.values()), trace.emissions, mask, parts)

    @torch.no_grad()
    def decode(self, batch: dict[str, Any], view: str = "main") -> list[list[str]]:
        """Return the tag of each word's first piece; `O` for words without one."""
        if view not in self.views:
            raise ConfigError(f"view: expected one of {', '.join(self.views)}, got {view!r}")
        trace, mask = self.trace(batch), batch["mask"]
        if trace.weights is not None:
            self.meter.add(trace.weights, mask)
        paths, _ = self.head.crf.viterbi(trace.emissions, mask)
        rows = zip(paths, batch["first_piece"].tolist(), batch["n_tokens"], strict=True)
        return [outside(self.tags.of_words(path, first[:n])) for path, first, n in rows]

    def marginals(self, batch: dict[str, Any], view: str = "main") -> list[list[float | None]]:
        """Return the probability of the tag on each word's first piece; None for words not read."""
        return piece_marginals(self.head.crf, self.trace(batch).emissions, batch)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation; first log what routing did in an evaluation."""
        if (found := self.meter.pop()) is not None:
            mean, spread = found
            logger.info("routing: share of text %.3f, sd over tokens %.3f", mean, spread)
            if not 0.02 <= mean <= 0.98:
                logger.warning(
                    "routing has collapsed onto one stream (share of text %.4f): fewer iterations "
                    "or agreement_scale 'inv_sqrt_d' keep it open",
                    mean,
                )
        return super().train(mode)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return `encoder`, `vision`, `question` (its BERT), `prompts` (and their MLP), `him`,
        `fusion` (IFFE with its decoder), `head` and `crf`, by module; see published.yaml."""
        question, joining = self.question, self.backbone.joining_parameters()
        of_group: dict[str, list[nn.Module | nn.Parameter | None]] = {
            "encoder": [self.backbone.encoder],
            "vision": [self.backbone.vision, self.backbone.sequence],
            "question": [question and question.bert],
            "prompts": question.prompt_parameters() if question else [],
            "him": [self.mining, *joining],
            "fusion": [self.fusion, self.contrast],
            "head": [self.head.linear],
            "crf": [self.head.crf],
        }
        return {
            name: [parameter for owner in owners for parameter in _parameters(owner)]
            for name, owners in of_group.items()
        }

    def save_assets(self, folder: Path) -> None:
        """Write config and tokenizer of the encoder, and the config of the tower."""
        (folder / "encoder").mkdir(parents=True, exist_ok=True)
        self.backbone.encoder.config.save_pretrained(folder / "encoder")
        self.pieces.save_assets(folder / "encoder")
        save_vision_assets(self.backbone.vision, folder / "vision")


def _load_backbone(
    options: Options, weights: Mapping[str, Path], pretrained: bool
) -> PrefixEncoder:
    """Return both networks; those without weights to load are built from their configs."""
    from transformers import CLIPVisionModel

    encoder = load_text_model(weights["encoder"], pretrained=pretrained)
    longest, limit = max(options.max_pieces, options.question.max_pieces), position_limit(encoder)
    if longest > limit:
        raise ConfigError(f"max_pieces: the encoder reads at most {limit} pieces, got {longest}.")
    vision = load_vision_tower(weights["vision"], pretrained=pretrained)
    if not isinstance(vision, CLIPVisionModel):
        raise ConfigError(f"weights.vision: expected a CLIP tower, got {type(vision).__name__}.")
    kinds = [(options.crops, side) for side in (options.crop_px, options.detector_crop_px)]
    return PrefixEncoder(
        encoder,
        vision,
        VisualSequence(vision, whole=options.use_whole_image, crops=kinds),
        exchange=options.backbone == "hybrid",
        noise=options.neftune_alpha,
    )


def _parameters(owner: nn.Module | nn.Parameter | None) -> list[nn.Parameter]:
    """Return the trainable parameters of a module, or the parameter itself."""
    is_module = isinstance(owner, nn.Module)
    found = owner.parameters() if is_module else [owner] if owner is not None else []
    return [parameter for parameter in found if parameter.requires_grad]
