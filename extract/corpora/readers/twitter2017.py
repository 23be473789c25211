"""Twitter-2017, in the copy that the UMT repository distributes (`jefferyYu/UMT`)."""

from extract.corpora.readers.conll_imgid import SPLIT_FILES, iter_samples

CITATION = (
    "Lu et al. 2018, Visual Attention Model for Name Tagging in Multimodal Social "
    "Media, ACL; split of Yu et al. 2020, Improving Multimodal Named Entity "
    "Recognition via Entity Span Detection with Unified Multimodal Transformer, ACL"
)
LICENCE = "No licence is stated; tweets remain their authors'. For research."
EXPECTED = {
    "train": {"tweets": 3373, "tokens": 53007, "entities": 6049},
    "valid": {"tweets": 723, "tokens": 11309, "entities": 1324},
    "test": {"tweets": 723, "tokens": 11330, "entities": 1351},
}

__all__ = ["CITATION", "EXPECTED", "LICENCE", "SPLIT_FILES", "iter_samples"]
