"""Grounding DINO on a tiny random network, compared with what transformers itself makes of it."""

import copy
import dataclasses
import json
import logging
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.grounding.grounding_dino import Extractor, Options, resized_size
from extract.images.decode import load_image
from extract.networks.checkpoints.tokenizer_files import PROBE
from extract.networks.pixels import IMAGENET_MEAN, IMAGENET_STD, network_input, normalize
from extract.tables.rows import STATUS, Item, Phrase
from tests.builders.extract.tiny_grounding_dino import (
    LONGEST_EDGE,
    SHORTEST_EDGE,
    write_tiny_grounding_dino,
)

SIZES = {"shortest_edge": SHORTEST_EDGE, "longest_edge": LONGEST_EDGE}
# Everything that the network finds.
ALL = {"threshold": 0.0, "iou": 1.0, "boxes_per_phrase": 999, "boxes_per_image": 999}

# Network of 1e-7 precision: what shares a batch moves the last digits. Boxes are in pixels.
BOX_ATOL, SCORE_ATOL = 2e-3, 1e-5


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return write_tiny_grounding_dino(tmp_path_factory.mktemp("dino") / "tiny")


@pytest.fixture(scope="module")
def short_checkpoint(tmp_path_factory) -> Path:
    """Reads no more than 24 tokens."""
    return write_tiny_grounding_dino(tmp_path_factory.mktemp("dino") / "short", max_text_len=24)


@pytest.fixture(scope="module")
def processor(checkpoint):
    """transformers' own, with its Pillow image processor."""
    from transformers import AutoTokenizer, GroundingDinoImageProcessorPil, GroundingDinoProcessor

    images = GroundingDinoImageProcessorPil.from_pretrained(checkpoint)
    return GroundingDinoProcessor(images, AutoTokenizer.from_pretrained(checkpoint))


@cache
def loaded(path: Path) -> Extractor:
    return load(path)


def load(path: Path, **options) -> Extractor:
    extractor = Extractor(Options(**{"threshold": 0.3, **SIZES, **options}))
    extractor.load({"detector": path}, "cpu")
    return extractor


def grounder(path: Path, **options) -> Extractor:
    """An extractor whose weights are read once a file."""
    extractor = copy.copy(loaded(path))
    extractor.options = dataclasses.replace(extractor.options, **options)
    return extractor


def item(image_id, width, height, phrases, seed=0) -> Item:
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
    found = tuple(Phrase(text, i, i + 1) for i, text in enumerate(phrases))
    return Item(image_id, image, phrases=found)


ITEMS = [
    item("wide", 200, 120, ["red ball", "old Dog", "Red Ball"]),
    item("high", 70, 161, ["cat"], seed=1),
    item("none", 64, 64, [], seed=2),
    item("square", 128, 128, ["dog", "U.S. cat", "what? ball", "old"], seed=3),
    item("wide too", 100, 60, ["ball", "a long name of a thing"], seed=4),
    item("small square", 5, 5, ["cat", "café ☃"], seed=5),
    item("odd", 97, 61, ["#tag @user", "x"], seed=6),
]
WITH_PHRASES = [entry for entry in ITEMS if entry.phrases]


def assert_same(a, b):
    assert list(a.text) == list(b.text)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=BOX_ATOL)
    np.testing.assert_allclose(a.scores, b.scores, atol=SCORE_ATOL)
    assert (a.status, a.reason) == (b.status, b.reason)


def library_outputs(processor, checkpoint, image, labels):
    """Inputs and raw outputs of transformers' high-level calls."""
    from transformers import AutoModelForZeroShotObjectDetection

    model = AutoModelForZeroShotObjectDetection.from_pretrained(checkpoint).eval()
    inputs = processor(images=image, text=[labels], return_tensors="pt")
    with torch.no_grad():
        return inputs, model(**inputs)


def post_process(processor, inputs, outputs, image, threshold):
    (found,) = processor.post_process_grounded_object_detection(
        outputs, inputs.input_ids, threshold=threshold, text_threshold=threshold,
        target_sizes=[(image.height, image.width)],
    )  # fmt: skip
    limit = torch.tensor([image.width, image.height] * 2)
    boxes = torch.minimum(found["boxes"].clamp(min=0), limit)
    return boxes.numpy(), found["scores"].numpy(), found["text_labels"]


