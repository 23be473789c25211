"""A tagging system of a few hundred parameters with two views, dropout, image and statistics."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from extract.core import registry
from extract.store import FeatureWriter, Header
from extract.tables.rows import STATUS, ItemFeatures, Outputs
from extract.tables.samples import Sample, write_samples
from extract.tables.tags import tag_set
from train.data.examples import Example, ModelOutput
from train.systems import base
from train.systems.base import length_mask

IMAGE_DIM = 3


@dataclass(frozen=True)
class Options:
    """Options of the test system."""

    dim: int = 8
    dropout: float = 0.3
    use_image: bool = False
    tie: bool = False


class Model(base.TaggingModel):
    """Word table + mean image row -> linear -> softmax per token."""

    views = ("mm", "text")

    def __init__(
        self,
        options: Options,
        vocabulary: dict[str, Any],
        weights: Mapping[str, Path] | None = None,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.options = options
        self.words = {word: index for index, word in enumerate(vocabulary["words"], start=1)}
        self.tags = tag_set(vocabulary["entity_types"])
        self.table = nn.Embedding(len(self.words) + 1, options.dim)
        self.image = nn.Linear(IMAGE_DIM, options.dim, bias=False)
        self.norm = nn.LayerNorm(options.dim)
        self.linear = nn.Linear(options.dim, len(self.tags))
        self.dropout = nn.Dropout(options.dropout)
        self.register_buffer("mean", torch.zeros(IMAGE_DIM))
        if options.tie:
            self.twin = nn.Embedding(len(self.words) + 1, options.dim)
            self.twin.weight = self.table.weight

    @classmethod
    def required_features(cls, options: Options) -> dict[str, str]:
        return {"grid": "any rows of 3 channels"} if options.use_image else {}

    @classmethod
    def build_vocabulary(
        cls, options: Options, samples: Sequence[Sample], entity_types: Sequence[str]
    ) -> dict[str, Any]:
        words = sorted({token for sample in samples for token in sample.tokens})
        return {"entity_types": list(entity_types), "words": words}

    def fit_statistics(self, examples: Iterable[Example]) -> None:
        rows = [
            torch.from_numpy(example.items["grid"].features).float()
            for example in examples
            if self.options.use_image and example.items["grid"].is_ok
        ]
        if rows:
            self.mean.copy_(torch.cat(rows).mean(0))

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        mask = length_mask([len(example.sample.tokens) for example in examples])
        ids, tags = torch.zeros(mask.shape, dtype=torch.long), torch.full(mask.shape, -100)
        images = torch.zeros(len(examples), IMAGE_DIM)
        for row, example in enumerate(examples):
            tokens = example.sample.tokens
            ids[row, : len(tokens)] = torch.tensor([self.words.get(t, 0) for t in tokens])
            if example.sample.tags is not None:
                gold = [self.tags.index(tag) for tag in example.sample.tags]
                tags[row, : len(tokens)] = torch.tensor(gold)
            if self.options.use_image and example.items["grid"].n_rows:
                images[row] = torch.from_numpy(example.items["grid"].features).float().mean(0)
        has_tags = all(example.sample.tags is not None for example in examples)
        return {"ids": ids, "mask": mask, "images": images, "tags": tags if has_tags else None}

    def _emissions(self, batch: dict[str, Any], view: str) -> torch.Tensor:
        words = self.table(batch["ids"])
        if view == "mm":
            words = words + self.image(batch["images"] - self.mean)[:, None]
        return self.linear(self.dropout(self.norm(words))).float()

    def forward(self, batch: dict[str, Any]) -> ModelOutput:
        emissions = self._emissions(batch, "mm")
        if batch["tags"] is None:
            return ModelOutput(None, emissions, batch["mask"])
        entropy = nn.functional.cross_entropy(
            emissions.transpose(1, 2), batch["tags"], reduction="none"
        )  # shape: (B, W), 0 on padding
        loss = (entropy.sum(1) / batch["mask"].sum(1)).mean()
        return ModelOutput(loss, emissions, batch["mask"], {"nll": loss})

    def decode(self, batch: dict[str, Any], view: str) -> list[list[str]]:
        best = self._emissions(batch, view).argmax(-1).tolist()
        lengths = batch["mask"].sum(1).tolist()
        return [[self.tags[k] for k in row[:n]] for row, n in zip(best, lengths, strict=True)]

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        head = [*self.linear.parameters(), *self.norm.parameters(), *self.image.parameters()]
        return {"encoder": list(self.table.parameters()), "head": head}

    def save_assets(self, folder: Path) -> None:
        (folder / "note.txt").write_text("dummy", encoding="utf-8")


def register() -> Callable[[], None]:
    """Make the system known as `dummy`; return what undoes it."""
    sys.modules["train.systems.dummy"] = sys.modules[__name__]
    original = registry.available
    registry.available = lambda package: (
        (*original(package), "dummy") if package == "train.systems" else original(package)
    )

    def undo() -> None:
        registry.available = original
        sys.modules.pop("train.systems.dummy", None)

    return undo


NAMES = {"PER": ("anna", "bob"), "LOC": ("rome", "oslo")}


def make_samples(split: str, count: int) -> list[Sample]:
    """Return tweets with one or two entities, of different lengths, with two kinds of evidence."""
    samples = []
    for index in range(count):
        entity_type = ("PER", "LOC")[index % 2]
        name = NAMES[entity_type][(index // 2) % 2]
        tokens = ["we", "saw", name, *["again"] * (index % 5)]
        tags = ["O", "O", f"B-{entity_type}", *["O"] * (index % 5)]
        evidence = ("words", "picture")[index % 2]
        samples.append(Sample(f"{split}{index}", f"{split}_{index}.jpg", tokens, tags, evidence))
    return samples


def write_corpus(
    folder: Path,
    *,
    splits: Sequence[str] = ("train", "valid"),
    count: int = 24,
    is_distinct: bool = False,
):
    """Write `<split>.jsonl` files; return the samples by split.

    Tweets of two splits are the same unless `is_distinct`: each then ends with its split's name.
    """
    corpus = {split: make_samples(split, count) for split in splits}
    if is_distinct:
        corpus = {
            split: [replace(s, tokens=[*s.tokens, split], tags=[*s.tags, "O"]) for s in samples]
            for split, samples in corpus.items()
        }
    for split, samples in corpus.items():
        write_samples(folder / f"{split}.jsonl", samples)
    return corpus


def write_store(
    path: Path,
    ids: Sequence[str],
    *,
    fingerprint: str = "f" * 64,
    id_kind: str = "image",
    missing: Sequence[str] = (),
) -> None:
    """Write a store whose item i has two rows filled with i."""
    import numpy as np

    header = Header(
        fingerprint,
        Outputs(feature_dim=IMAGE_DIM, feature_dtype="float32", text=True),
        tuple(ids),
        tuple("0" * 64 for _ in ids),
        np.full((len(ids), 2), 8, np.int32),
        id_kind,
    )
    writer = FeatureWriter(path.with_suffix(".partial"), header)
    results = []
    for index, image_id in enumerate(ids):
        if image_id in missing:
            empty = np.zeros((0, IMAGE_DIM), np.float32)
            results.append(
                ItemFeatures(features=empty, text=[], status=STATUS["missing"], reason="gone")
            )
        else:
            rows = np.full((2, IMAGE_DIM), index, np.float32)
            results.append(ItemFeatures(features=rows, text=["a", image_id]))
    writer.append(results)
    writer.finish(path, {})


def run_commands(*commands: Sequence[str]) -> int:
    """Run `python -m train` with each of the arguments; return the first code that is not 0."""
    from train.__main__ import main

    register()
    return next(filter(None, (main(list(arguments)) for arguments in commands)), 0)
