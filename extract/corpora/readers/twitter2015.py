"""Twitter-2015, in the copy that the UMT repository distributes (`jefferyYu/UMT`)."""

from extract.corpora.readers.conll_imgid import SPLIT_FILES, iter_samples

CITATION = (
    "Zhang et al. 2018, Adaptive Co-attention Network for Named Entity Recognition in Tweets, AAAI"
)
LICENCE = "No licence is stated; tweets remain their authors'. For research."
EXPECTED = {
    "train": {"tweets": 4000, "tokens": 64439, "entities": 6352},
    "valid": {"tweets": 1000, "tokens": 16178, "entities": 1594},
    "test": {"tweets": 3257, "tokens": 52822, "entities": 5207},
}

__all__ = ["CITATION", "EXPECTED", "LICENCE", "SPLIT_FILES", "iter_samples"]
