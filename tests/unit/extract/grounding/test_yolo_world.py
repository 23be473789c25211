"""YOLO-World on a tiny random network, compared with what ultralytics itself predicts."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extract.core.errors import DataError, MissingFileError, MissingToolError, ShapeError
from extract.grounding.yolo_world import Extractor, Options, load_detector
from extract.tables.rows import STATUS, Item, Phrase
from tests.builders.extract.tiny_yolo_world import write_tiny_detector

WORDS = ["dog", "cat", "red", "ball", "old"]


def make_text_folder(folder: Path, *, projection_dim: int = 512) -> Path:
    """Save a tiny random CLIP text tower and a tokenizer that knows five words and all letters."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    folder.mkdir()
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = letters + [f"{letter}</w>" for letter in letters] + [f"{word}</w>" for word in WORDS]
    special = ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens + special))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        projection_dim=projection_dim,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=vocabulary["<|endoftext|>"],
    )
    CLIPTextModelWithProjection(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Path:
    """A random YOLO-World."""
    pytest.importorskip("ultralytics")
    return write_tiny_detector(tmp_path_factory.mktemp("detector") / "tiny-worldv2.pt")


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory) -> Path:
    return make_text_folder(tmp_path_factory.mktemp("text") / "clip")


def grounder(detector, text_folder, **options) -> Extractor:
    extractor = Extractor(Options(**{"threshold": 0.0, "image_size": 160, **options}))
    extractor.load({"detector": detector, "text": text_folder}, "cpu")
    return extractor


def item(image_id, width, height, phrases, seed=0) -> Item:
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
    found = tuple(Phrase(text, i, i + 1) for i, text in enumerate(phrases))
    return Item(image_id, image, phrases=found)


ITEMS = [
    item("wide", 200, 90, ["red ball", "old dog", "Red Ball"]),
    item("high", 70, 160, ["cat"], seed=1),
    item("none", 64, 64, [], seed=2),
    item("square", 128, 128, ["dog", "cat", "ball", "old"], seed=3),
    # Letterboxed to the shape of "wide" and of "square", with other numbers of phrases.
    item("wide too", 100, 44, ["ball"], seed=4),
    item("wide again", 220, 101, ["cat", "old ball", "dog", "red", "a"], seed=5),
    item("small square", 30, 30, ["cat", "red ball"], seed=6),
]
WITH_PHRASES = [entry for entry in ITEMS if entry.phrases]


# Network of 1e-7 precision, boxes of some hundred px: what shares a batch moves the last digits.
BOX_ATOL, SCORE_ATOL = 1e-3, 1e-5


def assert_same(a, b):
    assert list(a.text) == list(b.text)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=BOX_ATOL)
    np.testing.assert_allclose(a.scores, b.scores, atol=SCORE_ATOL)
    assert (a.status, a.reason) == (b.status, b.reason)


@pytest.mark.parametrize("nms", ["per_phrase", "across_phrases"])
def test_batch_of_one_equals_batch_of_many(detector, text_folder, nms):
    options = {"nms": nms, "boxes_per_phrase": 3}
    extractor = grounder(detector, text_folder, **options)
    together = extractor.extract(ITEMS)
    apart = grounder(detector, text_folder, **options)
    alone = [apart.extract([entry])[0] for entry in reversed(ITEMS)]
    for many, one in zip(together, reversed(alone), strict=True):
        assert_same(many, one)
    assert extractor.extract([]) == []


def test_images_of_one_shape_share_a_forward_pass(detector, text_folder, monkeypatch):
    extractor = grounder(detector, text_folder)
    sizes = []
    predict = type(extractor._model).predict

    def counted(model, pixels, **kwargs):
        sizes.append((tuple(pixels.shape), kwargs["txt_feats"].shape[1]))
        return predict(model, pixels, **kwargs)

    monkeypatch.setattr(type(extractor._model), "predict", counted)
    extractor.extract(ITEMS)
    assert sizes == [((3, 3, 96, 160), 5), ((1, 3, 160, 96), 1), ((2, 3, 160, 160), 4)]
    sizes.clear()
    extractor.extract([ITEMS[2]])
    assert sizes == []


