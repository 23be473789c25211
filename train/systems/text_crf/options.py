"""Options of text_crf, checked when they are made."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Options:
    """What can be chosen about the system."""

    dropout: float = 0.1
    """Dropout on the channels of the word vectors."""
    word_dropout: float = 0.0
    """Share of words whose whole vector is zeroed in training, without rescaling."""
    tag_scheme: Literal["bio", "bioes"] = "bio"
    """The tags the CRF works with; in and out it is BIO."""
    crf_init: Literal["uniform", "normal"] = "uniform"
    """Initial transitions: uniform in +-0.1, or standard normal."""
    empty_word: Literal["unk", "zero"] = "unk"
    """Vector of a word without pieces: that of the `unk` piece, or `zero`."""
    max_subwords: int = 512
    """Longest input with special pieces; longer tweets are read in overlapping windows."""

    def __post_init__(self) -> None:
        for name in ("dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a number in [0, 1), got {getattr(self, name)}")
