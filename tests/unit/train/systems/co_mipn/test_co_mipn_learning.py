"""Co-MIPN trained: from stores through the loop to a run folder, and types told by images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from extract.store import FeatureWriter, Header, StoredItem
from extract.tables.rows import STATUS, ItemFeatures, Outputs
from extract.tables.samples import Sample, write_samples
from tests.builders.train.co_mipn_tiny import PRESETS, SIZE, SIZES, write_checkpoints
from train.data.examples import Example, FeatureSource, read_tagged, without_tags
from train.measures.metrics import micro_counts
from train.systems.co_mipn.model import Model
from train.training.loop import FitJob, fit
from train.training.optim import build_optimizer
from train.training.recipe import Recipe
from train.training.run_folder.checkpoint import load_run
from train.training.run_spec import RunSpec

COLOURS = {"PER": (200, 30, 30), "LOC": (30, 30, 200)}
N_PIXELS = SIZE * SIZE * 3


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_encoder):
    return write_checkpoints(tmp_path_factory.mktemp("co_mipn"), tiny_encoder("bert"))


def square(kind: str, seed: int) -> np.ndarray:
    """Return a noisy square of the colour that tells the type, one flat row."""
    noise = np.random.default_rng(seed).integers(-25, 26, (SIZE, SIZE, 3))
    return (np.array(COLOURS[kind]) + noise).clip(0, 255).astype(np.uint8).reshape(-1)


def told(number: int) -> tuple[Sample, str]:
    """Return a tweet of the same words for every type; only its image differs."""
    kind = ("PER", "LOC")[number % 2]
    words = ["see", "Oakland", "tonight", "dog"][: 3 + number // 2 % 2]
    tags = ["O", f"B-{kind}", "O", "O"][: len(words)]
    return Sample(f"s{number}", f"i{number}", words, tags), kind


def write_store(path: Path, rows_of: dict[str, np.ndarray]) -> Path:
    """Write a store of squares: image id -> rows, none for a missing image."""
    header = Header(
        "f" * 64,
        Outputs(feature_dim=N_PIXELS, feature_dtype="uint8", item_shape=(SIZE, SIZE, 3)),
        tuple(rows_of),
        tuple("0" * 64 for _ in rows_of),
        np.full((len(rows_of), 2), SIZE, np.int32),
        "image",
    )
    writer = FeatureWriter(path.with_suffix(".partial"), header)
    items = [
        ItemFeatures(features=rows)
        if len(rows)
        else ItemFeatures(features=rows, status=STATUS["missing"], reason="gone")
        for rows in rows_of.values()
    ]
    writer.append(items)
    writer.finish(path, {})
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Return a folder with samples and both stores; an image and some crops are missing."""
    root = tmp_path_factory.mktemp("corpus")
    whole, crops = {}, {}
    for split, numbers in {"train": range(8), "valid": range(8, 12)}.items():
        samples = []
        for number in numbers:
            sample, kind = told(number)
            samples.append(sample)
            n_whole, n_crops = int(number != 3), number % 4
            rows = np.stack([square(kind, 10 * number + k) for k in range(4)])
            whole[sample.image_id], crops[sample.image_id] = rows[:n_whole], rows[4 - n_crops :]
        write_samples(root / f"{split}.jsonl", samples)
    write_store(root / "image.h5", whole)
    write_store(root / "crops.h5", crops)
    return root


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("variant", ["main", "blank"])
def test_fit_from_stores_to_a_run_folder(folders, corpus, tmp_path, preset, variant):
    stores = {role: corpus / f"{role}.h5" for role in ("image", "crops")}
    options = PRESETS[preset](**SIZES)
    spec = RunSpec(
        run="r",
        system="co_mipn",
        variant=variant,
        options=vars(options),
        recipe=Recipe(epochs=1, batch_size=4, lr={"default": 1e-3}),
    )
    weights = {role: folders[role] for role in Model.roles_for(options)}
    job = FitJob(spec, corpus, tmp_path / "run", 1, stores=stores, weights=weights, device="cpu")
    fit(job)
    model, info = load_run(tmp_path / "run")
    assert info.n_parameters == sum(p.numel() for p in model.parameters())
    with FeatureSource(stores, variant) as source:
        batch = model.collate(list(source.join(without_tags(read_tagged(corpus / "valid.jsonl")))))
    assert batch["present"].any() == (variant == "main")
    assert [len(tags) for tags in model.decode(batch, "main")] == [3, 3, 4, 4]


@pytest.mark.parametrize("preset", PRESETS)
def test_types_told_by_the_image_are_learned(folders, preset):
    torch.manual_seed(0)
    model = Model(PRESETS[preset](**SIZES), {"entity_types": ["PER", "LOC"]}, folders)
    group = []
    for number in range(8):
        sample, kind = told(number)
        item = StoredItem(STATUS["ok"], features=square(kind, number)[None])
        group.append(Example(sample, {"image": item, "crops": item}))
    optimizer = build_optimizer(model, Recipe(lr={"default": 3e-3}))
    batch = model.collate(group)
    model.train()
    for _ in range(40):
        optimizer.zero_grad()
        model(batch).loss.backward()
        optimizer.step()
    model.eval()
    gold = [example.sample.tags for example in group]
    assert micro_counts(gold, model.decode(batch, "main")).f1 == 100
