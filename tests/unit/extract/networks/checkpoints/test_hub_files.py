"""Files in the form in which they are published, through each of their readers."""

import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.ops import FrozenBatchNorm2d

from extract.core.errors import ConfigError, DamagedFileError
from extract.extractors import regions, vgg
from extract.features.spec import complete_spec
from extract.grounding import faster_rcnn
from extract.networks.detection import Detector
from extract.networks.random_weights import write_random_weights
from extract.networks.resnet_trunk import ResnetTrunk
from extract.networks.weights import weights_sha256
from extract.tables.rows import Item
from tests.builders.extract.tiny_faster_rcnn import MAX_SIZE, MIN_SIZE, as_tensor, picture
from tests.builders.extract.tiny_regions import CLIP, WORDS
from tests.builders.hub import torchvision_resnet101
from tests.builders.hub.torchvision_fasterrcnn import write_fasterrcnn
from tests.builders.hub.torchvision_resnet101 import write_resnet101
from tests.builders.hub.torchvision_vgg16 import write_vgg16
from tests.builders.hub.ultralytics_world import FORMS, write_world

SIZES = {"min_size": MIN_SIZE, "max_size": MAX_SIZE}
VGG_OPTIONS = {"image_size": 32, "feature_dim": 8}


def as_is(path: Path) -> Path:
    return path


def in_a_foreign_folder(path: Path) -> Path:
    """Return the same in a folder with a blank, an accent and an apostrophe in its name."""
    folder = path.parent / "l'été 2019"
    folder.mkdir()
    return Path(shutil.move(path, folder / path.name))


def through_links(path: Path) -> Path:
    """Return links to the same, as a cache of downloads keeps its snapshots."""
    blobs, target = path.parent / "blobs", path.parent / "snapshot"
    blobs.mkdir()
    target.mkdir()
    files, is_file = ([path], True) if path.is_file() else (sorted(path.iterdir()), False)
    for number, file in enumerate(files):
        shutil.move(file, blobs / str(number))
        (target / file.name).symlink_to(blobs / str(number))
    return target / path.name if is_file else target


PLACES = pytest.mark.parametrize("place", [as_is, in_a_foreign_folder, through_links])


# ---- torchvision's VGG-16 ----


