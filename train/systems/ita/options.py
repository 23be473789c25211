"""Options of ITA, checked when they are made."""

from dataclasses import dataclass, field
from typing import Any, Literal, Self

from extract.words.image_text import ContextOptions

EXTRA_STATES = ("<unk>", "S-X")
"""States of the released code's CRF that no gold tag uses: unknown tags, and image words."""


@dataclass(frozen=True)
class Options:
    """What can be chosen about the system."""

    context: ContextOptions = field(default_factory=ContextOptions)
    """How the words of the image are chosen and joined."""
    cva: bool = True
    """Train both views with cross-view alignment; false trains the mm view alone."""
    cva_temperature: float = 2.0
    """T, which flattens both posteriors. The paper's runs: 2 (Twitter-2017), 4 (others)."""
    cva_rate: float = 0.5
    """r, the weight of the alignment against the likelihood."""
    cva_weighting: Literal["ita", "adaseq"] = "ita"
    """`ita`: (NLL_text + (1 - r) NLL_mm + r CVA) / 2, and (NLL_text + NLL_mm) / 2 for a tweet
    without image words. `adaseq`: r (NLL_mm + NLL_text) + (1 - r) CVA."""
    dropout: float = 0.0
    """Dropout on the channels of the word vectors."""
    word_dropout: float = 0.1
    """Share of words whose whole vector is zeroed in training, without rescaling."""
    tag_scheme: Literal["bio", "bioes"] = "bioes"
    """The tags the CRF works with; in and out it is BIO."""
    crf_init: Literal["uniform", "normal"] = "uniform"
    """Initial transitions: uniform in +-0.1, or standard normal as in the paper's code, which a
    few hundred tweets do not unlearn."""
    empty_word: Literal["unk", "zero"] = "unk"
    """Vector of a word without pieces: that of the `unk` piece, or `zero` (released code)."""
    extra_states: tuple[str, ...] = ()
    """States of the CRF beside the tags, `<unk>` and `S-X`; released code has both. They enter
    the partition function, and one that is decoded counts as an entity of type `<unk>` or `X`."""
    crf_constrained: bool = False
    """Give moves that the tag scheme forbids (`O` to `I-X`, ...) a first score of -10000, in
    training and in decoding. No gradient reaches it; weight decay would wear it off. Released
    code forbids none."""
    word_dropout_shared: bool = False
    """Drop the same word positions in all sentences of a batch, as released code does, whose
    batches are single sentences; false draws for each word."""
    cva_schedule: Literal["paired", "interleaved"] = "paired"
    """`paired`: the text pass serves likelihood and alignment. `interleaved` (released code): the
    views are samples of their own, and the alignment has a second text pass with dropout of its
    own."""
    cva_teacher_eval: bool = False
    """Compute the teacher's posteriors without dropout, in a further pass; released code does
    not."""

    def __post_init__(self) -> None:
        for name in ("dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a number in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.cva_rate <= 1:
            raise ValueError(f"cva_rate: expected a number in [0, 1], got {self.cva_rate}")
        if self.cva_temperature <= 0:
            raise ValueError(f"cva_temperature: expected more than 0, got {self.cva_temperature}")
        known = set(self.extra_states) <= set(EXTRA_STATES)
        if not known or len(set(self.extra_states)) != len(self.extra_states):
            expected = ", ".join(EXTRA_STATES)
            raise ValueError(f"extra_states: expected {expected}, got {self.extra_states}")
        if self.cva_schedule == "interleaved" and self.cva_weighting == "adaseq":
            raise ValueError("cva_weighting 'adaseq' is of one step: set cva_schedule to 'paired'")

    @classmethod
    def upstream(cls, **changes: Any) -> Self:
        """Return the options of the released code.

        The temperature is that of Twitter-2017; Twitter-2015 and SNAP have 4. A changed `context`
        replaces the whole of it, the single separator included.
        """
        exact = {
            "context": ContextOptions(use=("captions", "objects", "ocr"), separator="single"),
            "crf_init": "normal",
            "empty_word": "zero",
            "extra_states": EXTRA_STATES,
            "word_dropout_shared": True,
            "cva_schedule": "interleaved",
        }
        return cls(**{**exact, **changes})
