"""What a training of published size reads, of real tweets and random numbers.

Recipes, options and feature sets are those of workflow/config/published.yaml with
twitter2017.yaml. Networks have published sizes and random weights, which a cache folder keeps; all
read BERT's word pieces, XLM-R-large too, whose 250,002 rows of embeddings are all there. Feature
stores hold random rows, and one image in twenty is missing; captions are real where their list lies
beside the text, five an image, of which one is its own.
"""

import math
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from extract.core.digests import file_sha256
from extract.core.options import options_from
from extract.core.registry import load_module
from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.twitter2017 import iter_samples
from extract.networks.checkpoints.reading import quiet_transformers
from extract.networks.random_weights import write_random_weights
from extract.networks.vocabularies import read_vocabulary
from extract.store import FeatureWriter, Header, merge_shards
from extract.tables.caption_lists import read_caption_list
from extract.tables.rows import ATTRIBUTES_PER_ROW, STATUS, ItemFeatures, Outputs, nothing_found
from extract.tables.samples import Sample, write_samples
from train.data.batches import eval_batches
from train.data.word_vectors import normalize_word
from train.training.loop import FitJob
from train.training.recipe import Recipe
from train.training.run_spec import RunSpec

ROOT = Path(__file__).parents[2]
CONFIGS = ("default.yaml", "published.yaml", "twitter2017.yaml")
RUNS = {
    "text_crf": "text_crf_xlmr_large",
    "acn": "acn_vgg16",
    "ita": "ita_xlmr_large",
    "vec_mner": "vec_mner",
    "co_mipn": "co_mipn",
    "rpi_hmif": "rpi_hmif",
}
"""System -> run of the config."""
LAYERS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
BASE, LARGE, TINY = (
    dict(zip(LAYERS, numbers, strict=True))
    for numbers in ((768, 12, 12, 3072), (1024, 24, 16, 4096), (32, 2, 4, 64))
)
ROWS = {"vgg": (49, 49), "caption": (5, 5), "ocr": (0, 12), "regions": (10, 36)}
"""Extractor -> least and most rows of an image that is there; others have one."""
MISSING = 0.05
EVAL_BATCHES = 3
"""At most so many batches from the middle of valid, by length, unless all of it is tagged."""
ITEMS_A_PART = 64


@dataclass(frozen=True)
class Settings:
    """What the arguments of the benchmark say."""

    text: Path
    """Folder with train.txt, valid.txt and, if there is one, captions_blip2.txt."""
    vocab: Path
    """BERT's vocabulary, uncased, one piece a line."""
    cache: Path
    tiny: bool
    """Networks of two layers instead of the published ones."""
    device: str
    precision: str
    steps: int
    """Updates after the first."""
    batch_size: int
    """0 for the recipe's."""
    workers: int
    whole_valid: bool


@dataclass(frozen=True)
class Corpus:
    """The text of Twitter-2017, in a fixed random order, and captions where there are some."""

    train: list[Sample]
    valid: list[Sample]
    captions: dict[str, list[str]]
    """Image id -> captions."""

    @classmethod
    def read(cls, folder: Path) -> "Corpus":
        """Read train.txt, valid.txt and, if it is there, captions_blip2.txt."""
        splits = [list(iter_samples(folder, split, TextSettings())) for split in ("train", "valid")]
        for samples in splits:
            random.Random(1).shuffle(samples)
        captions = folder / "captions_blip2.txt"
        return cls(*splits, read_caption_list(captions) if captions.is_file() else {})

    def texts(self, extractor: str, image_id: str, count: int) -> list[str]:
        """Return captions of an image, its own first, or words as OCR would read them."""
        draw = random.Random(f"{extractor} {image_id}")
        if extractor == "caption" and self.captions:
            others = draw.choices(list(self.captions.values()), k=count)
            own = self.captions.get(image_id, [])
            return [*own, *(captions[0] for captions in others)][:count]
        n_words = 10 if extractor == "caption" else 1
        tweets = (draw.choices(self.train, k=n_words) for _ in range(count))
        return [" ".join(draw.choice(tweet.tokens) for tweet in chosen) for chosen in tweets]


def read_config() -> dict[str, Any]:
    """Return the published config of Twitter-2017, overlays merged."""
    config: dict[str, Any] = {}
    for name in CONFIGS:
        text = (ROOT / "workflow" / "config" / name).read_text(encoding="utf-8")
        config = _overlaid(config, yaml.safe_load(text))
    return config


