"""No tokenizer is empty, another network's, or damaged without a word, whoever loads it."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extract.core.errors import DataError, MissingFileError
from extract.networks.checkpoints.tokenizer_files import PROBE, load_tokenizer, load_word_tokenizer

pytest.importorskip("torch")

from tests.builders.hub import forms
from tests.builders.hub.families import FAMILIES, Published, lay_once

VOCABULARY = (
    "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "bpe.codes", "*.model",
)  # fmt: skip
SMALL = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Factory: family -> (folder, tensors as in the file)."""
    return lay_once(tmp_path_factory)


def write_prompts(folder: Path) -> Any:
    from extract.networks.grounding_dino_prompts import PromptWriter

    return PromptWriter(folder, [101, 102, 1012, 1029], 256)


def score_attributes(folder: Path) -> Any:
    from extract.networks.attribute_scores import AttributeScorer

    return AttributeScorer(folder, "cpu", words=["red", "old"], prompt="{attribute}")


def embed_phrases(folder: Path) -> Any:
    from extract.grounding.yolo_world import TextEncoder

    return TextEncoder(folder, "cpu")


def caption_images(folder: Path) -> Any:
    from extract.extractors.caption import Extractor, Options

    prompt = "<CAPTION>" if "florence" in folder.name else ""
    Extractor(Options(prompt=prompt)).load({"captioner": folder}, "cpu")


def count_pieces(folder: Path) -> Any:
    from extract.interop.text_views import subword_counter

    return subword_counter(str(folder))


def encode_text(folder: Path) -> Any:
    from train.blocks.text_encoder import TextEncoder

    return TextEncoder(folder, pretrained=True)


def cut_words(folder: Path) -> Any:
    from train.data.pieces import PieceTable

    return PieceTable(folder)


# Module -> (what loads a tokenizer there, the look-alikes that it reads).
LOADERS = {
    "extract/networks/grounding_dino_prompts.py": (write_prompts, ["grounding_dino"]),
    "extract/networks/attribute_scores.py": (score_attributes, ["clip"]),
    "extract/grounding/yolo_world.py": (embed_phrases, ["clip"]),
    "extract/extractors/caption.py": (caption_images, ["blip", "florence"]),
    "extract/interop/text_views.py": (count_pieces, ["bert", "xlm_roberta"]),
    "train/blocks/text_encoder.py": (encode_text, ["bert", "bertweet", "electra", "xlm_roberta"]),
    "train/data/pieces.py": (cut_words, ["deberta", "minilm", "roberta"]),
}
CASES = [(load, name) for load, names in LOADERS.values() for name in names]


def test_tokenizers_are_loaded_in_one_place_and_every_user_of_it_is_tested(
    repo_root: Path,
) -> None:
    makes = re.compile(r"\bAuto(Tokenizer|Processor)\b|Tokenizer(Fast)?\.from_|\bTokenizer\(")
    makers, users = set(), set()
    for package in ("extract", "train"):
        for path in (repo_root / package).rglob("*.py"):
            text, name = path.read_text("utf-8"), path.relative_to(repo_root).as_posix()
            if makes.search(text):
                makers.add(name)
            if "tokenizer_files import" in text:
                users.add(name)
    assert makers == {"extract/networks/checkpoints/tokenizer_files.py"}
    assert users == set(LOADERS)


@pytest.mark.parametrize(("load", "name"), CASES)
def test_the_whole_folder_is_read(published: Published, load: Callable, name: str) -> None:
    load(published(name)[0])


@pytest.mark.parametrize("removed", [VOCABULARY, (*VOCABULARY, *SMALL)], ids=["big", "all"])
@pytest.mark.parametrize(("load", "name"), CASES)
def test_a_folder_without_a_vocabulary_is_refused(
    published: Published, tmp_path: Path, load: Callable, name: str, removed: tuple[str, ...]
) -> None:
    folder = shutil.copytree(published(name)[0], tmp_path / name)
    for pattern in removed:
        for file in folder.glob(pattern):
            file.unlink()
    with pytest.raises(MissingFileError) as caught:
        load(folder)
    message = str(caught.value)
    assert f"{folder}: no usable tokenizer" in message
    assert "xpected tokenizer.json" in message and "The folder holds" in message
    assert "tiktoken" not in message


