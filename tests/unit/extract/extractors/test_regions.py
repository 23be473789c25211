"""Regions: what the parts make together, in memory and in a store."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from extract.core.errors import ConfigError, DataError
from extract.core.options import options_from
from extract.extractors.regions import Extractor, Options
from extract.features.engine import Inputs, Runtime, run_extraction
from extract.features.spec import complete_spec
from extract.images.decode import clip_box
from extract.networks.detection import Detector
from extract.networks.random_weights import write_random_weights
from extract.networks.resnet_trunk import ResnetTrunk
from extract.networks.vocabularies import read_vocabulary
from extract.networks.weights import weights_sha256
from extract.store import FeatureStore, merge_shards, verify_store
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, Item, ItemFeatures
from extract.words.object_text import object_phrases
from tests.builders.extract.tiny_faster_rcnn import (
    LABELS,
    MAX_SIZE,
    MIN_SIZE,
    picture,
    write_detector,
)
from tests.builders.extract.tiny_regions import CLIP, TRUNK, WORDS

RANDOM = {"trunk": TRUNK, "clip": CLIP}
OPTIONS = {
    "detector_min_size": MIN_SIZE,
    "detector_max_size": MAX_SIZE,
    "shorter_side": 48,
    "longer_side": 80,
    "max_regions": 20,
    "attribute_words": WORDS,
    "dtype": "float32",
}
ITEMS = [
    Item("wide", picture(90, 60)),
    Item("high", picture(40, 110, seed=1)),
    Item("small", picture(9, 13, seed=2)),
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    paths = {"detector": write_detector(folder / "detector")}
    for role, config in RANDOM.items():
        paths[role] = folder / role
        write_random_weights(config, 0, paths[role])
    return paths


def load(weights: dict[str, Path], **options: object) -> Extractor:
    extractor = Extractor(options_from(Options, {**OPTIONS, **options}, "options"))
    extractor.load({role: weights[role] for role in extractor.roles}, "cpu")
    return extractor


@pytest.fixture(scope="module")
def regions(weights: dict[str, Path]) -> Extractor:
    return load(weights)


# ---- rows ----


def test_a_batch_of_one_equals_a_batch_of_many(regions: Extractor) -> None:
    """Bit for bit: a store must not depend on how it was sharded."""
    together = regions.extract(ITEMS)
    for item, expected in zip(reversed(ITEMS), reversed(together), strict=True):
        (alone,) = regions.extract([item])
        for name, column in vars(expected).items():
            if isinstance(column, np.ndarray):
                assert np.array_equal(getattr(alone, name), column, equal_nan=True), name


def test_regions_lie_in_the_image_best_first(regions: Extractor) -> None:
    for item, found in zip(ITEMS, regions.extract(ITEMS), strict=True):
        assert 10 <= found.n_rows <= 20
        assert (np.diff(found.scores) <= 0).all() and found.scores[0] > 0.05
        limit = np.array(item.image.size * 2)
        assert (found.boxes >= 0).all() and (found.boxes <= limit).all()
        assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


def test_an_unsure_detector_still_gives_ten_regions(weights: dict[str, Path]) -> None:
    (found,) = load(weights, score_min=0.99, attributes=False).extract(ITEMS[:1])
    assert found.n_rows == 10 and (found.scores < 0.99).all()
    (found,) = load(weights, score_min=0.99, min_regions=3, attributes=False).extract(ITEMS[:1])
    assert found.n_rows == 3


def test_an_image_without_rows_says_why(regions: Extractor) -> None:
    (found,) = regions.extract([Item("line", picture(500, 2))])
    assert (found.status, found.n_rows) == (STATUS["nothing_found"], 0)
    assert found.reason == "too thin for the detector: 500 x 2 pixels"
    assert found.labels.shape == (0,) and found.attributes.shape == (0, 16)
    assert isinstance(found, ItemFeatures)


@pytest.mark.parametrize(
    "options",
    [
        {"score_min": 1.5},
        {"min_regions": 0},
        {"min_regions": 200},
        {"shorter_side": 1200},
        {"detector_min_size": 0},
        {"sampling_ratio": -1},
        {"attribute_words": ("a", "b", "a")},
    ],
)
def test_options_have_ranges(options: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|twice"):
        Options(**options)


def test_an_unnamed_class_is_never_chosen(regions: Extractor) -> None:
    labels = np.concatenate([result.labels for result in regions.extract(ITEMS)])
    assert {LABELS[label] for label in labels} <= {"dog", "traffic light", "person"}
    assert len(set(labels)) > 1


@pytest.mark.parametrize("pooling", ["c4_head", "c5_map"])
def test_stored_features_are_those_of_the_resized_image(
    weights: dict[str, Path], pooling: str
) -> None:
    extractor = load(weights, pooling=pooling, attributes=False)
    image = ITEMS[0].image
    (found,) = extractor.extract(ITEMS[:1])
    resized = image.resize((72, 48), Image.Resampling.BILINEAR)
    trunk = ResnetTrunk(weights["trunk"], "cpu")
    expected = trunk.pool(resized, torch.tensor(found.boxes * 0.8), pooling)
    np.testing.assert_allclose(found.features, expected, rtol=1e-3, atol=1e-4)
    assert found.features.shape == (found.n_rows, 2048) and found.attributes is None


def test_attribute_scores_are_clips(weights: dict[str, Path], regions: Extractor) -> None:
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    (found,) = regions.extract(ITEMS[:1])
    model = CLIPModel.from_pretrained(weights["clip"]).eval()
    tokenizer = AutoTokenizer.from_pretrained(weights["clip"])
    processor = CLIPImageProcessorPil.from_pretrained(weights["clip"])
    for row in (0, found.n_rows - 1):
        name = LABELS[found.labels[row]]
        prompts = [f"a {word} {name}" for word in WORDS]
        crop = ITEMS[0].image.crop(clip_box(found.boxes[row], *ITEMS[0].image.size))
        with torch.inference_mode():
            logits = model(
                **tokenizer(prompts, padding=True, return_tensors="pt"),
                **processor(crop, return_tensors="pt"),
            ).logits_per_image[0]
        expected = logits.softmax(dim=0).numpy()
        order = [index for index in np.argsort(-expected) if expected[index] >= 0.05]
        assert found.attributes[row, : len(order)].tolist() == order
        scores = found.attribute_scores[row]
        np.testing.assert_allclose(scores[: len(order)], expected[order], rtol=2e-3)
        assert (found.attributes[row, len(order) :] == -1).all()
        assert np.isnan(scores[len(order) :]).all()


def test_the_list_of_attributes_is_clean() -> None:
    words = read_vocabulary("attributes")
    assert list(words) == sorted(set(words)) and 200 <= len(words) <= 300
    assert all(word == word.strip().lower() and word for word in words)
    assert {"red", "wooden", "young", "striped", "wet", "smiling", "sunny"} <= set(words)
    assert Extractor.outputs(Options()).attributes == words
    assert Extractor.outputs(Options(attributes=False)).attributes == ()


def test_feature_dim_must_be_the_trunks(weights: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="Set feature_dim: 2048"):
        load(weights, feature_dim=512, attributes=False)


def test_bfloat16_stays_near_float32(weights: dict[str, Path]) -> None:
    (exact,) = load(weights).extract(ITEMS[:1])
    (found,) = load(weights, compute="bfloat16").extract(ITEMS[:1])
    assert found.n_rows and np.isfinite(found.features).all()
    assert abs(found.scores[0] - exact.scores[0]) < 0.02


# ---- stores ----


def definition(weights: dict[str, Path], **options: object) -> dict:
    roles = Extractor(options_from(Options, {**OPTIONS, **options}, "options")).roles
    return {
        "name": "regions",
        "extractor": "regions",
        "options": {**OPTIONS, **options},
        "weights": {role: {"name": role, "path": str(weights[role])} for role in roles},
    }


def write_store(folder: Path, weights: dict[str, Path], *, n_shards: int = 1) -> Path:
    """Run the extractor on three images, one of them missing, and merge."""
    images = []
    for item in ITEMS[:2]:
        path = folder / f"{item.image_id}.png"
        item.image.save(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        images.append(
            ImageRow(item.image_id, str(path), sha256, item.image.height, item.image.width, "ok")
        )
    images.append(ImageRow("gone", "", "", 0, 0, "missing", "no file"))
    spec = complete_spec(definition(weights))
    parts = [folder / f"{part}.h5" for part in range(n_shards)]
    for part, path in enumerate(parts, start=1):
        run_extraction(
            spec, images, path, Inputs(),
            shard=f"{part}-of-{n_shards}", runtime=Runtime(device="cpu"),
        )  # fmt: skip
    out = folder / "regions.h5"
    merge_shards(parts, out, ids=[image.image_id for image in images])
    verify_store(out, images)
    return out


@pytest.fixture(scope="module")
def store_path(weights: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store"), weights)


def test_a_store_is_verified_and_read_as_words_and_vectors(
    store_path: Path, regions: Extractor
) -> None:
    expected = regions.extract(ITEMS[:2])
    with FeatureStore(store_path) as store:
        assert store.outputs.labels == LABELS and store.outputs.attributes == WORDS
        assert store.status_counts()["missing"] == 1 and store.item("gone").n_rows == 0
        for item, found in zip(ITEMS[:2], expected, strict=True):
            stored = store.item(item.image_id)
            assert np.array_equal(stored.features, found.features)
            assert np.array_equal(stored.labels, found.labels)
            phrases = object_phrases(stored, score_min=0.0, attributes_per_object=1)
            word, name = WORDS[found.attributes[0, 0]], LABELS[found.labels[0]]
            assert phrases[0] == (f"{word} {name}", pytest.approx(found.scores[0]))
            assert len(phrases) == found.n_rows


def test_shards_change_no_byte(store_path: Path, weights: dict[str, Path], tmp_path: Path) -> None:
    other = write_store(tmp_path, weights, n_shards=3)
    assert other.read_bytes() == store_path.read_bytes()


def test_without_attributes_no_clip_is_asked_for(weights: dict[str, Path]) -> None:
    spec = complete_spec(definition(weights, attributes=False))
    assert sorted(spec.weights) == ["detector", "trunk"]
    with_clip = definition(weights)
    assert sorted(complete_spec(with_clip).weights) == ["clip", "detector", "trunk"]
    del with_clip["weights"]["clip"]
    with pytest.raises(ConfigError, match=r"needs the roles \['clip', 'detector', 'trunk'\]"):
        complete_spec(with_clip)


# ---- random checkpoints ----


@pytest.mark.parametrize("role", RANDOM)
def test_equal_seeds_give_equal_random_weights(role: str, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_random_weights(RANDOM[role], seed, tmp_path / name / role)
    sums = [weights_sha256(tmp_path / name / role) for name in "abc"]
    assert sums[0] == sums[1] != sums[2]


def test_a_random_detector_is_read(tmp_path: Path) -> None:
    config = {
        "kind": "faster_rcnn",
        "architecture": "fasterrcnn_resnet18_fpn",
        "labels": list(LABELS),
    }
    write_random_weights(config, 0, tmp_path / "detector")
    detector = Detector(tmp_path / "detector", "cpu", min_size=32, max_size=64)
    assert detector.labels == LABELS
    assert len(detector.candidates(ITEMS[0].image).boxes) > 10
    for wrong in ({"labels": ["dog"]}, {"architecture": "yolo"}):
        with pytest.raises(DataError, match="expected"):
            write_random_weights({**config, **wrong}, 0, tmp_path / "other")
    with pytest.raises(ConfigError, match="Did you mean 'labels'"):
        write_random_weights({"kind": "faster_rcnn", "label": []}, 0, tmp_path / "other")