def _overlaid(base: Any, overlay: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(overlay, dict)):
        return overlay
    return {**base, **{key: _overlaid(base.get(key), value) for key, value in overlay.items()}}


def prepare(system: str, settings: Settings, folder: Path) -> FitJob:
    """Write what a training of one system reads into a folder: samples, stores, checkpoints."""
    config, corpus = read_config(), Corpus.read(settings.text)
    entry = config["models"][RUNS[system]]
    recipe = options_from(Recipe, entry["recipe"], f"{RUNS[system]}.recipe")
    recipe = replace(
        recipe,
        batch_size=settings.batch_size or recipe.batch_size,
        precision=settings.precision,
    )
    splits, epochs = _choose_samples(corpus, recipe, settings)
    for split, samples in splits.items():
        write_samples(folder / f"{split}.jsonl", samples)
    samples = [sample for split in splits.values() for sample in split]
    images = list(dict.fromkeys(sample.image_id for sample in samples))
    features = entry.get("features") or {}
    spec = RunSpec(
        run=RUNS[system],
        system=system,
        options=_with_vectors(entry.get("options") or {}, settings, corpus),
        recipe=replace(recipe, epochs=epochs),
        features=features,
    )
    return FitJob(
        spec=spec,
        samples_dir=folder,
        out=folder / "run",
        seed=1,
        stores={
            role: write_store(name, config["feature_sets"][name], images, corpus, folder)
            for role, name in features.items()
        },
        weights={
            role: write_network(name, settings)
            for role, name in (entry.get("weights") or {}).items()
        },
        device=settings.device,
        workers=settings.workers,
    )