def cleaned(text: str) -> str:
    return text.lower().replace(".", " ").replace("?", " ")


@pytest.mark.parametrize("entry", WITH_PHRASES, ids=lambda entry: entry.image_id)
def test_boxes_and_scores_are_those_of_transformers(checkpoint, processor, entry):
    texts = list(dict.fromkeys(cleaned(phrase.text) for phrase in entry.phrases))
    inputs, outputs = library_outputs(processor, checkpoint, entry.image, texts)
    delimiters = torch.isin(inputs.input_ids[0], torch.tensor([101, 102, 1012, 1029]))
    # There a box may owe its score to a delimiter, which belongs to no phrase.
    outputs.logits[..., : len(delimiters)][..., delimiters] = -torch.inf
    boxes, scores, labels = post_process(processor, inputs, outputs, entry.image, 0.3)
    (found,) = grounder(checkpoint, **ALL | {"threshold": 0.3}).extract([entry])
    order = np.argsort(-scores, kind="stable")
    assert found.n_rows == len(order) > 3
    np.testing.assert_allclose(found.scores, scores[order], atol=SCORE_ATOL)
    np.testing.assert_allclose(found.boxes, boxes[order], atol=BOX_ATOL)
    # Its label holds the tokens above the threshold: the best of them is one of our phrase.
    tokenizer = processor.tokenizer
    best = outputs.logits[0].argmax(-1)[outputs.logits[0].sigmoid().amax(-1) > 0.3]
    for row, place in enumerate(order):
        token = inputs.input_ids[0, best[place]].item()
        own = tokenizer(cleaned(found.text[row]), add_special_tokens=False)["input_ids"]
        assert token in own
        assert tokenizer.convert_ids_to_tokens(token).removeprefix("##") in labels[place]


def test_the_network_sees_what_transformers_shows_it(checkpoint, processor):
    entry = ITEMS[3]
    _, outputs = library_outputs(processor, checkpoint, entry.image, ["dog", "a cat"])
    extractor = grounder(checkpoint)
    prompts = extractor._prompts.write(["Dog", "a cat."])
    logits, boxes = extractor._predict([extractor.prepare(entry).pixels], prompts)
    np.testing.assert_allclose(logits.sigmoid(), outputs.logits.sigmoid(), atol=SCORE_ATOL)
    np.testing.assert_allclose(boxes, outputs.pred_boxes, atol=1e-5)


def test_a_delimiter_gives_no_score(checkpoint, processor):
    entry = ITEMS[0]
    inputs, outputs = library_outputs(processor, checkpoint, entry.image, ["red ball", "old dog"])
    boxes, scores, _ = post_process(processor, inputs, outputs, entry.image, 0.0)
    (found,) = grounder(checkpoint, **ALL).extract([entry])
    theirs = {tuple(np.round(box, 1)): score for box, score in zip(boxes, scores, strict=True)}
    ours = {tuple(np.round(b, 1)): s for b, s in zip(found.boxes, found.scores, strict=True)}
    assert len(theirs) == len(ours) == 20 and theirs.keys() == ours.keys()
    gaps = np.array([theirs[box] - ours[box] for box in ours])
    assert (gaps > -SCORE_ATOL).all() and (gaps > 0.01).any()


@pytest.mark.parametrize(
    "size", [(200, 120), (61, 97), (5, 5), (64, 64), (107, 40), (300, 41), (400, 63), (64, 500)]
)
def test_preprocessing_is_that_of_transformers(checkpoint, processor, size):
    entry = item("x", *size, [])
    expected = processor.image_processor(images=entry.image, return_tensors="pt")["pixel_values"]
    extractor = Extractor(Options(**SIZES))
    view = extractor.prepare(entry)
    pixels = normalize(network_input([view.pixels], "cpu"), IMAGENET_MEAN, IMAGENET_STD)
    assert pixels.shape == expected.shape and view.image_size == size
    np.testing.assert_allclose(pixels, expected, atol=1e-5)


