"""VEC-MNER learns: text and pictures by heart, what only the picture tells, in the real loop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

from extract.store import FeatureWriter, Header
from extract.tables.rows import STATUS, ItemFeatures, Outputs
from extract.tables.samples import Sample
from tests.builders.train.dummy_system import write_corpus
from tests.builders.train.published_recipes import published_recipe
from tests.builders.train.vec_mner_reference import VOCABULARY, write_checkpoints
from train.data.examples import FeatureSource
from train.measures.metrics import micro_counts
from train.systems.vec_mner.model import Model
from train.systems.vec_mner.options import Options
from train.training.loop import FitJob, fit
from train.training.run_folder.checkpoint import load_run
from train.training.run_spec import RunSpec

OPTIONS = {"max_pieces": 14, "dropout": 0.0, "embed_noise_alpha": 0.0}
STEPS = 200
BACKBONE, HEADS, CLIP = 1e-3, 5e-2, 1.0


def batch_of(
    words: list[list[int]], tags: list[list[int]], images: torch.Tensor, with_crops: bool = True
) -> dict:
    """Return a batch of sentences given as piece ids; every word is one piece."""
    n, width = len(words), max(map(len, words)) + 2
    ids, labels = torch.zeros((2, n, width), dtype=torch.int64).unbind(0)
    first = torch.full((n, width - 2), -1)
    for row, (pieces, of_words) in enumerate(zip(words, tags, strict=True)):
        ids[row, : len(pieces) + 2] = torch.tensor([2, *pieces, 3])
        labels[row, : len(pieces) + 2] = torch.tensor([0, *of_words, 10])
        first[row, : len(pieces)] = torch.arange(1, len(pieces) + 1)
    mask = ids > 0
    lengths = mask.sum(1, keepdim=True)
    places = torch.arange(width)
    crops = [torch.randn(n, 3, 3, 128, 128), torch.randn(n, 3, 3, 64, 64)] if with_crops else []
    whole = images.unsqueeze(1)
    return {
        "input_ids": ids,
        "mask": mask,
        "is_word": (places > 0) & (places < lengths - 1),
        "first_piece": first,
        "n_tokens": [len(pieces) for pieces in words],
        "tag_ids": labels,
        "images": [whole, *crops],
        "present": [torch.ones((n, i.shape[1]), dtype=torch.bool) for i in (whole, *crops)],
    }


@pytest.fixture
def model(request, tiny_encoder, tmp_path):
    """The reference size without dropout; randomly initialised."""
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    weights = write_checkpoints(tmp_path, tiny_encoder("bert"), **none)
    torch.manual_seed(0)
    options = {
        "clean": Options(**OPTIONS),
        "upstream": Options.upstream(**OPTIONS),
        "image alone": Options(**OPTIONS, n_crops=0, n_detector_crops=0),
    }[request.param]
    return Model(options, VOCABULARY, weights, pretrained=False)


def train(model: Model, batch: dict, until) -> list[float]:
    """Train on one batch for at most STEPS steps, or until a check every 20 steps is true."""
    groups = model.parameter_groups()
    rate = {name: HEADS if name in ("head", "crf") else BACKBONE for name in groups}
    optimizer = torch.optim.AdamW(
        [{"params": group, "lr": rate[name]} for name, group in groups.items() if group]
    )
    losses = []
    for step in range(1, STEPS + 1):
        loss = model(batch).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        if step % 20 == 0 and until(losses):
            break
    return losses


def f1(model: Model, batch: dict) -> float:
    """Return the F1 of the decoded tags against the batch's own."""
    gold = [
        model.tags.of_words(labels, first[:n])
        for labels, first, n in zip(
            batch["tag_ids"].tolist(), batch["first_piece"].tolist(), batch["n_tokens"], strict=True
        )
    ]
    return micro_counts(gold, model.decode(batch, "main")).f1


