"""A corpus with captions, objects and text in images, for the tests of the text layouts."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from extract.interop.layouts.base import Corpus
from extract.store import FeatureStore
from extract.tables.rows import ItemFeatures, Outputs
from extract.tables.samples import Sample
from tests.builders.extract.interop_files import image, write_store

SAMPLES = {
    "train": [
        Sample("train-00000", "1", ["Ann", "Lee", "in", "Riga"], ["B-PER", "I-PER", "O", "B-LOC"]),
        Sample("train-00001", "2", ["nothing", "here"], ["O", "O"]),
        # Two entities side by side, and an I- that continues none.
        Sample("train-00002", "3", ["Oslo", "Bonn", "Lee"], ["B-LOC", "B-LOC", "I-PER"]),
    ],
    "valid": [Sample("valid-00000", "1", ["#", "@x", "🙂"], ["O", "O", "O"])],
    "test": [
        # What a reader could take for something else.
        Sample("test-00000", "4", ["<EOS>", "\u00a0", "a<EOS>b", "X"], ["O", "O", "B-MISC", "O"]),
        Sample("test-00001", "2", ["unlabelled"], None),
    ],
}
IMAGES = [image("1"), image("2"), image("3", "missing"), image("4")]
CAPTIONS = {"1": ["a woman , smiling", "two people"], "4": ["<EOS> a sign <EO<EOS>S> that says no"]}
WORDS = {"1": [("EXIT", 0.9), ("blur", 0.1)], "4": [("<EOS>", 0.9), ("NO\u00a0ENTRY", 0.8)]}


def make_corpus(folder: Path, stack: ExitStack) -> Corpus:
    """Write the stores and open them."""
    captions = {
        image_id: ItemFeatures(text=texts, scores=np.full(len(texts), np.nan, np.float32))
        for image_id, texts in CAPTIONS.items()
    }
    ocr = {
        image_id: ItemFeatures(
            text=[word for word, _ in words], scores=np.array([s for _, s in words], np.float32)
        )
        for image_id, words in WORDS.items()
    }
    attributes = np.full((2, 16), -1, np.int32)
    attributes[0, :2] = 1, 0
    attribute_scores = np.where(attributes >= 0, np.float32(0.5), np.nan).astype(np.float32)
    objects = {
        "1": ItemFeatures(
            scores=np.array([0.9, 0.5], np.float32),
            boxes=np.array([[0, 0, 9, 9], [1, 1, 5, 5]], np.float32),
            labels=np.array([1, 0]),
            attributes=attributes,
            attribute_scores=attribute_scores,
        )
    }
    texts = Outputs(text=True, scores=True)
    regions = Outputs(
        boxes=True, scores=True, labels=("hat", "woman"), attributes=("old", "smiling")
    )
    stores = {}
    for role, results, outputs in (
        ("captions", captions, texts),
        ("objects", objects, regions),
        ("ocr", ocr, texts),
    ):
        path = write_store(folder / f"{role}.h5", IMAGES, results, outputs)
        stores[role] = stack.enter_context(FeatureStore(path))
    return Corpus(
        name="twitter2015",
        samples=SAMPLES,
        images={row.image_id: row for row in IMAGES},
        stores=stores,
    )