def test_only_its_own_phrases_reach_an_image(detector, text_folder):
    extractor = grounder(detector, text_folder)
    pixels = extractor._letterbox(ITEMS[0].image)[None]
    own = extractor._predict(pixels, [["dog"]])[0].numpy()
    both = np.concatenate([pixels, pixels[..., ::-1]])
    padded = extractor._predict(both, [["dog"], ["cat", "ball", "old"]])[0].numpy()
    np.testing.assert_allclose(padded[:4], own[:4], atol=BOX_ATOL)
    np.testing.assert_allclose(padded[4:], own[4:].repeat(3, axis=0), atol=SCORE_ATOL)
    # Phrases of another image would show, so the tests of batches would see them.
    foreign = extractor._predict(pixels, [["dog", "cat", "ball"]])[0].numpy()
    assert np.abs(foreign[4] - own[4]).max() > 100 * SCORE_ATOL
    assert np.abs(foreign[:4] - own[:4]).max() > 100 * BOX_ATOL


def test_rows_are_ordered_lie_in_the_image_and_obey_the_limits(detector, text_folder):
    for entry, found in zip(
        ITEMS,
        grounder(detector, text_folder, boxes_per_phrase=2, boxes_per_image=5).extract(ITEMS),
        strict=True,
    ):
        if not entry.phrases:
            assert (found.status, found.reason) == (STATUS["nothing_found"], "no phrase")
            continue
        assert 0 < found.n_rows <= 5
        assert (np.diff(found.scores) <= 0).all()
        assert all(list(found.text).count(text) <= 2 for text in found.text)
        assert set(found.text) <= {phrase.text for phrase in entry.phrases}
        assert "Red Ball" not in found.text
        x1, y1, x2, y2 = found.boxes.T
        assert (x1 >= 0).all() and (y1 >= 0).all() and (x1 < x2).all() and (y1 < y2).all()
        assert (x2 <= entry.image.width).all() and (y2 <= entry.image.height).all()


def test_threshold_leaves_nothing_and_says_so(detector, text_folder):
    (found,) = grounder(detector, text_folder, threshold=1.0).extract(ITEMS[:1])
    assert (found.status, found.n_rows) == (STATUS["nothing_found"], 0)
    assert found.reason == "no box above the threshold 1"


@pytest.fixture(scope="module")
def batch_boxes(detector, text_folder) -> dict[str, np.ndarray]:
    """What one call finds in all images."""
    names = [phrase_names(entry) for entry in WITH_PHRASES]
    found = grounder(detector, text_folder).detect([e.image for e in WITH_PHRASES], names)
    return {entry.image_id: boxes for entry, boxes in zip(WITH_PHRASES, found, strict=True)}


def phrase_names(entry) -> list[str]:
    return list(dict.fromkeys(phrase.text.lower() for phrase in entry.phrases))


@pytest.mark.parametrize("entry", WITH_PHRASES, ids=lambda entry: entry.image_id)
def test_boxes_are_those_of_ultralytics(detector, text_folder, batch_boxes, entry, tmp_path):
    from ultralytics import YOLOWorld

    names = phrase_names(entry)
    extractor = grounder(detector, text_folder)
    model = YOLOWorld(str(detector))
    model.model.txt_feats = extractor._text.embed(names)[None].clone()
    model.model.model[-1].nc = len(names)
    model.model.names = dict(enumerate(names))
    (expected,) = model.predict(
        entry.image, conf=0.0, iou=0.7, imgsz=160, max_det=30_000, verbose=False, save=False,
        project=str(tmp_path),
    )  # fmt: skip
    expected = expected.boxes.data.numpy()
    (alone,) = extractor.detect([entry.image], [names])
    for found in (alone, batch_boxes[entry.image_id]):
        assert len(found) == len(expected) > len(names)
        np.testing.assert_allclose(found, expected, atol=BOX_ATOL)
    # The best box of each phrase is the best of that class there.
    (rows,) = extractor.extract([entry])
    for text, box, score in zip(rows.text, rows.boxes, rows.scores, strict=True):
        of_class = expected[expected[:, 5] == names.index(text.lower())]
        best = of_class[of_class[:, 4].argmax()]
        np.testing.assert_allclose(box, best[:4], atol=BOX_ATOL)
        np.testing.assert_allclose(score, best[4], atol=SCORE_ATOL)


