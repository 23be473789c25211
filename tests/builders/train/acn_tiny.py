"""Small ACN models in float64, and tweets with stored grids."""

import numpy as np
import torch

from extract.store import StoredItem
from extract.tables.rows import STATUS
from extract.tables.samples import Sample
from train.data.examples import Example
from train.data.word_vectors import PAD, UNK
from train.systems.acn.model import Model
from train.systems.acn.options import Options

TYPES = ["PER", "LOC", "ORG", "MISC"]
SMALL = {
    "word_dim": 12,
    "char_dim": 6,
    "filters": 5,
    "char_hidden": 10,
    "char_output": 7,
    "lstm_hidden": 8,
    "image_dim": 9,
    "regions": 4,
}
TEXT = "RT @bob : Ada Lovelace met Charles Babbage in London , 1833 #maths http://t.co/x"
GOLD = "O O O B-PER I-PER O B-PER I-PER O B-LOC O O O O"
WORDS, TAGS = TEXT.split(), GOLD.split()


def numbered_vocabulary(n_words: int, n_chars: int) -> dict:
    return {
        "entity_types": TYPES,
        "words": [PAD, UNK, *(f"w{i}" for i in range(n_words - 2))],
        "chars": [PAD, UNK, *(chr(0x4E00 + i) for i in range(n_chars - 2))],
        "singletons": [],
    }


def example(number: int, n_tokens: int, *, regions=4, channels=9, ok=True, tagged=True) -> Example:
    """Return a sample of the first words, turned by its number, with a random image."""
    turned = list(range(number % 3, number % 3 + n_tokens))
    sample = Sample(
        id=f"s{number}",
        image_id=f"i{number}",
        tokens=[WORDS[i % len(WORDS)] for i in turned],
        tags=[TAGS[i % len(TAGS)] for i in turned] if tagged else None,
    )
    rng = np.random.default_rng(number)
    grid = rng.random((regions, channels)).astype(np.float16) if ok else None
    status = STATUS["ok"] if ok else STATUS["missing"]
    return Example(sample, {"grid": StoredItem(status, "" if ok else "gone", grid)})


def examples(*sizes: int, **changes) -> list[Example]:
    return [example(number, size, **changes) for number, size in enumerate(sizes)]


def small_model(**changes) -> Model:
    """Return a small model in float64, eval mode, with weights large enough to matter."""
    torch.manual_seed(0)
    preset = Options.upstream if changes.pop("upstream", False) else Options
    options = preset(**{**SMALL, **changes})
    samples = [e.sample for e in examples(14, 14, 14)]
    model = Model(options, Model.build_vocabulary(options, samples, TYPES)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


def double(batch: dict) -> dict:
    return {**batch, "image": batch["image"].double()}
