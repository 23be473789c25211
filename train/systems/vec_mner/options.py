"""Options of VEC-MNER, checked when they are made."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from train.systems.vec_mner.picture_tokens import PictureKind


@dataclass(frozen=True)
class Options:
    """Everything that shapes VEC-MNER; defaults are the published values where they are known."""

    max_pieces: int = 40
    """Longest row of word pieces, [CLS] and [SEP] included; words beyond it are tagged `O`."""
    pad_to_max: bool = False
    """Pad every row to `max_pieces` instead of the batch's longest (released code)."""
    image_px: int = 224
    """Side of the whole image in the store `image`."""
    n_crops: int = 3
    """Grounding crops of an image, best first; 0 needs no store `crops`."""
    crop_px: int = 128
    """Side of the grounding crops."""
    n_detector_crops: int = 3
    """Crops of detected objects, best first; 0 needs no store `detector_crops`."""
    detector_px: int = 64
    """Side of the detector's crops."""
    dropout: float = 0.1
    """On the text states before the linear layer."""
    embed_noise_alpha: float = 5.0
    """Strength of the uniform noise on both embeddings in training; 0 adds none."""
    contrastive_weight: float = 1.0
    """Of the contrastive loss beside the CRF's; 0 leaves it out."""
    gate: Literal["sigmoid", "softmax", "none"] = "sigmoid"
    """Of the correlation-aware module: `sigmoid` (the paper's figure, and 74.89 F1 by a comment in
    the released config) or `softmax` over positions (released code, 74.85). `none` is the ablation
    without this module: text reads the keys of the pictures as they are, as in IFAformer."""
    interaction: Literal["align_and_fuse", "fuse", "align"] = "align_and_fuse"
    """Ablations: `fuse` is without the aligning layer, which fuses as those above it; `align` is
    without fusing layers, above the aligning one the streams are apart (both our definition)."""
    soft_pool: Literal["standard", "cross_position"] = "standard"
    """Its third pooling: SoftPool's definition, or what SoftPool's non-CUDA code computes."""
    visual_score_bias: float = 0.0
    """Added to the scores of picture positions in text layers; 1 in released code, where a mask of
    ones is added instead of being converted (inherited from DeepKE's IFAformer)."""
    mask_text_padding: bool = True
    """Keep pictures and the contrastive loss off padding; released code does not."""
    mask_missing_crops: bool = True
    """Keep attention, gate and contrastive loss off pictures that are missing; released code
    attends to pictures of zeros."""
    pos_init: Literal["clip", "normal"] = "clip"
    """Start of the position tables: CLIP's own, resized to each grid, or standard normal (released
    code, which does not use CLIP's table)."""
    logit_scale: Literal["raw_frozen", "exp_learned"] = "raw_frozen"
    """Of the contrastive loss: the constant ln(1 / 0.07) itself (what released code amounts to), or
    CLIP's form, its learned exponential, at most 100."""
    special_tag_pred: Literal["outside", "forbid", "entity"] = "outside"
    """A [CLS] or [SEP] decoded at a word is `O`; or `forbid` it in decoding; or it is an `entity`
    of its own type, as seqeval counts it (released code)."""
    continuation: Literal["repeat", "inside"] = "repeat"
    """Training tag of the later pieces of a word tagged `B-X`: `B-X` again (released code) or
    `I-X`."""
    empty_word: Literal["unk", "drop"] = "unk"
    """A word without pieces is read as the `unk` piece, or not at all and tagged `O` (released
    code)."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a value is out of range.
        """
        if self.max_pieces < 3:
            raise ValueError(f"max_pieces must be at least 3, got {self.max_pieces}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        for name in ("n_crops", "n_detector_crops", "embed_noise_alpha", "contrastive_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("image_px", "crop_px", "detector_px"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @classmethod
    def upstream(cls, **changes: Any) -> Self:
        """Return the options of the released code."""
        released = {
            "pad_to_max": True,
            "gate": "softmax",
            "soft_pool": "cross_position",
            "visual_score_bias": 1.0,
            "mask_text_padding": False,
            "mask_missing_crops": False,
            "pos_init": "normal",
            "logit_scale": "raw_frozen",
            "special_tag_pred": "entity",
            "continuation": "repeat",
            "empty_word": "drop",
        }
        return cls(**{**released, **changes})

    def picture_kinds(self) -> list[PictureKind]:
        """Return what the picture sequence is made of, in its order; names are roles."""
        kinds = [
            PictureKind("image", 1, self.image_px),
            PictureKind("crops", self.n_crops, self.crop_px),
            PictureKind("detector_crops", self.n_detector_crops, self.detector_px),
        ]
        return [kind for kind in kinds if kind.number]