def test_sizes_of_the_published_checkpoint():
    assert resized_size((640, 480), 800, 1333) == (1066, 800)
    assert resized_size((1200, 600), 800, 1333) == (1333, 666)
    assert resized_size((600, 1200), 800, 1333) == (666, 1333)
    assert resized_size((1333, 500), 800, 1333) == (1333, 500)
    assert resized_size((5000, 1), 800, 1333)[1] == 1


def test_prompts_are_those_of_transformers(checkpoint, processor):
    phrases = ["A dog", "café owner ☃", "x-ray", "don't", "#tag @user"]
    (prompt,) = grounder(checkpoint)._prompts.write(phrases)
    assert list(prompt.token_ids) == processor(text=[phrases])["input_ids"][0]
    assert prompt.phrases == (0, 1, 2, 3, 4)
    for phrase, (start, end) in zip(phrases, prompt.spans, strict=True):
        own = processor.tokenizer(phrase, add_special_tokens=False)["input_ids"]
        assert list(prompt.token_ids[start:end]) == own


def test_phrases_are_never_split_and_never_asked_twice(checkpoint):
    writer = grounder(checkpoint)._prompts
    texts = ["St. John", "...", "what?", "U.S.", "u s", "[SEP]", "?"]
    (prompt,) = writer.write(texts)
    assert prompt.phrases == (0, 2, 3, 5)
    (plain,) = writer.write(["st john", "what", "u s", "[sep]"])
    assert (prompt.token_ids, prompt.spans) == (plain.token_ids, plain.spans)
    assert prompt.token_ids.count(102) == 1 and prompt.token_ids[-1] == 102
    assert writer.write(["..", "?"]) == writer.write([]) == []


def test_batch_of_one_equals_batch_of_many(checkpoint):
    for options in ({}, {"boxes_per_phrase": 3, "nms": "across_phrases", "phrase_score": "mean"}):
        extractor = grounder(checkpoint, **options)
        together = extractor.extract(ITEMS)
        assert sum(found.n_rows for found in together) > len(WITH_PHRASES)
        alone = [extractor.extract([entry])[0] for entry in reversed(ITEMS)]
        for many, one in zip(together, reversed(alone), strict=True):
            assert_same(many, one)
        for many, again in zip(together, reversed(extractor.extract(ITEMS[::-1])), strict=True):
            assert_same(many, again)
    assert extractor.extract([]) == []


def test_images_of_one_shape_share_a_forward_pass(checkpoint, monkeypatch):
    extractor = grounder(checkpoint)
    shapes = []
    predict = extractor._predict

    def counted(pixels, prompts):
        shapes.append((len(pixels), *pixels[0].shape[:2]))
        return predict(pixels, prompts)

    monkeypatch.setattr(extractor, "_predict", counted)
    extractor.extract(ITEMS)
    assert sorted(shapes) == [(1, 72, 114), (1, 120, 52), (2, 72, 72), (2, 72, 120)]


def test_more_phrases_than_a_prompt_holds(short_checkpoint, monkeypatch):
    texts = ["red ball", "old dog", "cat", "a house", "tree", "blue sky", "man"]
    entry = item("many", 90, 64, texts)
    extractor = grounder(short_checkpoint, **ALL)
    prompts = extractor._prompts.write(texts)
    assert [prompt.phrases for prompt in prompts] == [(0, 1, 2), (3, 4, 5), (6,)]
    assert all(len(prompt.token_ids) <= 24 for prompt in prompts)
    shapes = []
    predict = extractor._predict
    monkeypatch.setattr(extractor, "_predict", lambda x, p: shapes.append(len(p)) or predict(x, p))
    (found,) = extractor.extract([entry])
    # A batch of one stays one image a forward pass.
    assert shapes == [1, 1, 1] and found.n_rows == 60
    for prompt in prompts:
        group = {texts[index] for index in prompt.phrases}
        phrases = tuple(phrase for phrase in entry.phrases if phrase.text in group)
        (alone,) = extractor.extract([Item("x", entry.image, phrases=phrases)])
        rows = [row for row, text in enumerate(found.text) if text in group]
        assert [found.text[row] for row in rows] == list(alone.text)
        np.testing.assert_allclose(found.boxes[rows], alone.boxes, atol=BOX_ATOL)
        np.testing.assert_allclose(found.scores[rows], alone.scores, atol=SCORE_ATOL)


