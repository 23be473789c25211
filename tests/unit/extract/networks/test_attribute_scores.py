"""Attributes by CLIP: prompts, cache, and the places of a row."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from extract.core.errors import DataError, MissingFileError
from extract.networks.attribute_scores import (
    AttributeScorer,
    best_attributes,
    check_prompt,
    fill_prompt,
)
from extract.networks.random_weights import write_random_weights
from tests.builders.extract.tiny_faster_rcnn import picture
from tests.builders.extract.tiny_regions import CLIP, WORDS


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "clip"
    write_random_weights(CLIP, 0, folder)
    return folder


def test_each_prompt_is_embedded_once(clip_folder: Path) -> None:
    scorer = AttributeScorer(clip_folder, "cpu", words=WORDS, prompt="a {attribute} {class}")
    crops = [picture(30, 20, seed=seed) for seed in range(3)]
    asked: list[int] = []
    embed = scorer._model.get_text_features

    def counted(input_ids: torch.Tensor, **more: torch.Tensor) -> object:
        asked.append(len(input_ids))
        return embed(input_ids=input_ids, **more)

    scorer._model.get_text_features = counted
    first = scorer.score(crops, ["dog", "cat", "dog"])
    again = scorer.score(crops, ["dog", "cat", "dog"])
    assert asked == [5, 5] and np.array_equal(first, again)
    np.testing.assert_allclose(first.sum(axis=1), 1, rtol=1e-5)
    alone = scorer.score(crops[2:], ["dog"])
    np.testing.assert_allclose(alone[0], first[2], rtol=1e-4)
    assert len({row.tobytes() for row in first}) == 3


def test_at_most_16_attributes_best_first() -> None:
    scores = np.full((2, 30), 0.01, np.float32)
    scores[0, 5:25] = np.linspace(0.06, 0.07, 20)
    scores[1, [3, 7]] = 0.3, 0.5
    attributes, kept = best_attributes(scores, score_min=0.05)
    assert attributes[0].tolist() == list(range(24, 8, -1))
    assert attributes[1].tolist() == [7, 3, *[-1] * 14]
    assert kept[1, :2].tolist() == pytest.approx([0.5, 0.3]) and np.isnan(kept[1, 2:]).all()
    assert attributes.dtype == np.int32 and kept.dtype == np.float32
    few, _ = best_attributes(scores[:, :3], score_min=0.0)
    assert few[0].tolist() == [0, 1, 2, *[-1] * 13]


def test_a_prompt_has_a_place_for_the_attribute() -> None:
    assert fill_prompt("a {attribute} {class}", "red", "{x}") == "a red {x}"
    assert check_prompt("something {attribute}") is None
    for prompt in ("a {class}", "a {attribute} {thing}", "a {attribute} {}", "a {attribute"):
        with pytest.raises(ValueError, match=r"prompt|expected '}'"):
            check_prompt(prompt)


def test_half_a_clip_model_is_refused(clip_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no usable tokenizer"):
        AttributeScorer(tmp_path, "cpu", words=WORDS, prompt="{attribute}")
    for file in clip_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"missing visual_projection\.weight"):
        AttributeScorer(tmp_path, "cpu", words=WORDS, prompt="{attribute}")
