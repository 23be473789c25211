"""VGG grid: equal to torchvision's own network, row-major, and strict about its checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models.vgg import VGG, make_layers, vgg16

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.extractors.vgg import Extractor, Options, upstream_pixels
from extract.networks.vgg_layers import build_features, read_config
from extract.tables.rows import Item

NARROW = [4, "M", 8, "M", 8, "M", 8, "M", 6, 6, "M"]
MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    """A narrow network with positive outputs, built by torchvision."""
    torch.manual_seed(0)
    return make_layers(NARROW).eval()


@pytest.fixture(scope="module")
def checkpoint(network: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vgg")
    (folder / "config.json").write_text(json.dumps({"architecture": "vgg", "layers": NARROW}))
    tensors = {f"features.{name}": tensor for name, tensor in network.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    return folder


def load(path: Path, **options: object) -> Extractor:
    extractor = Extractor(Options(**{"feature_dim": 6, "dtype": "float32", **options}))
    extractor.load({"vision": path}, "cpu")
    return extractor


def test_features_equal_torchvisions_forward_row_major(
    network: nn.Sequential, checkpoint: Path
) -> None:
    image = noise(300, 200)
    result = load(checkpoint).extract([Item("a", image)])[0].features
    pixels = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC)) / 255
    tensor = torch.tensor((pixels - MEAN) / STD, dtype=torch.float32).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = network(tensor)[0]
    assert result.shape == (49, 6) and result.max() > 0
    for row, column in ((0, 0), (0, 6), (3, 5), (6, 0)):
        cell = expected[:, row, column].numpy()
        assert result[row * 7 + column] == pytest.approx(cell, rel=1e-4, abs=1e-6)


def test_default_outputs_are_the_grid_that_acn_reads() -> None:
    outputs = Extractor.outputs(Options())
    assert (outputs.grid, outputs.feature_dim, outputs.feature_dtype) == ((7, 7), 512, "float16")


def test_the_default_network_has_torchvisions_vgg16_shapes(tmp_path: Path) -> None:
    with torch.device("meta"):
        features = build_features(read_config(tmp_path))
        reference = vgg16().features
    assert sum(p.numel() for p in features.parameters()) == 14_714_688
    shapes = {name: tensor.shape for name, tensor in features.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in reference.state_dict().items()}
    assert len(features) == 31


def test_upstream_pixels_wrap_as_the_published_ones() -> None:
    means = (103.939, 116.779, 123.68)
    image = np.array([[[0, 50, 103], [103, 116, 123], [104, 117, 255]]], np.uint8)
    # 0 -> 153, 50 -> 190, 103 -> 236 are stated for the published features.
    assert upstream_pixels(image).tolist() == [[[153, 190, 236], [0, 0, 0], [0, 0, 131]]]
    ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    expected = [[int(value - mean) % 256 for mean in means] for value in range(256)]
    assert upstream_pixels(ramp)[0].tolist() == expected


def test_the_upstream_preset_feeds_wrapped_unscaled_pixels(checkpoint: Path) -> None:
    image = Image.new("RGB", (30, 20), (0, 50, 103))
    extractor = load(checkpoint, preset="upstream")
    pixels = extractor.network_input([extractor.prepare(Item("a", image))])
    assert pixels.shape == (1, 3, 224, 224) and pixels.dtype == torch.float32
    assert [channel.unique().tolist() for channel in pixels[0]] == [[153], [190], [236]]


def test_bfloat16_stays_near_float32(checkpoint: Path) -> None:
    item = Item("a", noise(64, 64))
    exact = load(checkpoint).extract([item])[0].features
    rough = load(checkpoint, compute="bfloat16").extract([item])[0].features
    assert np.abs(exact - rough).max() < 0.05 * exact.max()
    assert not np.array_equal(exact, rough)


def test_a_torchvision_file_is_read_without_its_classifier(
    network: nn.Sequential, checkpoint: Path, tmp_path: Path
) -> None:
    # A whole ImageNet network, narrow: `features.*` and `classifier.*` in one torch file.
    whole = VGG(make_layers([1, "M"]), num_classes=2, init_weights=False)
    tensors = {f"features.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {"classifier.6.bias": whole.classifier[6].bias.detach()}
    torch.save(tensors, tmp_path / "narrow.pth")
    (tmp_path / "config.json").write_text((checkpoint / "config.json").read_text())
    item = Item("a", noise(50, 60))
    expected = load(checkpoint).extract([item])[0].features
    assert np.array_equal(load(tmp_path).extract([item])[0].features, expected)


def changed(tensors: dict, change: str) -> dict:
    """Return a copy of a state dict with one defect."""
    tensors = dict(tensors)
    if change == "missing features.3.bias":
        del tensors["features.3.bias"]
    elif change == "unexpected features.99.weight":
        tensors["features.99.weight"] = torch.zeros(1)
    elif change == "size mismatch for features.0.weight":
        tensors["features.0.weight"] = torch.zeros(4, 3, 5, 5)
    else:
        tensors["head.weight"] = torch.zeros(1)
    return tensors


@pytest.mark.parametrize(
    "change",
    [
        "missing features.3.bias",
        "unexpected features.99.weight",
        "size mismatch for features.0.weight",
        "unexpected head.weight",
    ],
)
def test_every_tensor_is_accounted_for(
    network: nn.Sequential, checkpoint: Path, tmp_path: Path, change: str
) -> None:
    tensors = {f"features.{name}": tensor for name, tensor in network.state_dict().items()}
    save_file(changed(tensors, change), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((checkpoint / "config.json").read_text())
    with pytest.raises(DataError, match=change):
        load(tmp_path)


def test_a_pickled_object_is_never_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"features.0.weight": Bomb()}, tmp_path / "x.pth")
    with pytest.raises(DataError, match="not a torch file of plain tensors"):
        load(tmp_path / "x.pth", feature_dim=512)
    assert not (tmp_path / "executed").exists()


def test_options_must_describe_the_checkpoint(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="Set feature_dim: 6"):
        load(checkpoint, feature_dim=512)
    with pytest.raises(ConfigError, match="Set stride_px: 32"):
        load(checkpoint, stride_px=16)
    with pytest.raises(ValueError, match="multiple"):
        Options(image_size=225)


def test_a_missing_or_ambiguous_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no checkpoint in this folder"):
        load(tmp_path, feature_dim=512)
    with pytest.raises(MissingFileError, match="nowhere"):
        load(tmp_path / "nowhere", feature_dim=512)
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"a\.pth, b\.pth"):
        load(tmp_path, feature_dim=512)


def test_a_foreign_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "resnet"}')
    with pytest.raises(DataError, match="architecture"):
        load(tmp_path)


@pytest.mark.slow
def test_a_published_vgg16_gives_49_rows_of_512(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = vgg16().eval()
    torch.save(network.state_dict(), tmp_path / "vgg16-397923af.pth")
    extractor = load(tmp_path, feature_dim=512)
    item = Item("a", noise(224, 224))
    result = extractor.extract([item])[0].features
    with torch.inference_mode():
        expected = network.features(extractor.network_input([extractor.prepare(item)]))
    assert result.shape == (49, 512) and (result >= 0).all()
    assert np.abs(result - expected[0].flatten(1).T.numpy()).max() < 1e-4
