"""Faster R-CNN: the boxes of torchvision's own call, whatever came before or stands beside."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import detection
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from extract.core.digests import file_sha256
from extract.core.errors import DataError
from extract.crops.cutting import cut_crops
from extract.crops.plan import plan_crops
from extract.crops.record import CropRecord
from extract.features.engine import Inputs, Runtime, run_extraction
from extract.features.spec import complete_spec
from extract.grounding.base import GROUNDING_OUTPUTS
from extract.grounding.faster_rcnn import Extractor, Options
from extract.networks.detection import (
    Detector,
    DetectorConfig,
    build_detector,
    read_detector_config,
)
from extract.networks.vocabularies import read_vocabulary
from extract.store import FeatureStore, merge_shards, verify_store
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, Item, ItemFeatures
from extract.words.object_text import object_phrases
from tests.builders.extract.tiny_faster_rcnn import (
    LABELS,
    MAX_SIZE,
    MIN_SIZE,
    as_tensor,
    build_network,
    picture,
    write_detector,
)

ITEMS = [
    Item("wide", picture(90, 60)),
    Item("high", picture(40, 110, seed=1)),
    Item("small", picture(9, 13, seed=2)),
    Item("same_shape", picture(90, 60, seed=3)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("detector") / "tiny")


def load(folder: Path, **options: object) -> Extractor:
    sizes = {"min_size": MIN_SIZE, "max_size": MAX_SIZE}
    extractor = Extractor(Options(**{"threshold": 0.1, **sizes, **options}))
    extractor.load({"detector": folder}, "cpu")
    return extractor


@pytest.fixture(scope="module")
def grounder(folder: Path) -> Extractor:
    return load(folder)


def assert_same(one: ItemFeatures, other: ItemFeatures) -> None:
    assert list(one.text) == list(other.text)
    assert np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)


@pytest.mark.parametrize("item", ITEMS[:3], ids=lambda item: item.image_id)
def test_boxes_are_those_of_torchvision(folder: Path, item: Item) -> None:
    settings = {"box_score_thresh": 0.15, "box_nms_thresh": 0.4, "box_detections_per_img": 30}
    with torch.inference_mode():
        (expected,) = build_network(**settings)([as_tensor(item.image)])
    found = load(folder, threshold=0.15, iou=0.4, boxes_per_image=30).extract([item])[0]
    named = np.array([LABELS[label] != "N/A" for label in expected["labels"]])
    assert 5 < named.sum() < len(named) == 30
    np.testing.assert_allclose(found.scores, expected["scores"][named], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, expected["boxes"][named], atol=1e-3)
    assert list(found.text) == [LABELS[label] for label in expected["labels"][named]]
    assert (np.diff(found.scores) <= 0).all()
    assert (found.boxes[:, 2:] <= np.array(item.image.size) + 1e-3).all()


def test_a_batch_of_one_equals_a_batch_of_many(grounder: Extractor) -> None:
    """Bit for bit: a store must not depend on how it was sharded."""
    together = grounder.extract(ITEMS)
    for item, expected in zip(reversed(ITEMS), reversed(together), strict=True):
        assert_same(grounder.extract([item])[0], expected)
    assert grounder.extract([]) == []


def test_torchvision_gives_other_boxes_to_a_padded_batch() -> None:
    """Why images go through one at a time; if this fails, batches of torchvision became safe."""
    network = build_network()
    wide, high = (as_tensor(item.image) for item in ITEMS[:2])
    with torch.inference_mode():
        alone, beside = network([wide])[0], network([wide, high])[0]
    assert (alone["scores"][:9] - beside["scores"][:9]).abs().max() > 1e-4


def test_a_first_image_of_a_few_pixels_changes_nothing(folder: Path, grounder: Extractor) -> None:
    """By itself torchvision keeps the strides that it guesses from the first image."""
    (expected,) = grounder.extract(ITEMS[:1])
    fresh = load(folder)
    fresh.extract([Item("thin", picture(64, 2))])
    assert_same(fresh.extract(ITEMS[:1])[0], expected)
    network = build_network()
    with torch.inference_mode():
        network([as_tensor(picture(64, 2))])
    assert network.roi_heads.box_roi_pool.scales != [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    assert fresh._detector.model.roi_heads.box_roi_pool.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]


def test_an_image_without_rows_says_why(folder: Path, grounder: Extractor) -> None:
    (found,) = load(folder, threshold=1.0).extract(ITEMS[:1])
    assert (found.status, found.n_rows) == (STATUS["nothing_found"], 0)
    assert found.reason == "no object above the threshold 1"
    (found,) = grounder.extract([Item("line", picture(500, 2))])
    assert found.reason == "too thin for the detector: 500 x 2 pixels"


def test_the_columns_are_those_of_every_grounding_store() -> None:
    assert Extractor.outputs(Options()) == GROUNDING_OUTPUTS
    assert Extractor.needs == {"image"}


def test_bfloat16_stays_near_float32(folder: Path) -> None:
    detectors = [
        Detector(folder, "cpu", min_size=MIN_SIZE, max_size=MAX_SIZE, bfloat16=value)
        for value in (False, True)
    ]
    exact, rough = (detector.candidates(ITEMS[0].image).scores for detector in detectors)
    assert rough.dtype == torch.float32
    best = [scores[:, 1:].max() for scores in (exact, rough)]
    assert not torch.equal(*best) and abs(best[0] - best[1]) < 0.02


def test_a_store_gives_crops(folder: Path, grounder: Extractor, tmp_path: Path) -> None:
    rows = []
    for item in ITEMS[:2]:
        path = tmp_path / f"{item.image_id}.png"
        item.image.save(path)
        sha256 = file_sha256(path)
        rows.append(
            ImageRow(item.image_id, str(path), sha256, item.image.height, item.image.width, "ok")
        )
    options = {"threshold": 0.1, "min_size": MIN_SIZE, "max_size": MAX_SIZE}
    spec = complete_spec(
        {
            "name": "objects",
            "extractor": "faster_rcnn",
            "options": options,
            "weights": {"detector": {"name": "tiny", "path": str(folder)}},
        }
    )
    run_extraction(spec, rows, tmp_path / "a.h5", Inputs(), runtime=Runtime(device="cpu"))
    merge_shards([tmp_path / "a.h5"], tmp_path / "objects.h5")
    assert verify_store(tmp_path / "objects.h5", rows)["status"]["ok"] == 2
    with FeatureStore(tmp_path / "objects.h5") as store:
        for row, expected in zip(rows, grounder.extract(ITEMS[:2]), strict=True):
            item = store.item(row.image_id)
            assert_same(item, expected)
            plan = plan_crops(item, row, stem=row.image_id)
            with CropRecord(tmp_path, 1).open() as record:
                assert cut_crops(plan, row, tmp_path, record) == item.n_rows
            assert [crop.phrase for crop in plan] == list(item.text)
            assert all((tmp_path / crop.crop).is_file() for crop in plan)
            phrases = [phrase for phrase, _ in object_phrases(item, score_min=0.0)]
            assert phrases == list(item.text)


# ---- checkpoints ----


def test_the_frozen_batch_norm_of_the_coco_network_is_repeated(tmp_path: Path) -> None:
    """Torchvision trained that network with batch norms without an epsilon."""
    torch.manual_seed(0)
    norm = partial(FrozenBatchNorm2d, eps=0.0)
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=norm)
    network = FasterRCNN(backbone, len(LABELS), min_size=MIN_SIZE, max_size=MAX_SIZE).eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(1e-5, 1e-4)
        elif name.endswith(".weight"):
            buffer.fill_(5e-3)
    for name, more in (("exact", {"batch_norm_eps": 0}), ("other", {})):
        (tmp_path / name).mkdir()
        config = {"architecture": "fasterrcnn_resnet18_fpn", "labels": LABELS, **more}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        save_file(network.state_dict(), tmp_path / name / "model.safetensors")
    image = ITEMS[0].image
    with torch.inference_mode():
        (expected,) = network([as_tensor(image)])
    scores = {
        name: Detector(tmp_path / name, "cpu", min_size=MIN_SIZE, max_size=MAX_SIZE).predict(image)[
            "scores"
        ]
        for name in ("exact", "other")
    }
    torch.testing.assert_close(scores["exact"][:20], expected["scores"][:20], rtol=1e-4, atol=1e-5)
    assert (scores["other"][:20] - expected["scores"][:20]).abs().max() > 1e-3


@pytest.mark.parametrize(
    "name",
    [
        "fasterrcnn_resnet50_fpn",
        "fasterrcnn_resnet50_fpn_v2",
        "fasterrcnn_mobilenet_v3_large_fpn",
        "fasterrcnn_mobilenet_v3_large_320_fpn",
    ],
)
def test_the_networks_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        ours = build_detector(DetectorConfig(name, read_vocabulary("coco"), 1e-5), name)
        theirs = getattr(detection, name)(weights=None, weights_backbone=None)
    shapes, expected = (
        {key: value.shape for key, value in network.state_dict().items()}
        for network in (ours, theirs)
    )
    assert shapes == expected
    weights = next(
        weights for key, weights in vars(detection).items()
        if key.lower() == f"{name}_weights" and hasattr(weights, "COCO_V1")
    )  # fmt: skip
    assert sum(p.numel() for p in ours.parameters()) == pytest.approx(
        weights.COCO_V1.meta["num_params"], rel=3e-3
    )


def test_the_class_names_are_those_of_torchvisions_checkpoints() -> None:
    names = read_vocabulary("coco")
    assert list(names) == detection.FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    assert len(names) == 91 and sum(name == "N/A" for name in names) == 10


def test_a_file_without_config_is_one_of_torchvisions(folder: Path, tmp_path: Path) -> None:
    config = read_detector_config(tmp_path / "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth")
    assert config == DetectorConfig("", read_vocabulary("coco"), 0.0)
    # Known as resnet50 by its names, refused for its shapes.
    torch.save(load_file(folder / "model.safetensors"), tmp_path / "x.pth")
    with pytest.raises(
        DataError, match=r"size mismatch for backbone\.body\.layer1\.0\.conv1\.weight"
    ):
        load(tmp_path / "x.pth")
    torch.save({"backbone.body.0.0.weight": torch.zeros(1)}, tmp_path / "y.pth")
    with pytest.raises(DataError, match=r"config\.json that names architecture and labels"):
        load(tmp_path / "y.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("drop", "missing roi_heads.box_predictor.cls_score.bias"),
        ("add", "unexpected head.weight"),
        ("shape", r"mismatch for roi_heads.box_predictor.cls_score.bias: .*\[3\].*\[5\]"),
    ],
)
def test_every_tensor_is_accounted_for(
    folder: Path, tmp_path: Path, change: str, message: str
) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = "roi_heads.box_predictor.cls_score.bias"
    if change == "drop":
        del tensors[name]
    else:
        tensors[name if change == "shape" else "head.weight"] = torch.zeros(3)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        "[",
        "[]",
        '{"architecture": "fasterrcnn_resnet18_fpn"}',
        '{"architecture": "retinanet_resnet50_fpn", "labels": ["__background__", "a"]}',
        '{"architecture": "fasterrcnn_resnet18_fpn", "labels": ["a", "b"]}',
        '{"architecture": "fasterrcnn_resnet18_fpn", "labels": ["__background__"]}',
        '{"architecture": "fasterrcnn_resnet18_fpn", "labels": ["__background__", 1]}',
        '{"architecture": "fasterrcnn_resnet50_fpn_v2", "labels": ["__background__", "a"], '
        '"batch_norm_eps": 0}',
    ],
)
def test_a_foreign_config_is_refused(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(DataError, match=r"config\.json"):
        read_detector_config(tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 1.1},
        {"iou": -0.1},
        {"boxes_per_image": 0},
        {"min_size": 0},
        {"min_size": 900, "max_size": 800},
    ],
)
def test_options_have_ranges(options: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        Options(**options)
