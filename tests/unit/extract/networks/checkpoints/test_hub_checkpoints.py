"""Extractors, grounders, cut encoders and checksums with files in published form."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from extract.core.errors import ConfigError, DataError
from extract.networks.weights import check_weights, weights_sha256
from extract.tables.rows import STATUS, Item, Phrase

torch = pytest.importorskip("torch")

from extract.extractors import caption  # noqa: E402
from extract.extractors import clip as clip_extractor  # noqa: E402
from extract.grounding import grounding_dino as dino_grounder  # noqa: E402
from extract.networks.attribute_scores import AttributeScorer  # noqa: E402
from extract.networks.cut_weights import cut_weights  # noqa: E402
from tests.builders.hub import florence, forms, grounding_dino  # noqa: E402
from tests.builders.hub.families import Published, lay_once  # noqa: E402

CUT = ("bert", "bertweet", "deberta", "electra", "minilm", "roberta", "xlm_roberta")
GRID = {"output": "grid", "image_size": 32, "patch_size": 8, "feature_dim": 32}
GLOBAL = {**GRID, "output": "global", "feature_dim": 16}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Factory: family -> (folder, tensors as in the file)."""
    return lay_once(tmp_path_factory)


def picture(seed: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (80, 96, 3), np.uint8)
    return Image.fromarray(values)


def items(*phrases: str) -> list[Item]:
    found = tuple(Phrase(text, place, place + 1) for place, text in enumerate(phrases))
    return [Item(str(seed), picture(seed), phrases=found) for seed in range(3)]


def assert_holds(model: Any, tensors: dict[str, Any], rename: Callable[[str], str]) -> None:
    """Assert that every tensor of the file is in the network."""
    state = model.state_dict()
    for name, tensor in tensors.items():
        torch.testing.assert_close(state[rename(name)], tensor, atol=0, rtol=0, msg=name)


def load_clip(folder: Path, options: dict[str, Any]) -> Any:
    extractor = clip_extractor.Extractor(clip_extractor.Options(**options))
    extractor.load({"vision": folder}, "cpu")
    return extractor


def load_captioner(folder: Path, **options: Any) -> Any:
    extractor = caption.Extractor(caption.Options(max_new_tokens=8, **options))
    extractor.load({"captioner": folder}, "cpu")
    return extractor


def load_detector(folder: Path) -> Any:
    options = dino_grounder.Options(shortest_edge=72, longest_edge=120, threshold=0.0)
    extractor = dino_grounder.Extractor(options)
    extractor.load({"detector": folder}, "cpu")
    return extractor


@pytest.mark.parametrize("options", [GRID, GLOBAL], ids=["grid", "global"])
def test_clip_features(published: Published, options: dict[str, Any]) -> None:
    folder, tensors = published("clip")
    extractor = load_clip(folder, options)
    prefix = "vision_model." if options is GRID else ""
    parts = ("vision_model.",) if options is GRID else ("vision_model.", "visual_projection.")
    vision = {name: tensor for name, tensor in tensors.items() if name.startswith(parts)}
    assert len(vision) > 50
    assert_holds(extractor.model, vision, lambda name: name.removeprefix(prefix))
    rows = [found.features for found in extractor.extract(items())]
    assert rows[0].shape == ((16, 32) if options is GRID else (1, 16))
    assert np.abs(rows[0] - rows[1]).max() > 0.01


@pytest.mark.parametrize("form", forms.FORMS, ids=lambda form: form.__name__)
def test_clip_features_from_every_form(
    published: Published, tmp_path: Path, form: Callable[[Path], Path]
) -> None:
    source = published("clip")[0]
    expected = load_clip(source, GRID).extract(items())[0].features
    found = load_clip(form(shutil.copytree(source, tmp_path / "clip")), GRID)
    atol = 0.05 if form is forms.as_half_precision else 0
    np.testing.assert_allclose(found.extract(items())[0].features, expected, atol=atol)


def test_attributes_by_both_towers_of_clip(published: Published) -> None:
    folder, tensors = published("clip")
    words = ("red", "big", "old")
    scorer = AttributeScorer(folder, "cpu", words=words, prompt="a photo of a {attribute} {class}")
    assert_holds(scorer._model, tensors, str)
    scores = scorer.score([picture(0), picture(1)], ["dog", "car"])
    assert np.abs(scores.sum(1) - 1).max() < 1e-5
    assert np.abs(scores - 1 / 3).max() > 0.05 and np.abs(scores[0] - scores[1]).max() > 0.01


def test_phrases_of_yolo_world_by_the_text_tower(published: Published) -> None:
    pytest.importorskip("ultralytics")
    from extract.grounding.yolo_world import TextEncoder

    folder, tensors = published("clip")
    encoder = TextEncoder(folder, "cpu")
    text = {k: t for k, t in tensors.items() if k.startswith(("text_model.", "text_projection."))}
    assert len(text) > 30
    assert_holds(encoder._model, text, str)
    vectors = encoder.embed(["a dog", "the stadium", "a red car"])
    assert encoder.width == 16 and vectors.shape == (3, 16)
    assert (vectors @ vectors.T).fill_diagonal_(0).max() < 0.99