def test_a_phrase_longer_than_a_prompt_is_cut_with_a_warning(short_checkpoint, caplog):
    extractor = grounder(short_checkpoint, threshold=0.0)
    with caplog.at_level(logging.WARNING):
        (found,) = extractor.extract([item("long", 64, 64, ["cat", "word " * 30, "dog"])])
    assert "a phrase of 120 tokens is cut to 21: 'word word" in caplog.text
    assert found.n_rows == 3


def test_rows_are_ordered_lie_in_the_image_and_obey_the_limits(checkpoint):
    options = {"threshold": 0.0, "boxes_per_phrase": 2, "boxes_per_image": 5, "iou": 0.5}
    from torchvision.ops import box_iou

    for entry, found in zip(ITEMS, grounder(checkpoint, **options).extract(ITEMS), strict=True):
        if not entry.phrases:
            assert (found.status, found.reason) == (STATUS["nothing_found"], "no phrase")
            continue
        assert 0 < found.n_rows <= 5
        assert (np.diff(found.scores) <= 0).all()
        assert all(list(found.text).count(text) <= 2 for text in found.text)
        assert set(found.text) <= {phrase.text for phrase in entry.phrases} - {"Red Ball"}
        x1, y1, x2, y2 = found.boxes.T
        assert (x1 >= 0).all() and (y1 >= 0).all() and (x1 < x2).all() and (y1 < y2).all()
        assert (x2 <= entry.image.width).all() and (y2 <= entry.image.height).all()
        assert found.boxes.dtype == found.scores.dtype == np.float32
        for text in set(found.text):
            of_phrase = torch.from_numpy(found.boxes[[t == text for t in found.text]])
            assert (box_iou(of_phrase, of_phrase) - torch.eye(len(of_phrase))).max() <= 0.5


def test_suppression_across_phrases_leaves_no_overlap(checkpoint):
    from torchvision.ops import box_iou

    def overlap(**options):
        found = grounder(checkpoint, **ALL | {"iou": 0.5, **options}).extract([ITEMS[3]])[0]
        boxes = torch.from_numpy(found.boxes)
        return (box_iou(boxes, boxes) - torch.eye(len(boxes))).max()

    assert overlap(nms="across_phrases") <= 0.5 < overlap(nms="per_phrase")


def test_a_query_goes_to_the_phrase_of_its_best_token(checkpoint):
    extractor = grounder(checkpoint, threshold=0.5)
    (prompt,) = extractor._prompts.write(["ab", "c"])
    assert prompt.spans == ((1, 3), (4, 5))
    of_token = torch.tensor([
        # [CLS] a    b    .    c    .    [SEP]
        [0.99, 0.2, 0.9, 0.99, 0.8, 0.9, 0.9],
        [0.0, 0.6, 0.1, 0.0, 0.7, 0.0, 0.0],
        [0.99, 0.5, 0.4, 0.99, 0.3, 0.9, 0.9],
    ])  # fmt: skip
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.4], [0.1, 0.9, 0.4, 0.4], [0.5, 0.5, 1.0, 1.0]])
    found = extractor._select(of_token.logit(eps=1e-6), boxes, prompt, (100, 50))
    assert found.phrases.tolist() == [0, 1]
    np.testing.assert_allclose(found.scores, [0.9, 0.7], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, [[40, 15, 60, 35], [0, 35, 30, 50]], atol=1e-4)
    mean = grounder(checkpoint, threshold=0.5, phrase_score="mean")
    found = mean._select(of_token.logit(eps=1e-6), boxes, prompt, (100, 50))
    assert found.phrases.tolist() == [1, 1]
    np.testing.assert_allclose(found.scores, [0.8, 0.7], rtol=1e-5)


def test_threshold_leaves_nothing_and_says_so(checkpoint):
    (found,) = grounder(checkpoint, threshold=1.0).extract(ITEMS[:1])
    assert (found.status, found.n_rows) == (STATUS["nothing_found"], 0)
    assert found.reason == "no box above the threshold 1"
    (found,) = grounder(checkpoint).extract([item("dots", 9, 9, ["...", "?"])])
    assert (found.status, found.reason) == (STATUS["nothing_found"], "no phrase with a word")