@PLACES
def test_vgg_reads_the_published_form(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    path, tensors = write_vgg16(tmp_path / "vgg")
    extractor = vgg.Extractor(vgg.Options(**VGG_OPTIONS))
    extractor.load({"vision": place(path)}, "cpu")
    found = {f"features.{name}": value for name, value in extractor.features.state_dict().items()}
    assert set(found) == {name for name in tensors if name.startswith("features.")}
    assert all(torch.equal(value, tensors[name]) for name, value in found.items())
    rows = extractor.extract([Item("a", picture(40, 30))])[0].features
    assert rows.shape == (1, 8) and np.isfinite(rows).all()


def test_batch_norms_without_a_count_of_steps_are_read(tmp_path: Path) -> None:
    """As in `vgg16_bn-6c64b313.pth` of 2017."""
    random = {"kind": "vgg", "layers": [4, "M"], "batch_norm": True}
    write_random_weights(random, 0, tmp_path / "vgg")
    from safetensors.torch import load_file

    file = tmp_path / "vgg/model.safetensors"
    counted = load_file(file)
    tensors = {n: t for n, t in counted.items() if not n.endswith("num_batches_tracked")}
    assert len(tensors) == len(counted) - 1
    torch.save(tensors, tmp_path / "vgg/old.pth", _use_new_zipfile_serialization=False)
    file.unlink()
    extractor = vgg.Extractor(vgg.Options(image_size=32, feature_dim=4, stride_px=2))
    extractor.load({"vision": tmp_path / "vgg"}, "cpu")
    assert torch.equal(extractor.features[1].running_var, tensors["features.1.running_var"])


# ---- torchvision's ResNet-101 ----


@pytest.mark.parametrize("form", torchvision_resnet101.FORMS)
def test_the_trunk_reads_every_form(tmp_path: Path, form: str) -> None:
    path, tensors = write_resnet101(tmp_path, form=form)
    assert any(n.endswith("num_batches_tracked") for n in tensors) == (form == "counted")
    trunk = ResnetTrunk(path, "cpu")
    # shape: the stem is (64, 3, 7, 7)
    assert torch.equal(trunk._to_c4[0].weight, tensors["conv1.weight"])
    assert torch.equal(trunk._to_c4[1].running_var, tensors["bn1.running_var"])
    last = trunk._c4_to_c5[0].conv3.weight
    assert torch.equal(last, tensors["layer4.0.conv3.weight"])
    assert trunk.feature_dim == tensors["fc.weight"].shape[1]


# ---- look-alikes of both, at their published size ----


def rows_of_vgg(folder: Path) -> np.ndarray:
    path, _ = write_vgg16(folder, "published")
    extractor = vgg.Extractor(vgg.Options())
    extractor.load({"vision": path}, "cpu")
    return extractor.extract([Item("a", picture(300, 240))])[0].features


def rows_of_trunk(folder: Path) -> np.ndarray:
    path, _ = write_resnet101(folder, "published")
    boxes = torch.tensor([[0.0, 0.0, 150.0, 200.0], [90.0, 60.0, 280.0, 220.0]])
    return ResnetTrunk(path, "cpu").pool(picture(300, 240), boxes, "c4_head").numpy()


@pytest.mark.slow
@pytest.mark.parametrize("rows_of", [rows_of_vgg, rows_of_trunk])
def test_activations_keep_their_size_through_deep_networks(
    tmp_path: Path, rows_of: Callable[[Path], np.ndarray]
) -> None:
    """As those of trained networks do: far from the limit of half precision, and not all 0."""
    rows = rows_of(tmp_path)
    assert 1e-3 < np.abs(rows).max() < 1e3
    assert rows.std() > 1e-4


# ---- torchvision's Faster R-CNN ----


@PLACES
def test_the_detector_reads_the_names_of_2019(
    tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    path, network = write_fasterrcnn(tmp_path / "detector")
    names = torch.load(next(path.glob("*.pth")), weights_only=True)
    assert "backbone.fpn.inner_blocks.0.weight" in names and "rpn.head.conv.bias" in names
    detector = Detector(place(path), "cpu", **SIZES)
    found, expected = detector.model.state_dict(), network.state_dict()
    assert {n for n in found if not n.endswith("num_batches_tracked")} == set(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_boxes_are_those_of_the_network_that_was_saved(tmp_path: Path) -> None:
    path, network = write_fasterrcnn(tmp_path / "detector")
    network.transform.min_size, network.transform.max_size = (MIN_SIZE,), MAX_SIZE
    image = picture(90, 60)
    with torch.inference_mode():
        expected = network([as_tensor(image)])[0]
    found = Detector(path, "cpu", **SIZES).predict(image)
    assert len(found["boxes"]) > 0
    torch.testing.assert_close(found["boxes"], expected["boxes"], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found["scores"], expected["scores"], rtol=1e-5, atol=1e-6)


def test_grounder_and_regions_read_it(tmp_path: Path) -> None:
    path, _ = write_fasterrcnn(tmp_path / "detector")
    grounder = faster_rcnn.Extractor(faster_rcnn.Options(threshold=0.1, **SIZES))
    grounder.load({"detector": path}, "cpu")
    item = Item("a", picture(90, 60))
    assert "dog" in set(grounder.extract([item])[0].text)
    trunk, _ = write_resnet101(tmp_path / "trunk")
    write_random_weights(CLIP, 0, tmp_path / "clip")
    options = regions.Options(
        detector_min_size=MIN_SIZE,
        detector_max_size=MAX_SIZE,
        shorter_side=48,
        longer_side=80,
        attribute_words=WORDS,
    )
    extractor = regions.Extractor(options)
    extractor.load({"detector": path, "trunk": trunk, "clip": tmp_path / "clip"}, "cpu")
    rows = extractor.extract([item])[0]
    assert rows.features.shape[1] == 2048 and len(rows.boxes) > 0


def test_the_coco_file_is_read_without_a_config(tmp_path: Path) -> None:
    """At the published size, which its reader assumes: 3 s."""
    path, network = write_fasterrcnn(tmp_path, size="published")
    assert path.is_file() and list(tmp_path.iterdir()) == [path]
    assert any(isinstance(module, FrozenBatchNorm2d) for module in network.modules())
    grounder = faster_rcnn.Extractor(faster_rcnn.Options(threshold=0.1, **SIZES))
    grounder.load({"detector": path}, "cpu")
    (found,) = grounder.extract([Item("a", picture(90, 60))])
    assert found.n_rows > 0 and set(found.text) == {"dog"}


# ---- ultralytics' YOLO-World ----


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """Return a checkpoint of a form, and the network that is in it."""
    pytest.importorskip("ultralytics")
    folder, made = tmp_path_factory.mktemp("worlds"), {}

    def write(form: str) -> tuple[Path, Any]:
        if form not in made:
            made[form] = (folder / f"{form}.pt", write_world(folder / f"{form}.pt", form))
        return made[form]

    return write


def boxes_of(path: Path) -> torch.Tensor:
    """Return what the loaded network predicts of one picture and two names."""
    from extract.grounding.yolo_world import load_detector

    model = load_detector(path, "cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    names = torch.nn.functional.normalize(torch.randn(1, 2, 512, generator=seeded()), dim=-1)
    model.model[-1].nc = 2
    with torch.inference_mode():
        return model.predict(torch.rand(1, 3, 64, 64, generator=seeded()), txt_feats=names)[0]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("form", FORMS)
def test_every_release_of_ultralytics_is_read(
    worlds: Callable[[str], tuple[Path, Any]], form: str
) -> None:
    from extract.grounding.yolo_world import load_detector

    path, network = worlds(form)
    kinds = {value.dtype for value in network.parameters()}
    assert kinds == {torch.float16}
    # Norms are folded into their convolutions, as ultralytics itself does before it predicts.
    expected = deepcopy(network).float().eval().fuse(verbose=False).state_dict()
    found = load_detector(path, "cpu").state_dict()
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert torch.equal(boxes_of(path), boxes_of(worlds("8.4.0")[0]))


@pytest.mark.parametrize("place", [in_a_foreign_folder, through_links])
def test_the_path_of_a_world_may_hold_anything(
    worlds: Callable[[str], tuple[Path, Any]],
    tmp_path: Path,
    place: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ultralytics drops an apostrophe from a path, and would then ask the network for the file."""
    from ultralytics.utils import downloads

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(downloads, "safe_download", refuse)
    monkeypatch.setattr(downloads, "get_github_assets", refuse)
    copied = Path(shutil.copy(worlds("8.3.0")[0], tmp_path / "yolov8l-worldv2.pt"))
    assert len(boxes_of(place(copied)))


# ---- what holds for all ----

WRITERS: dict[str, Callable[[Path], Path]] = {
    "vgg": lambda folder: write_vgg16(folder)[0],
    "resnet": lambda folder: write_resnet101(folder)[0],
    "resnet legacy": lambda folder: write_resnet101(folder, form="legacy")[0],
    "fasterrcnn": lambda folder: write_fasterrcnn(folder)[0],
}


def world_file(folder: Path) -> Path:
    """Write a YOLO-World; needs ultralytics."""
    pytest.importorskip("ultralytics")
    write_world(folder / "yolov8l-worldv2.pt")
    return folder / "yolov8l-worldv2.pt"


WRITERS["world"] = world_file

SPECS = {
    "vgg": ("vgg", {"vision": "it"}, VGG_OPTIONS),
    "resnet": ("regions", {"detector": "other", "trunk": "it", "clip": "other"}, {}),
    "resnet legacy": ("regions", {"detector": "other", "trunk": "it", "clip": "other"}, {}),
    "fasterrcnn": ("faster_rcnn", {"detector": "it"}, {}),
    "world": ("yolo_world", {"detector": "it", "text": "other"}, {}),
}
FETCH = "curl -fL -o weights/it https://example.org/it"


def spec_of(name: str, folder: Path, path: Path, **more: str) -> Any:
    """Return the spec of a feature set that reads a look-alike."""
    extractor, roles, options = SPECS[name]
    (folder / "other.bin").write_bytes(b"other")
    entries = {
        "it": {"name": "it", "path": str(path), "fetch": FETCH, **more},
        "other": {"name": "other", "path": str(folder / "other.bin")},
    }
    weights = {role: entries[entry] for role, entry in roles.items()}
    return complete_spec(
        {"name": "set", "extractor": extractor, "options": options, "weights": weights}
    )


@pytest.mark.parametrize("name", WRITERS)
def test_a_pin_holds_and_is_refused(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path / "it")
    sha256 = weights_sha256(path)
    spec = spec_of(name, tmp_path, path, sha256=sha256)
    assert spec == spec_of(name, tmp_path, path, sha256=sha256)
    assert sha256 in [entry["sha256"] for entry in spec.weights.values()]
    with pytest.raises(ConfigError) as caught:
        spec_of(name, tmp_path, path, sha256="0" * 64)
    for part in (str(path), " bytes with sha256 ", sha256, "0" * 64, f"`{FETCH}`"):
        assert part in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.97, "one byte"])
@pytest.mark.parametrize("name", WRITERS)
def test_a_cut_off_file_stops_before_a_spec_remembers_it(
    tmp_path: Path, name: str, share: float | str
) -> None:
    path = WRITERS[name](tmp_path / "it")
    file = path if path.is_file() else next(path.glob("*.pth"))
    whole = file.read_bytes()
    size = len(whole) - 1 if share == "one byte" else int(share * len(whole))
    file.write_bytes(whole[:size])
    with pytest.raises(DamagedFileError) as caught:
        spec_of(name, tmp_path, path)
    message = str(caught.value)
    for part in (str(file), f"{size:,} bytes found", f"`{FETCH}`"):
        assert part in message
    assert "weights_only" not in message and "trust" not in message.lower()
    file.write_bytes(whole)
    assert spec_of(name, tmp_path, path)