def as_published(folder: Path) -> Path:
    """Both kinds of weights."""
    return folder


@pytest.mark.parametrize("form", [as_published, *forms.FORMS], ids=lambda form: form.__name__)
def test_captions_of_blip(
    published: Published, tmp_path: Path, form: Callable[[Path], Path]
) -> None:
    source, tensors = published("blip")
    folder = form(shutil.copytree(source, tmp_path / "blip"))
    captioner = load_captioner(folder, num_captions=2)
    if form is not forms.as_half_precision:
        assert_holds(captioner.model, tensors, str)
    head = captioner.model.text_decoder.cls.predictions
    assert torch.equal(head.decoder.bias, head.bias)
    found = captioner.extract(items())
    assert all(rows.status == STATUS["ok"] for rows in found)
    assert len({rows.text[0] for rows in found}) > 1


def test_captions_of_florence(published: Published) -> None:
    folder, tensors = published("florence")
    captioner = load_captioner(folder, prompt="<CAPTION>")
    assert_holds(captioner.model, tensors, str)
    assert all(rows.status == STATUS["ok"] for rows in captioner.extract(items()))


def test_florence_with_code_of_its_own_names_the_converted_one(tmp_path: Path) -> None:
    florence.build_original(tmp_path / "florence")
    with pytest.raises(DataError, match=r"auto_map.*florence-community/Florence-2-base"):
        load_captioner(tmp_path / "florence", prompt="<CAPTION>")


@pytest.mark.parametrize("box_head", ["bbox_embed.0", "model.decoder.bbox_embed.0"])
def test_boxes_of_grounding_dino(tmp_path: Path, box_head: str) -> None:
    tensors = grounding_dino.build(tmp_path / "dino", box_head=box_head)
    grounder = load_detector(tmp_path / "dino")
    # Many names differ from the file's, so the numbers are compared.
    held = {tensor.numpy().tobytes() for tensor in grounder._model.state_dict().values()}
    matrices = {name: tensor for name, tensor in tensors.items() if tensor.ndim > 1}
    assert len(matrices) > 100
    assert [name for name, tensor in matrices.items() if tensor.numpy().tobytes() not in held] == []
    found = grounder.extract(items("a dog", "the red car"))
    assert all(set(rows.text) == {"a dog", "the red car"} for rows in found)


@pytest.mark.parametrize("family", CUT)
def test_the_lower_layers_of_an_encoder(published: Published, tmp_path: Path, family: str) -> None:
    from transformers import AutoModel

    from train.blocks.text_encoder import TextEncoder

    folder, tensors = published(family)
    cut_weights(folder, 1, tmp_path / "cut", sha256=weights_sha256(folder))
    part = TextEncoder(tmp_path / "cut", pretrained=True)
    prefix = f"{AutoModel.from_pretrained(tmp_path / 'cut').base_model_prefix}."
    prefix = "" if family == "minilm" else prefix
    held = part.model.state_dict()
    assert_holds(
        part.model,
        {f"{prefix}{name}": tensors[f"{prefix}{name}"] for name in held},
        lambda name: name.removeprefix(prefix),
    )
    assert not any("layer.1." in name for name in held)
    words = ["the", "stadium", "@Kevin", "don't"]
    assert part.pieces(words) == TextEncoder(folder, pretrained=False).pieces(words)


@pytest.mark.parametrize("form", [None, forms.as_cache_snapshot, forms.as_odd_name])
@pytest.mark.parametrize("name", ["bert", "clip", "xlm_roberta"])
def test_the_pinned_checksum_does_not_care_where_the_folder_is(
    published: Published, tmp_path: Path, name: str, form: Callable[[Path], Path] | None
) -> None:
    source = published(name)[0]
    pin = weights_sha256(source)
    folder = shutil.copytree(source, tmp_path / name)
    folder = form(folder) if form else folder
    # What `hf download --local-dir` leaves beside the files.
    (folder / ".cache" / "huggingface" / "download").mkdir(parents=True)
    (folder / ".cache" / "huggingface" / "download" / "config.json.metadata").write_text("x")
    assert check_weights({"sha256": pin}, folder) == pin
    file = folder / "config.json"
    content = file.read_text()
    file.unlink()
    file.write_text(content + "\n")
    with pytest.raises(ConfigError, match=f"expects {pin}"):
        check_weights({"sha256": pin}, folder)


def test_a_compressed_torch_file_is_not_unpacked(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zipfile

    folder = shutil.copytree(published("clip")[0], tmp_path / "clip")
    source, packed = folder / "pytorch_model.bin", tmp_path / "packed"
    with (
        zipfile.ZipFile(source) as stored,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for part in stored.infolist():
            archive.writestr(part.filename, stored.read(part.filename))
    packed.replace(source)
    assert torch.load(source, weights_only=True)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the file was opened"))
    with pytest.raises(DataError, match=r"pytorch_model\.bin: .*compressed"):
        load_clip(folder, GRID)
