"""The lower layers of an encoder: the same states as in the whole, and clear refusals."""

import json
import shutil
from pathlib import Path

import pytest

from extract.__main__ import main
from extract.core.errors import ConfigError, MissingFileError
from extract.networks.cut_weights import cut_weights
from extract.networks.random_weights import write_random_weights

torch = pytest.importorskip("torch")

SHA256 = "0" * 64


def test_states_are_those_of_the_whole_below_the_cut(minilm: Path, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    cut_weights(minilm, 3, tmp_path / "cut", sha256=SHA256)
    whole = AutoModel.from_pretrained(minilm).eval()
    part = AutoModel.from_pretrained(tmp_path / "cut").eval()
    batch = AutoTokenizer.from_pretrained(tmp_path / "cut")(
        ["Kevin Durant enters Oracle Arena"], return_tensors="pt"
    )
    assert batch["input_ids"].shape[1] > 6
    with torch.no_grad():
        levels = whole(**batch, output_hidden_states=True).hidden_states
        torch.testing.assert_close(part(**batch).last_hidden_state, levels[3])
        assert not torch.allclose(part(**batch).last_hidden_state, levels[2])
    assert json.loads((tmp_path / "cut" / "cut.json").read_text()) == {
        "layers": 3,
        "of_layers": 6,
        "of_sha256": SHA256,
    }


def test_the_same_cut_gives_the_same_bytes_again(minilm: Path, tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        cut_weights(minilm, 1, tmp_path / "cut", sha256=SHA256)
        found.append({f.name: f.read_bytes() for f in (tmp_path / "cut").iterdir()})
    assert found[0] == found[1]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(found[0])


def test_every_file_of_the_tokenizer_comes_along(minilm: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(minilm, source)
    for name in ("bpe.codes", "added_tokens.json", "pytorch_model.bin"):
        (source / name).write_text("x")
    cut_weights(source, 1, tmp_path / "cut", sha256=SHA256)
    written = {file.name for file in (tmp_path / "cut").iterdir()}
    assert {"bpe.codes", "added_tokens.json"} <= written
    assert "pytorch_model.bin" not in written


@pytest.mark.parametrize("layers", [0, 7])
def test_only_layers_that_there_are(minilm: Path, tmp_path: Path, layers: int) -> None:
    with pytest.raises(ConfigError, match=f"expected 1 to 6 layers, got {layers}"):
        cut_weights(minilm, layers, tmp_path / "cut", sha256=SHA256)


def test_what_is_no_text_encoder_is_refused(tmp_path: Path) -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    towers = {"kind": "clip_full", "projection_dim": 4, "vision": sizes, "text": sizes}
    write_random_weights(towers, 0, tmp_path / "clip")
    with pytest.raises(ConfigError, match="Only text encoders"):
        cut_weights(tmp_path / "clip", 1, tmp_path / "cut", sha256=SHA256)
    with pytest.raises(MissingFileError, match="no such file; expected the config"):
        cut_weights(tmp_path, 1, tmp_path / "cut", sha256=SHA256)


def test_a_folder_of_somebody_else_is_kept(minilm: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="was not written by `weights`"):
        cut_weights(minilm, 1, tmp_path / "mine", sha256=SHA256)
    assert (tmp_path / "mine" / "config.json").read_text() == "{}"


def test_from_the_command_line(minilm: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    entry = {"cut": {"of": {"name": "minilm", "path": str(minilm)}, "layers": 2}}
    assert main(["weights", "--entry", json.dumps(entry), "--out", str(tmp_path / "cut")]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == (tmp_path / "cut").as_posix()
    assert main(["weights", "--entry", json.dumps(entry)]) == 2
    wrong = json.dumps({"cut": {"of": "minilm", "layers": 2}})
    assert main(["weights", "--entry", wrong, "--out", str(tmp_path / "no")]) == 2
    assert "with an entry as `of`" in capsys.readouterr().err


def test_the_checksum_of_the_whole_is_checked(
    minilm: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    entry = {"cut": {"of": {"path": str(minilm), "sha256": SHA256}, "layers": 1}}
    assert main(["weights", "--entry", json.dumps(entry), "--out", str(tmp_path / "cut")]) == 2
    assert f"expects {SHA256}" in capsys.readouterr().err
    assert not (tmp_path / "cut").exists()
