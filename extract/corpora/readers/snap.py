"""SNAP (Lu et al. 2018, unfiltered); some papers call it Twitter-17, but its splits are larger."""

from extract.corpora.readers.conll_imgid import SPLIT_FILES, iter_samples

CITATION = "Lu et al. 2018, Visual Attention Model for Name Tagging in Multimodal Social Media, ACL"
LICENCE = "No licence is stated; tweets remain their authors'. For research."
# Entity counts of this copy are not published; tweets and tokens as RpBERT's README lists them.
EXPECTED = {
    "train": {"tweets": 4290, "tokens": 68655},
    "valid": {"tweets": 1432, "tokens": 22872},
    "test": {"tweets": 1459, "tokens": 23051},
}

__all__ = ["CITATION", "EXPECTED", "LICENCE", "SPLIT_FILES", "iter_samples"]