def test_suppression_across_phrases_keeps_the_best_of_overlapping_boxes(detector, text_folder):
    import torch
    from torchvision.ops import box_iou

    def found(**options):
        extractor = grounder(detector, text_folder, **options)
        return extractor.detect([ITEMS[3].image], [["dog", "cat", "ball", "old"]])[0]

    def greatest_overlap(found):
        # Boxes are compared before they are cut at the border of the image.
        inside = found[(found[:, :2] > 0).all(1) & (found[:, 2:4] < 128).all(1), :4]
        boxes = torch.from_numpy(inside)
        return (box_iou(boxes, boxes) - torch.eye(len(boxes))).max()

    everything = found(iou=1.0)
    apart, across = found(iou=0.5), found(iou=0.5, nms="across_phrases")
    assert 0 < len(across) < len(apart) < len(everything)
    assert np.array_equal(across[0], everything[0])
    assert {tuple(row) for row in across} <= {tuple(row) for row in everything}
    assert greatest_overlap(across) <= 0.5 + 1e-3 < greatest_overlap(apart)


def test_embeddings_have_unit_length_and_are_computed_once(detector, text_folder, monkeypatch):
    text = grounder(detector, text_folder)._text
    vectors = text.embed(["red ball", "dog"])
    assert vectors.shape == (2, 512)
    np.testing.assert_allclose(vectors.norm(dim=-1).numpy(), 1.0, atol=1e-6)
    assert not np.allclose(vectors[0], vectors[1])
    monkeypatch.setattr(text, "_model", None)
    assert np.array_equal(text.embed(["dog"])[0], vectors[1])


def test_an_embedding_does_not_depend_on_other_phrases(detector, text_folder):
    names = ["red ball", "dog", "old cat", "a", "ball"]
    together = grounder(detector, text_folder)._text.embed(names)
    for name, vector in zip(reversed(names), together.flip(0), strict=True):
        alone = grounder(detector, text_folder)._text.embed([name])[0]
        assert np.array_equal(alone, vector)


def test_a_long_phrase_is_cut_to_what_the_text_tower_reads(detector, text_folder):
    assert grounder(detector, text_folder)._text.embed(["dog " * 100]).shape == (1, 512)


def test_text_width_must_be_that_of_the_detector(detector, tmp_path):
    narrow = make_text_folder(tmp_path / "narrow", projection_dim=64)
    with pytest.raises(ShapeError, match=r"64 numbers.*512"):
        grounder(detector, narrow)


def test_other_files_are_refused(detector, text_folder, tmp_path):
    import torch

    with pytest.raises(MissingFileError, match="no such checkpoint"):
        grounder(tmp_path / "gone.pt", text_folder)
    with pytest.raises(MissingFileError, match="no usable tokenizer"):
        grounder(detector, tmp_path)
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "linear.pt")
    with pytest.raises(DataError, match=r"linear\.pt.*Linear"):
        load_detector(tmp_path / "linear.pt", "cpu")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(DataError, match=r"text\.pt: not an ultralytics checkpoint"):
        load_detector(tmp_path / "text.pt", "cpu")


class Evil:
    """Runs a command when it is unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_runs_no_code(detector, tmp_path):
    import torch

    torch.save({"model": Evil(tmp_path / "touched")}, tmp_path / "evil.pt")
    with pytest.raises(DataError):
        load_detector(tmp_path / "evil.pt", "cpu")
    assert not (tmp_path / "touched").exists()


def test_without_ultralytics_the_install_command_is_given(detector, monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics.nn.tasks", None)
    with pytest.raises(MissingToolError, match=r"pip install '\.\[yolo\]'"):
        load_detector(detector, "cpu")


@pytest.mark.parametrize(
    "bad", [{"threshold": 2.0}, {"iou": -1.0}, {"boxes_per_phrase": 0}, {"image_size": 100}]
)
def test_options_out_of_range(bad):
    with pytest.raises(ValueError):
        Options(**bad)


def test_importing_the_module_loads_nothing_heavy():
    code = (
        "import sys, extract.grounding.yolo_world, extract.grounding.annotations, "
        "extract.crops.plan\n"
        "import extract.commands.phrases, extract.phrases.nltk, extract.phrases.spacy\n"
        "import extract.phrases.textblob, extract.commands.crops, extract.commands.crop_dict\n"
        "heavy = {'torch', 'transformers', 'ultralytics', 'spacy', 'nltk', 'textblob', 'cv2'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
