"""Options of RPI-HMIF, checked when they are made."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from train.systems.rpi_hmif.fusion_engine import FusionOptions
from train.systems.rpi_hmif.information_mining import MiningOptions
from train.systems.rpi_hmif.question_encoder import QuestionOptions


@dataclass(frozen=True)
class Options:
    """Everything that shapes RPI-HMIF; the names of the groups are those of its ablations."""

    question: QuestionOptions = field(default_factory=QuestionOptions)
    """The question that guides the mining."""
    him: MiningOptions = field(default_factory=MiningOptions)
    """Heterogeneous information mining."""
    iffe: FusionOptions = field(default_factory=FusionOptions)
    """Iterative feature fusion engine."""
    backbone: Literal["hybrid", "independent"] = "hybrid"
    """`hybrid`: each layer of BERT and CLIP reads the other's keys and values (from released
    code); `independent`: plain BERT and plain CLIP (published figure)."""
    use_image: bool = True
    """False hides every visual position and reads no store; what is left is text alone."""
    use_whole_image: bool = True
    """Whole image and crops (published figure), or false: crops only (released code)."""
    crops: int = 3
    """Crops of each kind, best first (from released code)."""
    crop_px: int = 128
    """Side of a grounding crop in px (from released code)."""
    detector_crop_px: int = 64
    """Side of a detector crop in px (from released code)."""
    max_pieces: int = 40
    """L, longest row of word pieces, special ones included (from released code); words beyond it
    are tagged O and stay in the score."""
    empty_word: Literal["unk", "drop"] = "unk"
    """A word without pieces is read as the `unk` piece, or not at all and tagged O (released
    code)."""
    dropout: float = 0.1
    """Before the output layer, and inside the mining and decoding blocks (from released code)."""
    neftune_alpha: float = 5.0
    """Uniform noise on both embeddings in training, +-alpha / sqrt(length * D) (from released
    code); 0 for none."""
    contrastive_weight: float = 0.0
    """Of a symmetric image-text loss on max-pooled features (released code of a sister system);
    the released code of this one has no such loss, the publication names none."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a number in [0, 1), got {self.dropout}")
        for name in ("neftune_alpha", "contrastive_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name, least in (("max_pieces", 3), ("crops", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.contrastive_weight and not (self.use_image and self.him.visual):
            raise ValueError("contrastive_weight needs use_image and him.visual")

    @classmethod
    def upstream(cls, **changes: Any) -> Self:
        """Return the options nearest to the released code.

        Its errors stay repaired: masks, image-to-text attention, prompts, squash at 0.

        Args:
            changes: options; `question`, `him` and `iffe` may be mappings of what differs.
        """
        preset = cls(
            question=QuestionOptions(text=""),
            iffe=FusionOptions(agreement_scale="one"),
            use_whole_image=False,
            empty_word="drop",
        )
        for name, value in changes.items():
            if isinstance(value, Mapping):
                changes[name] = replace(getattr(preset, name), **value)
        return replace(preset, **changes)
