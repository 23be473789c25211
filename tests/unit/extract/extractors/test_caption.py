"""Captions: beam search on tiny checkpoints of each kind, and captions from a list."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.extractors import caption, caption_list
from extract.tables.rows import STATUS, Item
from tests.builders.extract.tiny_captioners import WRITERS, write_captioner

# Florence-2 takes its tasks alone.
PROMPTS = [(kind, prompt) for kind in WRITERS for prompt in ("", "a p") if kind != "florence2"]
PROMPTS += [("florence2", "<CAPTION>")]

Checkpoint = Callable[[str], Path]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The folder of a kind's checkpoint, written when it is first asked for."""
    folder = tmp_path_factory.mktemp("captioners")

    def get(kind: str) -> Path:
        path = folder / kind
        return path if path.exists() else write_captioner(kind, path)

    return get


@pytest.fixture(scope="module")
def blip(checkpoint: Checkpoint) -> Path:
    return checkpoint("blip")


@pytest.fixture(scope="module")
def items() -> list[Item]:
    rng = np.random.default_rng(0)
    sizes = [(50, 41), (33, 90), (32, 32)]
    images = [Image.fromarray(rng.integers(0, 255, (h, w, 3), np.uint8)) for w, h in sizes]
    images.append(Image.new("RGB", (64, 64), "red"))
    return [Item(str(index), image) for index, image in enumerate(images)]


def load(path: Path, **options: object) -> caption.Extractor:
    extractor = caption.Extractor(caption.Options(**{"max_new_tokens": 8, **options}))
    extractor.load({"captioner": path}, "cpu")
    return extractor