def _choose_samples(
    corpus: Corpus, recipe: Recipe, settings: Settings
) -> tuple[dict[str, list[Sample]], int]:
    """Return the samples of both splits, and in how many epochs the wanted updates are made."""
    updates = settings.steps + 1
    epochs = math.ceil(updates / min(updates, len(corpus.train) // recipe.batch_size))
    train = corpus.train[: math.ceil(updates / epochs) * recipe.batch_size]
    valid = corpus.valid
    if not settings.whole_valid:
        valid = _middle(valid, recipe.eval_batch_size, min(settings.steps, EVAL_BATCHES))
    return {"train": train, "valid": valid}, epochs


def _middle(samples: Sequence[Sample], batch_size: int, count: int) -> list[Sample]:
    """Return the samples of so many batches of middling length."""
    batches = eval_batches(samples, batch_size)
    first = (len(batches) - count) // 2
    return [samples[index] for batch in batches[first : first + count] for index in batch]


def write_network(name: str, settings: Settings) -> Path:
    """Write a checkpoint with random weights, unless the cache has it; return its folder."""
    pieces = file_sha256(settings.vocab)[:8]
    folder = settings.cache / ("tiny" if settings.tiny else "full") / f"{pieces}_filled" / name
    if folder.exists():
        return folder
    size = TINY if settings.tiny else LARGE if name == "xlmr_large" else BASE
    if name == "clip_vitb32":
        images = {"image_size": 224, "patch_size": 32}
        write_random_weights({"kind": "clip", **size, **images}, 1, folder)
        return folder
    partial = folder.with_name(f"{name}.{os.getpid()}.partial")
    torch.manual_seed(1)
    with quiet_transformers():
        network = _build_network(name, size)
        network.save_pretrained(partial)
    if name != "dino_vitb16":
        from transformers import BertTokenizer

        words = settings.vocab.read_text(encoding="utf-8").splitlines()
        # A tokenizer has as many pieces as its network; BERT's stand in for XLM-R's.
        words += [f"[filler{row}]" for row in range(len(words), network.config.vocab_size)]
        vocabulary = {word: row for row, word in enumerate(words)}
        BertTokenizer(vocab=vocabulary).save_pretrained(partial)
    partial.rename(folder)
    return folder


def _build_network(name: str, size: dict[str, int]) -> Any:
    from transformers import BertConfig, BertModel, ViTConfig, ViTModel
    from transformers import XLMRobertaConfig as XLMRConfig
    from transformers import XLMRobertaModel as XLMRModel

    if name == "dino_vitb16":
        return ViTModel(ViTConfig(**size, image_size=224, patch_size=16))
    if name == "bert_base":
        return BertModel(BertConfig(**size, vocab_size=30_522))
    # Padding is BERT's [PAD].
    shape = {"vocab_size": 250_002, "max_position_embeddings": 514, "type_vocab_size": 1}
    return XLMRModel(XLMRConfig(**size, **shape, pad_token_id=0))


def _with_vectors(options: dict[str, Any], settings: Settings, corpus: Corpus) -> dict[str, Any]:
    """Return options that name a file of random word vectors, where they name one at all."""
    if not options.get("word_vectors"):
        return options
    n_words = 5000 if settings.tiny else options["max_vector_words"]
    text = file_sha256(settings.text / "train.txt")[:8]
    path = write_vectors(settings.cache / f"vectors_{n_words}_{text}.txt", n_words, corpus)
    return {**options, "word_vectors": str(path), "max_vector_words": n_words}


def write_vectors(path: Path, n_words: int, corpus: Corpus) -> Path:
    """Write a file of random word vectors, the words of the tweets first; return its path."""
    if path.is_file():
        return path
    rng = np.random.default_rng(1)
    numbers = [" ".join(f"{n:.2f}" for n in rng.normal(0, 0.4, 200)) for _ in range(1000)]
    known = dict.fromkeys(normalize_word(t) for sample in corpus.train for t in sample.tokens)
    words = [*known, *(f"word{number}" for number in range(n_words))][:n_words]
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.writelines(f"{word} {numbers[i % 1000]}\n" for i, word in enumerate(words))
    partial.rename(path)
    return path


def write_store(
    name: str, entry: dict[str, Any], images: Sequence[str], corpus: Corpus, folder: Path
) -> Path:
    """Write a feature set with random rows of the columns that its extractor declares."""
    out, extractor = folder / f"{name}.h5", entry["extractor"]
    module = load_module("extract.extractors", extractor)
    options = options_from(module.Options, entry.get("options") or {}, name)
    outputs = module.Extractor.outputs(options)
    rows = ROWS.get(extractor, (1, 1))
    if extractor == "pixels" and options.of == "crops":
        rows = (0, options.max_crops)
    if extractor == "regions":  # the classes of its detector
        outputs = replace(outputs, labels=read_vocabulary("coco"))
    sizes = np.full((len(images), 2), 224, np.int32)
    header = Header(name, outputs, tuple(images), ("",) * len(images), sizes)
    writer = FeatureWriter(folder / f"{name}.partial", header)
    items = _random_items(extractor, outputs, rows, images, corpus)
    while writer.n_done < len(images):
        writer.append(list(islice(items, ITEMS_A_PART)))
    shard = folder / f"{name}.shard"
    writer.finish(shard, {})
    merge_shards([shard], out)
    shard.unlink()
    return out


def _random_items(
    extractor: str, outputs: Outputs, rows: tuple[int, int], images: Sequence[str], corpus: Corpus
) -> Iterator[ItemFeatures]:
    """Yield an item an image: random rows, none found, or (the same in every store) missing."""
    rng = np.random.default_rng(1)
    for image_id in images:
        n_rows = int(rng.integers(*rows, endpoint=True))
        if random.Random(image_id).random() < MISSING:
            yield replace(nothing_found("no file", outputs), status=STATUS["missing"])
        elif n_rows == 0:
            yield nothing_found("none drawn", outputs)
        else:
            yield _random_item(outputs, corpus.texts(extractor, image_id, n_rows), rng)


def _random_item(outputs: Outputs, texts: Sequence[str], rng: np.random.Generator) -> ItemFeatures:
    """Return one random row a text in each of the columns."""
    n_rows, columns = len(texts), {}
    shape = (n_rows, outputs.feature_dim)
    if outputs.feature_dtype == "uint8" and outputs.feature_dim:
        columns["features"] = rng.integers(0, 256, shape, np.uint8)
    elif outputs.feature_dim:
        columns["features"] = np.abs(rng.standard_normal(shape, np.float32))
    if outputs.boxes:
        corner, side = rng.uniform(0, 100, (n_rows, 2)), rng.uniform(20, 100, (n_rows, 2))
        columns["boxes"] = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
    if outputs.scores:
        columns["scores"] = -np.sort(-rng.uniform(0.1, 1, n_rows).astype(np.float32))
    if outputs.labels:
        columns["labels"] = rng.integers(0, len(outputs.labels), n_rows, np.int32)
    if outputs.attributes:
        of_row = np.arange(ATTRIBUTES_PER_ROW) < rng.integers(0, 4, (n_rows, 1))
        words = rng.integers(0, len(outputs.attributes), of_row.shape, np.int32)
        columns["attributes"] = np.where(of_row, words, -1)
        columns["attribute_scores"] = np.where(of_row, np.float32(0.2), np.float32(np.nan))
    return ItemFeatures(text=list(texts) if outputs.text else None, **columns)