@pytest.mark.parametrize("model", ["clean", "upstream"], indirect=True)
def test_learns_eight_sentences_by_heart(model):
    generator = torch.Generator().manual_seed(0)
    lengths = [3, 4, 5, 6, 7, 8, 9, 10]  # with both ends 5 to 12 positions
    words = [torch.randint(5, 95, (n,), generator=generator).tolist() for n in lengths]
    tags = [torch.randint(1, 10, (n,), generator=generator).tolist() for n in lengths]
    batch = batch_of(words, tags, torch.randn(8, 3, 224, 224))
    done = lambda losses: losses[-1] < 0.1 * losses[0] and f1(model, batch) == 100  # noqa: E731
    losses = train(model, batch, done)
    assert losses[-1] < 0.1 * losses[0]
    assert f1(model, batch) == 100


@pytest.mark.parametrize("model", ["image alone"], indirect=True)
def test_learns_what_only_the_picture_tells(model):
    """All sentences are the same; the type of the one name is the colour of the image."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.arange(8) % 4
    images = 0.3 * torch.randn(8, 3, 224, 224, generator=generator)
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    images += 2 * colours[kinds][:, :, None, None]
    tags = [[1, 2 + 2 * int(kind), 1] for kind in kinds]
    batch = batch_of([[7, 8, 9]] * 8, tags, images, with_crops=False)
    train(model, batch, lambda losses: f1(model, batch) == 100)
    assert f1(model, batch) == 100
    moved = {**batch, "images": [part.roll(1, 0) for part in batch["images"]]}
    assert f1(model, moved) == 0


ROLES = {"image": (1, 64), "crops": (3, 32)}


def write_pixels(path: Path, role: str, samples: list[Sample]) -> None:
    """Write a pixel store of random squares; the second image is missing."""
    number, side = ROLES[role]
    outputs = Outputs(feature_dim=side**2 * 3, feature_dtype="uint8", item_shape=(side, side, 3))
    ids = tuple(sample.image_id for sample in samples)
    sizes = np.full((len(ids), 2), 8, np.int32)
    header = Header("f" * 64, outputs, ids, ("0" * 64,) * len(ids), sizes)
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 256, (number, side**2 * 3), dtype=np.uint8) for _ in ids]
    items = [ItemFeatures(features=row) for row in rows]
    empty = np.zeros((0, side**2 * 3), np.uint8)
    items[1] = ItemFeatures(features=empty, status=STATUS["missing"], reason="no file")
    writer = FeatureWriter(path.with_suffix(".partial"), header)
    writer.append(items)
    writer.finish(path, {})


def test_fit_save_and_reload(tiny_encoder, tmp_path):
    corpus = write_corpus(tmp_path / "samples", count=5)
    samples = [sample for split in corpus.values() for sample in split]
    stores = {role: tmp_path / f"{role}.h5" for role in ROLES}
    for role, path in stores.items():
        write_pixels(path, role, samples)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(0)
    tower = CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=64, patch_size=32))
    tower.save_pretrained(tmp_path / "vision")
    options = {"image_px": 64, "crop_px": 32, "n_detector_crops": 0}
    recipe = replace(published_recipe("vec_mner"), epochs=1, batch_size=3)
    spec = RunSpec(run="v", system="vec_mner", options=options, recipe=recipe)
    weights = {"encoder": tiny_encoder("bert"), "vision": tmp_path / "vision"}
    out = tmp_path / "run"
    job = FitJob(spec, tmp_path / "samples", out, 1, stores=stores, weights=weights, device="cpu")
    assert 0 <= fit(job)["valid_f1"]["main"] <= 100
    model, _ = load_run(out)
    with FeatureSource(stores) as source:
        batch = model.collate(list(source.join(corpus["valid"])))
    assert batch["present"][0].sum() == 5
    lengths = [len(sample.tokens) for sample in corpus["valid"]]
    assert [len(tags) for tags in model.decode(batch, "main")] == lengths