def copy_with(path: Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    """Copy a checkpoint and change its tensors in place."""
    shutil.copytree(path, folder)
    tensors = load_file(path / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(("kind", "prompt"), PROMPTS)
def test_captions_are_best_first_whatever_the_batch(
    kind: str, prompt: str, items: list[Item], checkpoint: Checkpoint
) -> None:
    extractor = load(checkpoint(kind), num_captions=3, num_beams=4, prompt=prompt)
    many = extractor.extract(items)
    for item, result in zip(items, many, strict=True):
        assert 3 >= len(result.text) == len(result.scores) == len(set(result.text)) > 0
        assert (np.diff(result.scores) <= 0).all() and (result.scores < 0).all()
        alone = extractor.extract([item])[0]
        assert alone.text == result.text
        assert alone.scores == pytest.approx(result.scores, abs=1e-4)
    assert len({tuple(result.text) for result in many}) > 1, "captions ignore the image"


@pytest.mark.parametrize(("kind", "prompt"), PROMPTS)
def test_the_best_caption_is_what_transformers_itself_writes(
    kind: str, prompt: str, items: list[Item], checkpoint: Checkpoint
) -> None:
    extractor = load(checkpoint(kind), num_beams=3, prompt=prompt)
    for item in items:
        text, score = by_the_model_card(kind, checkpoint(kind), item.image, prompt)
        result = extractor.extract([item])[0]
        assert result.text == [text]
        assert result.scores[0] == pytest.approx(score, abs=1e-5)


@cache
def loaded_by_the_model_card(kind: str, path: Path) -> tuple[Any, Any, Any]:
    """Return model, tokenizer, and what preprocesses the image."""
    from transformers import (
        AutoImageProcessor,
        AutoModelForImageTextToText,
        AutoProcessor,
        AutoTokenizer,
    )

    model = AutoModelForImageTextToText.from_pretrained(path)
    if kind == "vit_gpt2":
        images = AutoImageProcessor.from_pretrained(path, backend="pil")
        return model, AutoTokenizer.from_pretrained(path), images
    processor = AutoProcessor.from_pretrained(path, backend="pil")
    return model, processor.tokenizer, processor


def by_the_model_card(kind: str, path: Path, image: Image.Image, prompt: str) -> tuple[str, float]:
    """Caption an image with the few lines that the model's documentation shows."""
    model, tokenizer, processor = loaded_by_the_model_card(kind, path)
    if kind in ("git", "vit_gpt2"):
        inputs = dict(processor(images=image, return_tensors="pt"))
        words = tokenizer(prompt, add_special_tokens=False).input_ids
        if prompt and kind == "git":
            inputs["input_ids"] = torch.tensor([[tokenizer.cls_token_id, *words]])
        elif prompt:
            start = model.config.decoder_start_token_id
            inputs["decoder_input_ids"] = torch.tensor([[start, *words]])
    else:
        inputs = dict(processor(images=image, text=prompt or None, return_tensors="pt"))
    if prompt and kind == "blip2":
        # The closing token is this tokenizer's own; that of OPT only opens.
        inputs |= {name: inputs[name][:, :-1] for name in ("input_ids", "attention_mask")}
    result = model.generate(
        **inputs, num_beams=3, max_new_tokens=8, return_dict_in_generate=True, output_scores=True
    )
    text = tokenizer.decode(result.sequences[0], skip_special_tokens=True)
    if kind != "florence2":
        assert text.startswith(prompt)
        text = text[len(prompt) :]
    return " ".join(text.split()), float(result.sequences_scores[0])


def test_the_score_is_the_mean_log_probability_of_the_caption(
    blip: Path, items: list[Item]
) -> None:
    extractor = load(blip, num_beams=3)
    image = items[0].image
    inputs = extractor.processor(images=[image], return_tensors="pt")
    result = extractor.model.generate(
        **inputs, num_beams=3, max_new_tokens=8, return_dict_in_generate=True, output_scores=True
    )
    steps = extractor.model.text_decoder.compute_transition_scores(
        result.sequences, result.scores, result.beam_indices, normalize_logits=False
    )
    n_steps = (result.beam_indices >= 0).sum()
    expected = float(steps[0, :n_steps].sum() / n_steps)
    assert extractor.extract(items[:1])[0].scores[0] == pytest.approx(expected, abs=1e-4)


def test_without_beams_there_is_no_score(blip: Path, items: list[Item]) -> None:
    result = load(blip, num_beams=1).extract(items[:1])[0]
    assert len(result.text) == 1 and np.isnan(result.scores).all()


@pytest.mark.parametrize("kind", WRITERS)
def test_bfloat16_gives_nearly_the_same_scores(
    kind: str, items: list[Item], checkpoint: Checkpoint
) -> None:
    prompt = "<CAPTION>" if kind == "florence2" else ""
    exact, rounded = (
        load(checkpoint(kind), prompt=prompt, compute=compute).extract(items)
        for compute in ("float32", "bfloat16")
    )
    scores = np.array([[a.scores[0], b.scores[0]] for a, b in zip(exact, rounded, strict=True)])
    assert (scores[:, 0] != scores[:, 1]).any()
    # One image in four may go another way: the networks are random, and so no caption is likely.
    assert np.median(np.abs(scores[:, 0] - scores[:, 1])) < 0.05


@pytest.mark.parametrize("kind", WRITERS)
def test_the_image_processor_is_backed_by_pillow(kind: str, checkpoint: Checkpoint) -> None:
    prompt = "<CAPTION>" if kind == "florence2" else ""
    processor = load(checkpoint(kind), prompt=prompt).processor.image_processor
    assert type(processor).__name__.endswith("Pil")


def test_images_are_prepared_in_threads_once_the_processor_is_there(
    blip: Path, items: list[Item]
) -> None:
    assert caption.Extractor(caption.Options()).prepare(items[0]) is None
    extractor = load(blip, prompt="a p")
    with ThreadPoolExecutor(4) as pool:
        inputs = list(pool.map(extractor.prepare, items * 4))
    prepared = [
        replace(item, image=None, prepared=one) for item, one in zip(items * 4, inputs, strict=True)
    ]
    expected = extractor.extract(items)
    for result, item in zip(extractor.extract(prepared), items * 4, strict=True):
        assert result.text == expected[items.index(item)].text


def test_inputs_of_other_shapes_do_not_share_a_batch(blip: Path, items: list[Item]) -> None:
    """As those of a processor that keeps the aspect ratio."""
    extractor = load(blip)
    inputs = [extractor.prepare(item) for item in items]
    inputs[1]["input_ids"] = torch.tensor([[0, 0]])
    assert caption._equal_shapes(inputs) == [[0, 2, 3], [1]]
    prepared = [replace(item, prepared=one) for item, one in zip(items, inputs, strict=True)]
    one_by_one = [extractor.extract([item])[0].text for item in prepared]
    assert [result.text for result in extractor.extract(prepared)] == one_by_one


def test_empty_and_repeated_captions_are_left_out(blip: Path) -> None:
    extractor = load(blip)
    result = extractor._rows(["", ""], np.array([-1.0, -2.0]))
    assert result.status == STATUS["nothing_found"] and result.n_rows == 0
    kept = extractor._rows(["", "a dog", "a cat", "a dog"], np.array([-1.0, -2.0, -3.0, -4.0]))
    assert kept.text == ["a dog", "a cat"] and kept.scores.tolist() == [-2.0, -3.0]


def test_a_caption_that_ends_the_last_word_of_the_prompt_keeps_its_letters(
    checkpoint: Checkpoint,
) -> None:
    extractor = load(checkpoint("git"), prompt="bus")
    ids = extractor.processor.tokenizer.convert_tokens_to_ids
    sequence = ids(["[CLS]", "b", "##u", "##s", "##e", "##s", "i", "[SEP]", "[PAD]"])
    assert extractor._decode(sequence, 4) == "es i"


def test_an_incomplete_checkpoint_is_refused(blip: Path, tmp_path: Path) -> None:
    name = "vision_model.encoder.layers.1.mlp.fc1.weight"
    path = copy_with(blip, tmp_path / "copy", lambda tensors: tensors.pop(name))
    with pytest.raises(DataError, match=r"missing .*fc1\.weight"):
        load(path)


def test_old_constants_of_gpt2_are_no_weights(checkpoint: Checkpoint, tmp_path: Path) -> None:
    def add(*names: str) -> Callable[[dict[str, torch.Tensor]], None]:
        return lambda tensors: tensors.update(
            {f"decoder.transformer.h.{name}": torch.ones(1) for name in names}
        )

    old = ("0.attn.bias", "0.attn.masked_bias", "1.crossattention.masked_bias")
    load(copy_with(checkpoint("vit_gpt2"), tmp_path / "old", add(*old)))
    with pytest.raises(DataError, match=r"unexpected decoder\.transformer\.h\.2"):
        load(copy_with(checkpoint("vit_gpt2"), tmp_path / "more", add("2.attn.masked_bias")))


def test_a_prompt_that_the_processor_refuses_is_a_user_error(checkpoint: Checkpoint) -> None:
    with pytest.raises(ConfigError, match=r"'<CAPTION> please'.*only content"):
        load(checkpoint("florence2"), prompt="<CAPTION> please")


def test_other_models_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"config\.json"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip_text_model"}))
    with pytest.raises(MissingFileError, match="no weights"):
        load(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match="not a captioning checkpoint"):
        load(tmp_path)


def test_a_checkpoint_without_tokenizer_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = shutil.copytree(checkpoint("vit_gpt2"), tmp_path / "copy")
    for file in path.glob("*token*"):
        file.unlink()
    with pytest.raises(MissingFileError, match="no usable tokenizer"):
        load(path)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="num_captions"):
        caption.Options(num_captions=5, num_beams=4)
    with pytest.raises(ValueError, match="max_new_tokens"):
        caption.Options(max_new_tokens=0)


def test_listed_captions_keep_their_order() -> None:
    item = Item("a", None, captions=("first", " ", "second", "third"))
    everything = caption_list.Extractor(caption_list.Options()).extract([item])[0]
    assert everything.text == ["first", "second", "third"]
    two = caption_list.Extractor(caption_list.Options(max_captions=2)).extract([item])[0]
    assert two.text == ["first", "second"]


def test_an_image_without_listed_caption_is_nothing_found() -> None:
    extractor = caption_list.Extractor(caption_list.Options())
    assert extractor.needs == {"captions"}
    result = extractor.extract([Item("a", None), Item("b", None, captions=("x",))])
    assert [rows.status for rows in result] == [STATUS["nothing_found"], STATUS["ok"]]
    assert result[0].reason == "no caption in the list"
