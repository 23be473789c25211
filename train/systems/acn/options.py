"""Options of ACN, checked when they are made."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from extract.core.options import FilePath


@dataclass(frozen=True)
class Options:
    """Everything that shapes ACN; docs/systems/acn.md says where paper and code differ.

    Sizes default to those of the public PyTorch re-implementation, which follow the paper where
    it states them.
    """

    word_dim: int = 200
    """Width of a word vector, as published."""
    char_dim: int = 30
    """Width of a character vector, as in the re-implementation."""
    filters: int = 32
    """Convolution filters for each width."""
    filter_widths: tuple[int, ...] = (2, 3, 4)
    """Filter widths in characters."""
    char_hidden: int = 100
    """Hidden width of the character encoder; the paper mentions no such layer."""
    char_output: int = 50
    """Width of what the character encoder says of a word."""
    lstm_hidden: int = 100
    """LSTM units in each direction; attention and gates are twice as wide."""
    image_dim: int = 512
    """Channels of a grid cell; 512 for VGG-16, as published."""
    regions: int = 49
    """Cells of the grid; 49 for VGG-16 at 224 px, as published."""
    char_dropout: float = 0.25
    """Dropout inside the character encoder, the only one that the re-implementation has."""
    input_dropout: float = 0.0
    """Dropout on [word ; characters]; not published."""
    state_dropout: float = 0.0
    """Dropout on the BiLSTM states; not published."""
    attention_merge: Literal["concat", "add"] = "concat"
    """`concat`, published, where all words share one attention; or `add`, the evident intention,
    NOT the published model."""
    averaged: tuple[Literal["regions", "words"], ...] = ()
    """Ablation: what is averaged instead of attended to, the image's `regions`, the `words`."""
    fusion_gate: bool = True
    """False is the ablation without gated fusion: image and text count one half each."""
    filtration: Literal["scalar", "vector", "fused-only", "open"] = "scalar"
    """`scalar` (the re-implementation), `vector` (literal reading), `fused-only` (the authors'
    Keras code), or `open`: the ablation without filtration gate, all passes."""
    mask_text_attention: bool = True
    """Keep the textual attention off padding."""
    pack: bool = True
    """Run the BiLSTM over real tokens only."""
    masked_char_max: bool = True
    """Pool characters over what the word alone would produce."""
    zero_pad_rows: bool = True
    """Start the `[pad]` rows of both tables at zero; they never train."""
    char_text: Literal["raw", "normalized"] = "raw"
    """What the character encoder reads: the `raw` token, or its `normalized` form without
    capitals, `#` and `@`."""
    number_test: Literal["full", "prefix"] = "full"
    """A number is a whole token (`full`) or any token that starts like one (`prefix`)."""
    word_vectors: FilePath | None = None
    """Text file, also gzipped, a word and `word_dim` numbers a line; null trains a random
    table."""
    freeze_word_vectors: bool = True
    """Keep the whole table as it starts, when `word_vectors` is given."""
    max_vector_words: int = 0
    """Read only the first so many words of the file; 0 reads all."""
    unknown_words: Literal["unk", "hash"] = "unk"
    """A word not in the vocabulary uses the row of `[unk]`, or (`hash`) a fixed random vector of
    its own spelling."""
    singleton_unk: float = 0.0
    """Probability that a training word seen once and without a vector is read as `[unk]`, so
    that this row learns what unseen words are like."""
    upstream_tags: bool = False
    """Give the CRF the tags `[pad]` and `[unk]`, for checkpoints of the re-implementation."""
    standardize_grid: bool = False
    """Shift and scale each image channel to mean 0 and variance 1 over the training images;
    helps small corpora and untrained vision weights, not published."""
    max_tokens: int = 128
    """Safety cap; tokens beyond it are tagged `O` and stay in the score."""
    max_chars: int = 50
    """Safety cap on the characters of a word."""
    constrain_bio: bool = False
    """Let no decoded `I-X` stand without its beginning; the loss is unchanged."""
    pad_to_caps: bool = False
    """Pad every batch to both caps instead of its own longest sample, as the
    re-implementation does."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a value is out of range.
        """
        for name in ("char_dropout", "input_dropout", "state_dropout", "singleton_unk"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        for name in ("max_tokens", "max_chars", "regions", "lstm_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if min(self.filter_widths, default=0) < 1:
            raise ValueError(f"filter_widths must be 1 or more, got {self.filter_widths}")
        if not self.masked_char_max and self.max_chars < max(self.filter_widths):
            raise ValueError("without masked_char_max, max_chars must hold the widest filter")

    @classmethod
    def upstream(cls, **changes: Any) -> Self:
        """Return the options of the public PyTorch re-implementation, error by error."""
        masks = ("mask_text_attention", "pack", "masked_char_max", "zero_pad_rows")
        exact = dict.fromkeys(masks, False)
        exact |= {"char_text": "normalized", "number_test": "prefix", "upstream_tags": True}
        exact |= {"max_tokens": 35, "max_chars": 30, "pad_to_caps": True}
        return cls(**{**exact, **changes})
