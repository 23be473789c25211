"""Tiny ITA models, four tweets with captions, and a small CRF whose numbers are known."""

import torch

from extract.store import StoredItem
from extract.tables.rows import STATUS
from extract.tables.samples import Sample
from train.blocks.crf import LinearChainCRF
from train.data.examples import Example
from train.systems.ita.model import Model
from train.systems.ita.options import Options

VOCABULARY = {"entity_types": ["PER", "LOC"]}
SENTENCES = [
    ("Kevin Durant plays in Oakland tonight", "B-PER I-PER O O B-LOC O", "a man in the stadium"),
    ("the dog", "O O", None),
    ("Justin Bieber at New York", "B-PER I-PER O B-LOC I-LOC", "a crowd near the building"),
    ("New", "B-LOC", "a street with a car and a tree and a sign"),
]


def caption(text):
    if text is None:
        return StoredItem(status=STATUS["missing"], reason="no file")
    return StoredItem(status=STATUS["ok"], text=(text,))


def examples(context=True, labelled=True):
    """Return four tweets; the second has no image words."""
    return [
        Example(
            Sample(str(i), "img", text.split(), tags.split() if labelled else None),
            {"captions": caption(words if context else None)},
        )
        for i, (text, tags, words) in enumerate(SENTENCES)
    ]


def build(folder, seed=0, **options):
    torch.manual_seed(seed)
    return Model(Options(**options), VOCABULARY, {"encoder": folder}, True)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return [
        parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None
    ]


GOLDEN_TEXT = [[1.0, 0.0, -0.5], [0.2, 0.7, 0.1], [-0.3, 0.4, 0.9]]
GOLDEN_MM = [[0.8, 0.3, -0.2], [-0.4, 1.5, 0.0], [-0.6, 0.1, 1.6]]


def golden_crf() -> LinearChainCRF:
    """Return the CRF of the golden example: three tags, float64."""
    crf = LinearChainCRF(3).double()
    exact = {"dtype": torch.float64}
    crf.start_transitions.data = torch.tensor([0.5, -0.2, -1.0], **exact)
    crf.end_transitions.data = torch.tensor([0.1, 0.0, -0.3], **exact)
    rows = [[0.4, 0.3, -0.9], [-0.1, -0.5, 0.8], [0.2, -0.4, 0.6]]
    crf.transitions.data = torch.tensor(rows, **exact)
    return crf
