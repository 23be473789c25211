"""Every extractor file keeps the contract of `extract/extractors/base.py`; a new file is found."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from extract.core.options import options_from
from extract.core.registry import available, load_module
from extract.extractors.base import Extractor
from extract.networks.random_weights import write_random_weights
from extract.tables.rows import STATUS, Item, ItemFeatures

NAMES = available("extract.extractors")
HEAVY = ("torch", "torchvision", "transformers", "pytesseract", "h5py", "ultralytics", "spacy")

TINY = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "patch_size": 8,
    "image_size": 32,
}
TINY_TEXT = {key: TINY[key] for key in TINY if not key.endswith("_size") or key == "hidden_size"}

# An extractor that loads weights says here how to make a tiny checkpoint of each role, and which
# options describe it; one that loads none is tried with its defaults.
WEIGHTS = {
    ("vgg", "vision"): {"kind": "vgg", "layers": [4, "M", 6, "M"]},
    ("clip", "vision"): {"kind": "clip", "projection_dim": 12, **TINY},
    ("caption", "captioner"): {"kind": "blip", "vision": TINY, "text": TINY_TEXT},
    ("regions", "detector"): {
        "kind": "faster_rcnn",
        "architecture": "fasterrcnn_resnet18_fpn",
        "labels": ["__background__", "dog", "N/A", "traffic light"],
    },
    ("regions", "trunk"): {"kind": "resnet", "layers": [1, 1, 1, 1], "width_per_group": 4},
    ("regions", "clip"): {
        "kind": "clip_full",
        "vision": TINY,
        "text": TINY_TEXT,
        "projection_dim": 12,
    },
}
TINY_REGIONS = {
    "detector_min_size": 32,
    "detector_max_size": 64,
    "shorter_side": 32,
    "longer_side": 64,
    "max_regions": 12,
}
OPTIONS = {
    "vgg": [
        {"feature_dim": 6, "stride_px": 4, "image_size": 32},
        {"feature_dim": 6, "stride_px": 4, "image_size": 32, "preset": "upstream"},
    ],
    "clip": [
        {"image_size": 32, "patch_size": 8, "feature_dim": 16},
        {"image_size": 32, "patch_size": 8, "feature_dim": 12, "output": "global"},
    ],
    "pixels": [{}, {"of": "crops", "size": 16}],
    "caption": [{"max_new_tokens": 4, "num_captions": 2}],
    "regions": [
        TINY_REGIONS | {"attribute_words": ["old", "red", "wooden"]},
        TINY_REGIONS | {"attributes": False, "pooling": "c5_map"},
    ],
}
CASES = [(name, options) for name in NAMES for options in OPTIONS.get(name, [{}])]


def make_items() -> list[Item]:
    """Five images of different sizes and contents, with everything that an item can carry."""
    rng = np.random.default_rng(0)
    sizes = [(50, 41), (33, 90), (32, 32), (64, 48)]
    images = [Image.fromarray(rng.integers(0, 255, (h, w, 3), np.uint8)) for w, h in sizes]
    sign = Image.new("RGB", (200, 80), "white")
    ImageDraw.Draw(sign).text((20, 20), "London", "black", ImageFont.load_default(36))
    return [
        Item(
            str(index),
            image,
            boxes=np.array([[1, 2, 20, 30], [5, 5, 9, 9]], np.float32)[: index % 3],
            captions=("a dog", "a cat")[: index % 3],
        )
        for index, image in enumerate([*images, sign])
    ]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for (name, role), config in WEIGHTS.items():
        paths[name, role] = folder / f"{name}_{role}"
        write_random_weights(config, 0, paths[name, role])
    return paths


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{len(case[1])}")
def loaded(
    request: pytest.FixtureRequest, checkpoints: dict[tuple[str, str], Path]
) -> tuple[ModuleType, Extractor]:
    name, options = request.param
    if name == "ocr" and shutil.which("tesseract") is None:
        pytest.skip("the program tesseract is not installed")
    module = load_module("extract.extractors", name)
    extractor = module.Extractor(options_from(module.Options, options, name))
    missing = [role for role in extractor.roles if (name, role) not in checkpoints]
    assert not missing, f"add a tiny checkpoint for {name} {missing} to WEIGHTS in this test"
    extractor.load({role: checkpoints[name, role] for role in extractor.roles}, "cpu")
    return module, extractor


def columns(result: ItemFeatures) -> dict[str, object]:
    names = ("features", "text", "boxes", "scores", "labels", "attributes", "attribute_scores")
    return {name: getattr(result, name) for name in names if getattr(result, name) is not None}


@pytest.mark.parametrize("name", NAMES)
def test_a_plugin_declares_version_options_and_extractor(name: str) -> None:
    module = load_module("extract.extractors", name)
    assert isinstance(module.VERSION, int) and module.VERSION >= 1
    assert issubclass(module.Extractor, Extractor)
    assert module.Options.__dataclass_params__.frozen
    assert module.Options() == module.Options(), "every option has a default"


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_docstring(name: str) -> None:
    import ast
    import inspect

    module = load_module("extract.extractors", name)
    body = ast.parse(inspect.getsource(module.Options)).body[0].body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign):
            is_documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            assert is_documented, f"{name}.Options.{node.target.id}"


@pytest.mark.parametrize(("name", "options"), CASES)
def test_options_survive_json(name: str, options: dict) -> None:
    module = load_module("extract.extractors", name)
    made = options_from(module.Options, options, name)
    record = json.loads(json.dumps(dataclasses.asdict(made)))
    assert options_from(module.Options, record, name) == made


def test_an_empty_batch_gives_an_empty_list(loaded: tuple[ModuleType, Extractor]) -> None:
    assert loaded[1].extract([]) == []


def test_results_are_as_declared(
    loaded: tuple[ModuleType, Extractor], checkpoints: dict[tuple[str, str], Path]
) -> None:
    module, extractor = loaded
    name = module.__name__.rsplit(".", 1)[-1]
    outputs = extractor.outputs_from(lambda role: checkpoints[name, role])
    results = extractor.extract(make_items())
    assert len(results) == 5 and any(result.n_rows for result in results)
    declared = {
        "features": outputs.feature_dim > 0,
        "text": outputs.text,
        "boxes": outputs.boxes,
        "scores": outputs.scores,
        "labels": bool(outputs.labels),
        "attributes": bool(outputs.attributes),
        "attribute_scores": bool(outputs.attributes),
    }
    for result in results:
        found = columns(result)
        assert set(found) == {name for name, is_declared in declared.items() if is_declared}
        assert {len(column) for column in found.values()} == {result.n_rows}
        if result.n_rows == 0:
            assert result.status == STATUS["nothing_found"] and result.reason
        if "features" in found:
            assert result.features.shape == (result.n_rows, outputs.feature_dim)
            assert result.features.dtype == outputs.feature_dtype
            assert np.isfinite(result.features).all()
        if outputs.item_shape:
            assert np.prod(outputs.item_shape) == outputs.feature_dim
        if outputs.grid:
            assert result.n_rows == outputs.grid[0] * outputs.grid[1]
        for name in {"boxes", "scores"} & set(found):
            assert found[name].dtype == np.float32


def test_a_batch_of_one_equals_a_batch_of_many(loaded: tuple[ModuleType, Extractor]) -> None:
    items = make_items()
    many = loaded[1].extract(items)
    for item, expected in zip(items, many, strict=True):
        alone = loaded[1].extract([item])[0]
        assert (alone.status, alone.reason) == (expected.status, expected.reason)
        for name, column in columns(expected).items():
            if name == "text":
                assert list(alone.text) == list(column)
            else:
                np.testing.assert_allclose(
                    np.asarray(getattr(alone, name), np.float64),
                    np.asarray(column, np.float64),
                    rtol=2e-3,
                    atol=1e-3,
                )


def test_a_permuted_batch_gives_permuted_results(loaded: tuple[ModuleType, Extractor]) -> None:
    items = make_items()
    forward = loaded[1].extract(items)
    backward = loaded[1].extract(items[::-1])[::-1]
    assert [result.n_rows for result in forward] == [result.n_rows for result in backward]
    for one, other in zip(forward, backward, strict=True):
        if one.features is not None:
            np.testing.assert_allclose(
                one.features.astype(np.float64), other.features.astype(np.float64), atol=1e-2
            )


def test_importing_extractors_stays_light(repo_root: Path) -> None:
    modules = [f"extract.extractors.{name}" for name in NAMES]
    modules += [
        "extract.images.decode",
        "extract.networks.weights",
        "extract.networks.random_weights",
    ]
    modules += [
        "extract.networks.checkpoints.reading",
        "extract.tables.caption_lists",
        "extract.commands.weights",
    ]
    code = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
