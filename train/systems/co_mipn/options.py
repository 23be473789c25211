"""Options of Co-MIPN, checked when they are made."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from train.systems.co_mipn.prompt_attention import BRANCHES
from train.systems.co_mipn.text_branches import UNGATED


@dataclass(frozen=True)
class Options:
    """What can be chosen about Co-MIPN; widths come from the pretrained networks."""

    max_pieces: int = 192
    """L, longest text in pieces with both special ones, a multiple of 8: every four pieces have a
    query row in each image. Words beyond it are tagged `O`."""
    prompt_len: int = 12
    """Key and value rows that CLIP gives for an image (`--prompt_len`)."""
    prompt_hidden: int = 1000
    """Width between the two layers of the CLIP prompts."""
    contrastive_dim: int = 256
    """Width of the space of the contrastive loss (`--embed_dim`)."""
    contrastive_weight: float = 0.2
    """Share of the contrastive loss, when there is one; the rest is the CRF's."""
    temperature: float = 0.179
    """Where the learned temperature of the contrastive loss starts."""
    dropout: float = 0.1
    """Dropout before the emissions; inside the encoders their configs decide."""
    contrastive: Literal["shared", "albert_isolated", "off"] = "shared"
    """Text side of the contrastive loss: the `shared` text encoder, which the tags depend on too,
    or the released code's separate encoder (role `sentence`), which they do not: it can change no
    tag."""
    contrastive_normalized: bool = True
    """Compare directions in the contrastive loss; released code compares raw scalar
    products."""
    sentence_pieces: Literal["own", "encoder"] = "own"
    """What the separate encoder of `albert_isolated` reads: pieces of its `own` tokenizer, or
    (released code) the ids of the text `encoder`, which mean something else to it."""
    train_all_heads: bool = True
    """Train the similarity projections, the branch gate and the contrastive heads; the optimizer
    of released code leaves them at their random start."""
    mask_padding: bool = True
    """Keep all attention off padding; released code attends to it. Without it every text is padded
    to `max_pieces`, and its tags depend on that number."""
    similarity: Literal["all_pairs", "index", "off"] = "all_pairs"
    """A patch is weighted by its most similar piece, or (released code) by the piece with its
    own number. With `mask_padding`, `index` silences all patches beyond the text: do not combine.
    `off` is the ablation without dynamic similarity: all patches weigh 1."""
    branches: tuple[Literal["memory", "query", "prefix", "query_prefix"], ...] = tuple(BRANCHES)
    """Ablation: the text encoders to have, by what the image is to them."""
    prompt_head_layout: Literal["split", "raw"] = "split"
    """Heads take slices of each prompt row, or (released code, from HVPNeT) a raw reshape in
    which each head sees one image only. Released weights need `raw`. With `split`, text position p
    asks with query row p: up to `max_pieces` / 4 pieces it is the whole image that asks."""
    clip_normalisation: Literal["clip", "imagenet"] = "clip"
    """Pixel statistics for CLIP; released code gives it ImageNet's, which are DINO's."""
    mask_missing: bool = True
    """Keep attention and the contrastive loss off missing images and crops; released code
    encodes a uniform image in their place."""
    branch_gate: Literal["sigmoid", "raw"] = "sigmoid"
    """Scores of the gate: through a sigmoid before the softmax (released code; no branch can
    get less than 0.155 or more than 0.577), or `raw`."""
    empty_word: Literal["unk", "drop"] = "unk"
    """A word without pieces becomes the `unk` piece, or (released code) is left out and tagged
    `O`."""
    word_labels: Literal["tags", "any"] = "tags"
    """What may be decoded at a first piece: `tags` only, or `any` label (released code), where
    a special one is read as `O`."""
    unused_tensors: bool = False
    """Keep, frozen, the tensors that released checkpoints hold and nothing reads."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a value is out of range.
        """
        for name in ("prompt_len", "prompt_hidden", "contrastive_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_pieces < 8 or self.max_pieces % 8:
            raise ValueError(f"max_pieces must be a multiple of 8, got {self.max_pieces}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a number in [0, 1), got {self.dropout}")
        if not 0 <= self.contrastive_weight < 1:
            raise ValueError(
                f"contrastive_weight: expected a number in [0, 1), got {self.contrastive_weight}"
            )
        if not set(self.branches) - {UNGATED}:
            raise ValueError(f"branches: expected one besides {UNGATED}, got {self.branches}")
        if self.temperature <= 0:
            raise ValueError(f"temperature: expected more than 0, got {self.temperature}")

    @classmethod
    def upstream(cls, **changes: Any) -> Self:
        """Return the options of Co-MIPN's released code, error by error."""
        off = ("contrastive_normalized", "train_all_heads", "mask_padding", "mask_missing")
        exact = dict.fromkeys(off, False)
        exact |= {"contrastive": "albert_isolated", "sentence_pieces": "encoder"}
        exact |= {"similarity": "index", "prompt_head_layout": "raw"}
        exact |= {"clip_normalisation": "imagenet", "empty_word": "drop", "word_labels": "any"}
        exact |= {"unused_tensors": True}
        return cls(**{**exact, **changes})
