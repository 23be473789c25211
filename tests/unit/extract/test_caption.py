"""Captions: beam search on tiny BLIP and BLIP-2 checkpoints, and captions from a list."""

import json
import string
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from extract.errors import DataError, MissingFileError
from extract.extractors import caption, caption_list
from extract.extractors.base import Item
from extract.manifest import STATUS
from extract.random_weights import write_random_weights

TINY = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
# A wide initialisation, so that random captions depend on the image.
VISION = {**TINY, "image_size": 32, "patch_size": 8, "initializer_range": 0.5}


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("caption") / "blip"
    text = {**TINY, "initializer_range": 0.5}
    write_random_weights({"kind": "blip", "vision": VISION, "text": text}, 0, folder)
    return folder


@pytest.fixture(scope="module")
def blip2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder-only captioner: its prompt holds image tokens."""
    from transformers import (
        BertTokenizer,
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        BlipImageProcessorPil,
        OPTConfig,
    )

    torch.manual_seed(0)
    words = ["<pad>", "</s>", "<unk>", "<m>", *string.ascii_lowercase]
    tokenizer = BertTokenizer(
        vocab={word: index for index, word in enumerate(words)},
        **dict.fromkeys(("cls_token", "sep_token", "bos_token", "eos_token"), "</s>"),
        **{"pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<m>"},
    )
    image_processor = BlipImageProcessorPil(size={"height": 32, "width": 32})
    processor = Blip2Processor(image_processor, tokenizer, num_query_tokens=4)
    text_config = OPTConfig(
        vocab_size=len(processor.tokenizer),
        hidden_size=16,
        word_embed_proj_dim=16,
        ffn_dim=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        init_std=0.5,
        **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1},
    )
    config = Blip2Config(
        vision_config=VISION,
        qformer_config={**TINY, "encoder_hidden_size": 16, "vocab_size": 40},
        text_config=text_config.to_dict(),
        num_query_tokens=4,
        image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"),
    )
    model = Blip2ForConditionalGeneration(config)
    model.generation_config.update(eos_token_id=1, pad_token_id=0)
    folder = tmp_path_factory.mktemp("blip2")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


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


@pytest.mark.parametrize("checkpoint", ["blip", "blip2"])
@pytest.mark.parametrize("prompt", ["", "a p"])
def test_captions_are_best_first_whatever_the_batch(
    checkpoint: str, prompt: str, items: list[Item], request: pytest.FixtureRequest
) -> None:
    extractor = load(
        request.getfixturevalue(checkpoint), num_captions=3, num_beams=4, prompt=prompt
    )
    many = extractor.extract(items)
    for item, result in zip(items, many, strict=True):
        assert len(result.text) == len(result.scores) > 0
        assert (np.diff(result.scores) <= 0).all() and (result.scores < 0).all()
        assert not prompt or not any(text.startswith(prompt) for text in result.text)
        alone = extractor.extract([item])[0]
        assert alone.text == result.text
        assert alone.scores == pytest.approx(result.scores, abs=1e-4)
    assert len({tuple(result.text) for result in many}) > 1, "captions ignore the image"


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


def test_the_image_processor_is_backed_by_pillow(blip: Path) -> None:
    assert type(load(blip).processor.image_processor).__name__.endswith("Pil")


def test_an_empty_caption_is_nothing_found(blip: Path) -> None:
    result = load(blip)._rows(["", "  "], np.array([-1.0, -2.0]))
    assert result.status == STATUS["nothing_found"] and result.n_rows == 0
    kept = load(blip)._rows(["", "a dog"], np.array([-1.0, -2.0]))
    assert kept.text == ["a dog"] and kept.scores.tolist() == [-2.0]


def test_an_incomplete_checkpoint_is_refused(blip: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in blip.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(blip / "model.safetensors")
    name = next(name for name in tensors if "vision_model" in name and "fc1.weight" in name)
    del tensors[name]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"missing .*fc1\.weight"):
        load(tmp_path)


def test_other_models_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"config\.json"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip_text_model"}))
    with pytest.raises(DataError, match="not a captioning checkpoint"):
        load(tmp_path)


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
