"""The trunk of region features: pooling against direct slices of torchvision's own maps."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.models import get_model
from torchvision.models.resnet import Bottleneck, ResNet

from extract.core.errors import DataError
from extract.networks.random_weights import write_random_weights
from extract.networks.resnet_trunk import ResnetTrunk, build_resnet, resize_within
from tests.builders.extract.tiny_faster_rcnn import as_tensor, picture
from tests.builders.extract.tiny_regions import TRUNK


@pytest.fixture(scope="module")
def trunk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "trunk"
    write_random_weights(TRUNK, 0, folder)
    return folder


def network_of(folder: Path) -> ResNet:
    network = ResNet(Bottleneck, [1, 1, 1, 1], num_classes=1, width_per_group=4)
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return network.eval()


def maps_of(network: ResNet, image: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the C4 and the C5 map by torchvision's own layers."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = (as_tensor(image) - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.inference_mode():
        x = network.maxpool(network.relu(network.bn1(network.conv1(pixels[None]))))
        c4 = network.layer3(network.layer2(network.layer1(x)))
        return c4, network.layer4(c4)


def test_a_box_on_whole_cells_is_the_mean_of_a_slice(trunk_folder: Path) -> None:
    network, trunk = network_of(trunk_folder), ResnetTrunk(trunk_folder, "cpu")
    image = picture(320, 256)
    c4, c5 = maps_of(network, image)
    assert c4.shape[2:] == (16, 20) and c5.shape[2:] == (8, 10)
    # 14 x 14 cells of C4 from column 3 and row 1; 7 x 7 cells of C5 from column 2 and row 1.
    boxes = torch.tensor([[48.0, 16.0, 272.0, 240.0]])
    found = trunk.pool(image, boxes, "c4_head")
    with torch.inference_mode():
        expected = network.layer4(c4[:, :, 1:15, 3:17]).mean(dim=(2, 3))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    boxes = torch.tensor([[64.0, 32.0, 288.0, 256.0]])
    found = trunk.pool(image, boxes, "c5_map")
    torch.testing.assert_close(found, c5[:, :, 1:8, 2:9].mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)
    half_a_cell = trunk.pool(image, boxes + 16.0, "c5_map")
    torch.testing.assert_close(
        trunk.pool(image, boxes, "c5_map", aligned=False), half_a_cell, rtol=1e-4, atol=1e-5
    )
    # Two cells a bin: by default each is looked at.
    boxes = torch.tensor([[0.0, 0.0, 320.0, 256.0]])
    default = trunk.pool(image, boxes, "c5_map")
    torch.testing.assert_close(default, trunk.pool(image, boxes, "c5_map", sampling_ratio=2))
    assert not torch.allclose(default, trunk.pool(image, boxes, "c5_map", sampling_ratio=1))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((900, 600), (900, 600)), ((100, 50), (1000, 500)), ((50, 60), (600, 720)),
     ((9000, 3), (1000, 1))],
)  # fmt: skip
def test_the_trunk_sees_600_to_1000_pixels(size: tuple, expected: tuple) -> None:
    assert resize_within(Image.new("RGB", size), 600, 1000).size == expected


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", 512), ("resnet50", 2048), ("resnet101", 2048), ("resnet152", 2048),
        ("resnext50_32x4d", 2048), ("resnext101_32x8d", 2048), ("wide_resnet50_2", 2048),
    ],
)  # fmt: skip
def test_the_tensors_tell_the_architecture(name: str, channels: int) -> None:
    with torch.device("meta"):
        tensors = get_model(name, weights=None).state_dict()
        network = build_resnet(tensors, Path(name))
    found = {key: value.shape for key, value in network.state_dict().items()}
    expected = {key: value.shape for key, value in tensors.items()}
    for shapes in (found, expected):
        del shapes["fc.weight"], shapes["fc.bias"]
    assert found == expected and network.fc.in_features == channels


def test_every_tensor_of_the_trunk_is_accounted_for(trunk_folder: Path, tmp_path: Path) -> None:
    tensors = load_file(trunk_folder / "model.safetensors")
    save_file(tensors | {"head.weight": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(DataError, match=r"unexpected head\.weight"):
        ResnetTrunk(tmp_path / "a.safetensors", "cpu")
    del tensors["layer4.0.bn3.bias"]
    save_file(tensors, tmp_path / "b.safetensors")
    with pytest.raises(DataError, match=r"missing layer4\.0\.bn3\.bias"):
        ResnetTrunk(tmp_path / "b.safetensors", "cpu")
    save_file({"features.0.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "c.safetensors")
    with pytest.raises(DataError, match="not a ResNet of torchvision"):
        ResnetTrunk(tmp_path / "c.safetensors", "cpu")


@pytest.mark.parametrize(
    "config", ["{", '{"architecture": "vgg"}', '{"architecture": "resnet", "std": [1, 0, 1]}']
)
def test_a_foreign_config_of_the_trunk_is_refused(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(DataError, match=r'config\.json: expected {"architecture": "resnet"'):
        ResnetTrunk(tmp_path, "cpu")


def test_bfloat16_stays_near_float32(trunk_folder: Path) -> None:
    image, boxes = picture(96, 64), torch.tensor([[3.0, 5.0, 60.0, 60.0]])
    exact = ResnetTrunk(trunk_folder, "cpu").pool(image, boxes, "c4_head")
    rough = ResnetTrunk(trunk_folder, "cpu", bfloat16=True).pool(image, boxes, "c4_head")
    assert rough.dtype == torch.float32 and not torch.equal(exact, rough)
    assert (exact - rough).norm() < 0.02 * exact.norm()