@pytest.mark.parametrize("name", ["bert", "clip", "blip", "grounding_dino", "xlm_roberta"])
@pytest.mark.parametrize("share", [0.95, 1.001, 1.5])
def test_a_tokenizer_of_another_size_is_refused(
    published: Published, tmp_path: Path, name: str, share: float
) -> None:
    folder = shutil.copytree(published(name)[0], tmp_path / name)
    n_pieces = len(load_tokenizer(folder))
    config = json.loads((folder / "config.json").read_bytes())
    for size in (n_pieces, round(n_pieces / share)):
        config.get("text_config", config)["vocab_size"] = size
        forms.write_json(folder / "config.json", config)
        if share < 1 or size == n_pieces:  # some filling is usual
            load_tokenizer(folder)
    if share > 1:
        with pytest.raises(DataError, match=f"has {n_pieces} pieces, but the network {size} "):
            load_tokenizer(folder)


def test_far_fewer_pieces_than_the_network_has_are_refused(
    published: Published, tmp_path: Path
) -> None:
    """The vocabulary of 2018's form is a text file, of which any beginning can be read."""
    folder = shutil.copytree(published("bert")[0], tmp_path / "bert")
    (folder / "tokenizer.json").unlink()
    lines = (folder / "vocab.txt").read_text("utf-8").splitlines(keepends=True)
    (folder / "vocab.txt").write_text("".join(lines[:1750]), "utf-8")
    with pytest.raises(DataError, match=r"has 1750 pieces, but the network 2000 .* cut off"):
        load_word_tokenizer(folder)


def test_a_tokenizer_put_together_from_two_is_refused(published: Published, tmp_path: Path) -> None:
    folder = shutil.copytree(published("clip")[0], tmp_path / "clip")
    shutil.copyfile(published("bert")[0] / "tokenizer.json", folder / "tokenizer.json")
    with pytest.raises(MissingFileError, match="no usable tokenizer"):
        load_tokenizer(folder)


@pytest.mark.parametrize("name", ["bert", "bertweet", "clip", "deberta", "roberta", "xlm_roberta"])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_vocabulary_that_was_cut_off_is_refused(
    published: Published, tmp_path: Path, name: str, share: float
) -> None:
    folder = shutil.copytree(published(name)[0], tmp_path / name)
    for pattern in VOCABULARY:
        for file in folder.glob(pattern):
            content = file.read_bytes()
            file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MissingFileError, match="no usable tokenizer"):
        load_word_tokenizer(folder)


def test_a_sentencepiece_model_alone_names_the_file_to_get(
    published: Published, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    from importlib.util import find_spec

    folder = shutil.copytree(published("xlm_roberta")[0], tmp_path / "xlm")
    whole = load_word_tokenizer(folder)
    (folder / "tokenizer.json").unlink()
    if find_spec("sentencepiece") and find_spec("google.protobuf"):
        again = load_word_tokenizer(folder)
        assert again(list(PROBE))["input_ids"] == whole(list(PROBE))["input_ids"]
        return
    with pytest.raises(
        MissingFileError, match=r"holds .*sentencepiece\.bpe\.model.* Get tokenizer\.json"
    ) as caught:
        load_word_tokenizer(folder)
    assert "tiktoken" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"dino"}))
def test_words_are_told_apart(published: Published, name: str) -> None:
    tokenizer = load_tokenizer(published(name)[0])
    pieces = {word: tokenizer(word, add_special_tokens=False)["input_ids"] for word in PROBE}
    assert len({tuple(ids) for ids in pieces.values()}) == len(PROBE)
    spelled = tokenizer.decode(pieces["music"]).strip()
    assert spelled == "music"
