"""Image towers from checkpoint folders: which tensors they take, and which they refuse."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    ViTConfig,
    ViTModel,
)

from extract.core.errors import ConfigError, DataError, MissingFileError
from train.blocks.vision_tower import load_vision_tower, save_vision_assets

SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 32,
    "patch_size": 16,
}
CLIP_SIZES = {**SIZES, "intermediate_size": 48}
TEXT_SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 50,
}


def checkpoint(folder: Path, kind: str):
    """Write a tiny checkpoint; return its vision part."""
    torch.manual_seed(3)
    if kind == "clip":
        config = CLIPConfig(text_config=TEXT_SIZES, vision_config=CLIP_SIZES, projection_dim=8)
        model = CLIPModel(config)
        model.save_pretrained(folder)
        return model.vision_model
    model = {
        "clip_vision": lambda: CLIPVisionModel(CLIPVisionConfig(**CLIP_SIZES)),
        "vit": lambda: ViTModel(ViTConfig(**CLIP_SIZES)),
        "dinov2": lambda: Dinov2Model(Dinov2Config(**SIZES)),
    }[kind]()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", ["clip", "clip_vision", "vit", "dinov2"])
def test_weights_states_and_assets(tmp_path, kind):
    expected = checkpoint(tmp_path / "weights", kind).eval()
    tower = load_vision_tower(tmp_path / "weights", pretrained=True)
    state = {k: v for k, v in expected.state_dict().items() if not k.startswith("pooler.")}
    assert list(tower.state_dict()) == list(state)
    assert all(torch.equal(tower.state_dict()[name], tensor) for name, tensor in state.items())
    image = torch.randn(2, 3, 32, 32)
    states = tower(pixel_values=image).last_hidden_state
    assert states.shape == (2, 5, 24) and not tower.training
    torch.testing.assert_close(states, expected(pixel_values=image).last_hidden_state)
    save_vision_assets(tower, tmp_path / "assets")
    assert str(tmp_path) not in (tmp_path / "assets" / "config.json").read_text()
    empty = load_vision_tower(tmp_path / "assets", pretrained=False)
    empty.load_state_dict(tower.state_dict())
    torch.testing.assert_close(empty(pixel_values=image).last_hidden_state, states)


def test_a_half_precision_checkpoint_is_float32(tmp_path):
    checkpoint(tmp_path, "clip_vision").half().save_pretrained(tmp_path)
    for pretrained in (True, False):
        tower = load_vision_tower(tmp_path, pretrained=pretrained)
        assert {parameter.dtype for parameter in tower.parameters()} == {torch.float32}


def edit(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if "layers.1.mlp.fc1.bias" not in k}, "missing"),
        (
            lambda t: {**t, "extra.weight": torch.zeros(2)},
            "unexpected extra.weight",
        ),
        (lambda t: {**t, "pre_layrnorm.weight": torch.zeros(7)}, "other shape"),
    ],
)
def test_every_tensor_is_accounted_for(tmp_path, change, message):
    checkpoint(tmp_path, "clip_vision")
    edit(tmp_path, change)
    with pytest.raises(DataError, match=message):
        load_vision_tower(tmp_path, pretrained=True)


def test_missing_folder_weights_and_other_models(tmp_path, tiny_encoder):
    with pytest.raises(MissingFileError, match="no such file; expected the config"):
        load_vision_tower(tmp_path / "nothing", pretrained=False)
    with pytest.raises(ConfigError, match="'bert' is not a vision model"):
        load_vision_tower(tiny_encoder("bert"), pretrained=True)
    config = CLIPVisionConfig(**CLIP_SIZES).to_dict()
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(MissingFileError, match="no weights: expected model"):
        load_vision_tower(tmp_path, pretrained=True)
