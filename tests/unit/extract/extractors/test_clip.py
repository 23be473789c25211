"""CLIP: parity with transformers' own forward, complete loading, stated preprocessing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.extractors.clip import Extractor, Options
from extract.networks.pixels import CLIP_MEAN, CLIP_STD
from extract.tables.rows import Item

TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
VISION = {**TOWER, "num_hidden_layers": 2, "image_size": 32, "patch_size": 8, "projection_dim": 12}
TEXT = {
    **TOWER,
    "num_hidden_layers": 1,
    "vocab_size": 20,
    "projection_dim": 12,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
GRID = {"image_size": 32, "patch_size": 8, "feature_dim": 16, "dtype": "float32"}
GLOBAL = {**GRID, "output": "global", "feature_dim": 12}


@pytest.fixture(scope="module")
def model() -> CLIPModel:
    torch.manual_seed(0)
    config = CLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=12)
    return CLIPModel(config).eval()


@pytest.fixture(scope="module")
def checkpoint(model: CLIPModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full CLIP checkpoint, both towers, as the published ones are."""
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def items() -> list[Item]:
    rng = np.random.default_rng(0)
    sizes = [(50, 41), (33, 90), (32, 32)]
    images = [Image.fromarray(rng.integers(0, 255, (h, w, 3), np.uint8)) for w, h in sizes]
    return [Item(str(index), image) for index, image in enumerate(images)]


def load(path: Path, options: dict) -> Extractor:
    extractor = Extractor(Options(**options))
    extractor.load({"vision": path}, "cpu")
    return extractor


def test_grid_equals_the_models_patch_states(
    model: CLIPModel, checkpoint: Path, items: list[Item]
) -> None:
    extractor = load(checkpoint, GRID)
    pixels = extractor.network_input([extractor.prepare(item) for item in items])
    with torch.inference_mode():
        expected = model.vision_model(pixel_values=pixels).last_hidden_state[:, 1:].numpy()
    result = np.stack([rows.features for rows in extractor.extract(items)])
    assert result.shape == (3, 16, 16)
    assert np.abs(result - expected).max() < 1e-5


def test_global_equals_the_models_image_embedding(
    model: CLIPModel, checkpoint: Path, items: list[Item]
) -> None:
    extractor = load(checkpoint, GLOBAL)
    pixels = extractor.network_input([extractor.prepare(item) for item in items])
    with torch.inference_mode():
        expected = model.get_image_features(pixel_values=pixels).pooler_output.numpy()
    result = np.stack([rows.features for rows in extractor.extract(items)])
    assert result.shape == (3, 1, 12)
    assert np.abs(result[:, 0] - expected).max() < 1e-5


def test_preprocessing_equals_the_pillow_image_processor(
    checkpoint: Path, items: list[Item]
) -> None:
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)
    images = [item.image for item in items]
    expected = np.stack(processor(images=images)["pixel_values"])
    extractor = load(checkpoint, GRID)
    result = extractor.network_input([extractor.prepare(item) for item in items]).numpy()
    assert result.shape == (3, 3, 32, 32) and result.dtype == np.float32
    assert np.abs(result - expected).max() < 1e-5


def test_half_precision_checkpoints_are_computed_in_float32(
    model: CLIPModel, checkpoint: Path, items: list[Item], tmp_path: Path
) -> None:
    half = CLIPModel(model.config).half()
    half.load_state_dict(model.state_dict())
    half.save_pretrained(tmp_path)
    extractor = load(tmp_path, GRID)
    assert {p.dtype for p in extractor.model.parameters()} == {torch.float32}
    exact = load(checkpoint, GRID).extract(items)[0].features
    assert np.abs(extractor.extract(items)[0].features - exact).max() < 0.02


@pytest.mark.parametrize("options", [GRID, GLOBAL])
@pytest.mark.parametrize(
    ("change", "message"),
    [("drop", "missing .*layers.1.mlp.fc2.weight"), ("add", r"unexpected (vision_model\.)?extra")],
)
def test_every_vision_tensor_is_accounted_for(
    checkpoint: Path, tmp_path: Path, options: dict, change: str, message: str
) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    if change == "drop":
        del tensors["vision_model.encoder.layers.1.mlp.fc2.weight"]
    else:
        tensors["vision_model.extra"] = torch.zeros(1)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((checkpoint / "config.json").read_text())
    with pytest.raises(DataError, match=message):
        load(tmp_path, options)


def test_a_tensor_of_another_shape_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    tensors["vision_model.post_layernorm.weight"] = torch.zeros(5)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((checkpoint / "config.json").read_text())
    with pytest.raises(DataError, match="post_layernorm"):
        load(tmp_path, GRID)


def test_a_tower_without_projection_has_no_global_embedding(
    model: CLIPModel, tmp_path: Path, items: list[Item]
) -> None:
    model.vision_model.save_pretrained(tmp_path)
    assert load(tmp_path, GRID).extract(items)[0].features.shape == (16, 16)
    with pytest.raises(DataError, match=r"missing visual_projection\.weight"):
        load(tmp_path, GLOBAL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({**GRID, "feature_dim": 768}, "Set feature_dim: 16"),
        ({**GLOBAL, "feature_dim": 16}, "Set feature_dim: 12"),
        ({**GRID, "image_size": 64}, "Set image_size: 32"),
        ({**GRID, "patch_size": 16}, "Set patch_size: 8"),
    ],
)
def test_options_must_describe_the_checkpoint(
    checkpoint: Path, options: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(checkpoint, options)


def test_other_pixel_statistics_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    for file in checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    stated = tmp_path / "preprocessor_config.json"
    stated.write_text(json.dumps({"image_mean": CLIP_MEAN, "image_std": CLIP_STD}))
    load(tmp_path, GRID)
    stated.write_text(json.dumps({"image_mean": [0.5, 0.5, 0.5], "image_std": CLIP_STD}))
    with pytest.raises(ConfigError, match=r"Set mean: \(0.5, 0.5, 0.5\)"):
        load(tmp_path, GRID)


def test_other_models_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"config\.json"):
        load(tmp_path, GRID)
    (tmp_path / "config.json").write_text('{"model_type": "dinov2"}')
    with pytest.raises(DataError, match="dinov2"):
        load(tmp_path, GRID)


def test_declared_grid_follows_image_and_patch_size() -> None:
    assert Extractor.outputs(Options()).grid == (7, 7)
    assert Extractor.outputs(Options(patch_size=16)).grid == (14, 14)
    assert Extractor.outputs(Options(output="global", feature_dim=512)).grid is None