def test_an_image_that_exif_turns_gives_boxes_of_the_upright_image(checkpoint, tmp_path):
    upright = item("x", 90, 41, []).image
    stored, exif = upright.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6
    stored.save(tmp_path / "turned.png", exif=exif)
    phrases = (Phrase("dog", 0, 1), Phrase("cat", 1, 2))
    turned = load_image(tmp_path / "turned.png")
    assert turned.size == upright.size
    extractor = grounder(checkpoint, threshold=0.0)
    found, expected = extractor.extract(
        [Item("a", turned, phrases=phrases), Item("b", upright, phrases=phrases)]
    )
    assert_same(found, expected)


@pytest.mark.parametrize("size", [(1, 1), (700, 1), (1, 700), (3, 200)])
def test_extremely_long_images_have_a_place_for_each_query(checkpoint, size):
    (found,) = grounder(checkpoint, threshold=0.0).extract([item("long", *size, ["cat", "dog"])])
    assert found.n_rows > 0
    assert (found.boxes[:, 2:] <= np.array(size)).all()


def test_options_must_describe_the_checkpoint(checkpoint, tmp_path, caplog):
    with pytest.raises(ConfigError, match=r"mean is \(0.5, .*Set mean: \[0.485, 0.456, 0.406\]"):
        load(checkpoint, mean=(0.5, 0.5, 0.5))
    with pytest.raises(ConfigError, match=r"9 places for the 20 queries.*at least 33"):
        load(checkpoint, shortest_edge=24)
    load(checkpoint, shortest_edge=33)
    assert "was made for images of" in caplog.text
    caplog.clear()
    shutil.copytree(checkpoint, tmp_path / "bare")
    (tmp_path / "bare" / "preprocessor_config.json").unlink()
    load(tmp_path / "bare", mean=(0.5, 0.5, 0.5))
    assert caplog.text == ""


def test_missing_files_are_named(checkpoint, tmp_path):
    with pytest.raises(MissingFileError, match=r"gone/config\.json: no such file"):
        load(tmp_path / "gone")
    folder = tmp_path / "tiny"
    shutil.copytree(checkpoint, folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(MissingFileError, match=r"tiny: no usable tokenizer"):
        load(folder)
    (folder / "model.safetensors").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"tiny/model\.safetensors: the weights cannot be read"):
        load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(MissingFileError, match="no weights: expected model"):
        load(folder)
    (folder / "config.json").write_text('{"model_type": "owlvit"}')
    with pytest.raises(DataError, match="owlvit"):
        load(folder)


def test_another_tokenizer_is_refused(checkpoint, tmp_path):
    from transformers import BertTokenizer

    shutil.copytree(checkpoint, tmp_path / "tiny")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *PROBE]
    n_words = json.loads((checkpoint / "config.json").read_bytes())["text_config"]["vocab_size"]
    words += [f"[filler{row}]" for row in range(len(words), n_words)]
    other = BertTokenizer(vocab={word: index for index, word in enumerate(words)})
    other.save_pretrained(tmp_path / "tiny")
    with pytest.raises(DataError, match=r"as 2, 3 and 5, .* 101, 102, 1012, 1029"):
        load(tmp_path / "tiny")


@pytest.mark.parametrize("change", ["missing", "unexpected"])
def test_every_tensor_is_accounted_for(checkpoint, tmp_path, change):
    shutil.copytree(checkpoint, tmp_path / "tiny")
    file = tmp_path / "tiny" / "model.safetensors"
    tensors = load_file(file)
    if change == "missing":
        del tensors["model.encoder.layers.0.fusion_layer.vision_param"]
    else:
        tensors["model.extra"] = torch.zeros(1)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(DataError, match=rf"{change} model\.e"):
        load(tmp_path / "tiny")


@pytest.mark.parametrize(
    "bad",
    [
        {"threshold": 2.0},
        {"iou": -1.0},
        {"boxes_per_phrase": 0},
        {"shortest_edge": 0},
        {"shortest_edge": 900, "longest_edge": 800},
    ],
)
def test_options_out_of_range(bad):
    with pytest.raises(ValueError):
        Options(**bad)


def test_options_survive_json():
    from extract.core.options import options_from

    record = json.loads(json.dumps(dataclasses.asdict(Options(iou=0.5))))
    assert options_from(Options, record, "x") == Options(iou=0.5)
