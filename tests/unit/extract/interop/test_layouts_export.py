"""The `export` command: whole or not at all, never over a folder of others, clear refusals."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from extract.__main__ import main
from extract.core.errors import BusyError, ConfigError, DataError
from extract.interop.exports import fresh_folder, write_manifest
from extract.interop.layouts.base import file_ids, imgid_text
from extract.tables.images_table import write_images
from extract.tables.samples import Sample, write_samples
from tests.builders.extract.tiny_export import Tiny, prepare, tree


@pytest.fixture(scope="module")
def tiny(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return prepare(repo_root, tmp_path_factory.mktemp("tiny"))


def with_option(words: list[str], option: str, *values: str) -> list[str]:
    """Return the arguments with other values of an option."""
    at = words.index(option)
    end = next((i for i in range(at + 1, len(words)) if words[i].startswith("--")), len(words))
    return [*words[: at + 1], *values, *words[end:]]


def test_manifest_says_what_was_written_and_what_is_missing(tiny, tmp_path, repo_root):
    out = tmp_path / "out"
    crops = str(tiny.folder / "detector_crops")
    assert main(tiny.command("deepke", out, "--detector-crops", crops)) == 0
    manifest = json.loads((out / "EXPORT.json").read_text(encoding="utf-8"))
    assert manifest["counts"] == {
        "samples": {"train": 6, "valid": 3, "test": 4},
        "unlabelled": 0,
        "images": {"written": 8, "written_anew_upright": 2, "left_to_stand_in": 2},
        "crops": {
            "train": {"images": 5, "images_without_crop": 1, "crops": 9},
            "valid": {"images": 3, "images_without_crop": 1, "crops": 8},
            "test": {"images": 3, "images_without_crop": 2, "crops": 2},
        },
        "detector_crops": {"images": 10, "images_without_crop": 7, "crops": 5},
    }
    missing = {row["image_id"]: row["status"] for row in manifest["missing_images"]}
    assert missing == {"gone": "missing", "broken": "unreadable"}
    assert manifest["n_files"] == len(tree(out)) - 1
    assert set(manifest["input_sha256"]) == {
        "samples/train", "samples/valid", "samples/test", "images", "crops", "detector_crops",
    }  # fmt: skip
    text = (out / "EXPORT.json").read_text(encoding="utf-8")
    assert str(repo_root) not in text and str(tmp_path) not in text


def test_a_second_export_replaces_the_first_with_the_same_bytes(tiny, tmp_path):
    out = tmp_path / "out"
    words = tiny.command("hvpnet", out)
    assert main(words) == 0
    first = tree(out)
    assert main(words) == 0
    assert tree(out) == first
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_no_other_folder_is_replaced(tiny, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    words = tiny.command("hvpnet", out)
    assert main(words) == 0, "an empty folder is taken"
    (out / "data" / "mine.txt").write_text("precious")
    assert main(words) == 2
    assert "it was changed since" in capsys.readouterr().err
    (out / "data" / "mine.txt").unlink()
    (out / "EXPORT.json").write_text('{"format": "other"}')
    before = tree(out)
    assert main(words) == 2
    assert "is not empty and no export" in capsys.readouterr().err
    assert tree(out) == before
    file = tmp_path / "file"
    file.write_text("x")
    assert main(tiny.command("hvpnet", file)) == 2
    assert "is a file" in capsys.readouterr().err


def test_an_export_that_fails_leaves_the_earlier_one(tmp_path):
    out = tmp_path / "out"
    with fresh_folder(out) as folder:
        (folder / "a.txt").write_text("first")
        write_manifest(folder, {})
    with pytest.raises(DataError), fresh_folder(out) as folder:
        (folder / "a.txt").write_text("second")
        raise DataError("stop")
    assert (out / "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_second_export_does_not_touch_the_first(tmp_path):
    out = tmp_path / "out"
    with fresh_folder(out) as folder:
        (folder / "a.txt").write_text("first")
        with pytest.raises(BusyError, match="out: another process"), fresh_folder(out):
            pass
        write_manifest(folder, {})
    assert {path.name for path in out.iterdir()} == {"a.txt", "EXPORT.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


KILLED = """
import sys, time
from pathlib import Path
from extract.interop.exports import fresh_folder
with fresh_folder(Path(sys.argv[1])) as folder:
    (folder / "half.txt").write_text("half")
    print("building", flush=True)
    time.sleep(60)
"""


def test_a_killed_export_leaves_nothing_under_its_name(repo_root, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out)], cwd=repo_root, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "building\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".out.mner-export.partial", ".out.lock"}
    with fresh_folder(out) as folder:
        assert not list(folder.iterdir())
        write_manifest(folder, {})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_killed_between_the_moves_the_earlier_export_comes_back(tmp_path):
    out = tmp_path / "out"
    with fresh_folder(out) as folder:
        (folder / "a.txt").write_text("first")
        write_manifest(folder, {})
    out.rename(tmp_path / ".out.mner-export.old")
    with pytest.raises(DataError), fresh_folder(out):
        raise DataError("stop")
    assert (out / "a.txt").read_text() == "first"


@pytest.mark.parametrize(
    "image_ids",
    [
        ["a/b"], ["a\\b"], [".."], [".hidden"], ["a\0b"], ["a\nb"], [" a"], ["a "], ["xIMGID:1"],
        [".jpg"], ["a" * 300], ["é" * 150],
        ["a", "A"], ["a", "a.jpg"], ["a.png", "a.jpg"], ["\u00e9", "e\u0301"], ["\u00c9", "\u00e9"],
    ],
)  # fmt: skip
def test_ids_that_no_loader_could_find_are_refused(image_ids):
    with pytest.raises(DataError, match="HVPNeT"):
        file_ids(image_ids, "HVPNeT")


def test_ids_that_are_fine():
    ids = ["17_06_1", "img.v2", "a b", "日本", "x.jpg", "O_3993", "1"]
    names = file_ids(ids, "HVPNeT")
    assert names == {image_id: image_id.removesuffix(".jpg") for image_id in ids}


@pytest.mark.parametrize("token", ["a\tb", "a\nb", "\r", "IMGID:7"])
def test_tokens_that_would_break_the_text_are_refused(token):
    with pytest.raises(DataError, match="'s1'"):
        imgid_text([Sample("s1", "i", ["ok", token], ["O", "O"])], {"i": "i"})


def test_text_without_tags_is_all_outside():
    samples = [Sample("s1", "i", ["a", "\u00a0"]), Sample("s2", "i", ["b"], ["B-MISC"])]
    text = imgid_text(samples, {"i": "x"})
    assert text == "IMGID:x\na\tO\n\u00a0\tO\n\nIMGID:x\nb\tB-MISC\n\n"


def test_refusals_name_the_option(tiny, tmp_path, capsys):
    words = tiny.command("hvpnet", tmp_path / "out")
    crops = words.index("--crops")
    samples = words[words.index("--samples") + 1 : words.index("--images")]
    copied = tmp_path / "dev.jsonl"
    copied.write_bytes(Path(samples[1]).read_bytes())
    cases = {
        "Did you mean 'hvpnet'": with_option(words, "--layout", "hvpnett"),
        "needs --crops": [*words[:crops], *words[crops + 2 :]],
        "does not use --detector-crops": [*words, "--detector-crops", "x"],
        "unknown key 'max_crop'": [*words, "--options", '{"max_crop": 1}'],
        "max_crops must be at least 1": [*words, "--options", '{"max_crops": 0}'],
        "also reads valid, test": with_option(words, "--samples", samples[0]),
        "expected files named train, valid, test": with_option(words, "--samples", str(copied)),
        "ROLE=FILE": [*words, "--store", "captions"],
    }
    cases["does not use --detector-crops"][-1] = str(tiny.folder / "detector_crops")
    for message, arguments in cases.items():
        assert main(arguments) == 2, message
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["dev.jsonl"]


def test_inputs_of_different_images_are_refused(tiny, tmp_path, capsys):
    rows = list(tiny.images.values())
    other = tmp_path / "images.tsv"
    words = with_option(tiny.command("hvpnet", tmp_path / "out"), "--images", str(other))
    write_images(other, [replace(row, sha256="0" * 64) for row in rows])
    assert main(words) == 2
    assert "were cut from another file" in capsys.readouterr().err
    write_images(other, [row for row in rows if row.image_id != "test_2"])
    assert main(words) == 2
    assert "image 'test_2' of sample" in capsys.readouterr().err
    write_images(other, rows)
    splits = [tmp_path / f"{split}.jsonl" for split in ("train", "valid", "test")]
    for path in splits:
        write_samples(path, [Sample("t", "test_2", ["a"], ["O"])])
    assert main(with_option(words, "--samples", *map(str, splits))) == 2
    assert "no crop is of an image of --samples" in capsys.readouterr().err
    # Without any box of its own: only the bytes tell that the photo is another one.
    changed = [replace(r, sha256="0" * 64) if r.image_id == "test_2" else r for r in rows]
    write_images(other, changed)
    assert main(words) == 2
    assert "the file changed or went" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_detector_keys_that_the_project_would_mix_up(tiny, tmp_path, capsys):
    """DeepKE cuts `img.v2` to `img`: an image `img` would get its crops."""
    rows = list(tiny.images.values())
    twin = replace(tiny.images["test_1"], image_id="img")
    write_images(tmp_path / "images.tsv", [*rows, twin])
    write_samples(tmp_path / "test.jsonl", [Sample("t", "img", ["a"], ["O"])])
    words = tiny.command("deepke", tmp_path / "out")
    samples = words[words.index("--samples") + 1 : words.index("--images")]
    words = with_option(words, "--images", str(tmp_path / "images.tsv"))
    words = with_option(words, "--samples", *samples[:2], str(tmp_path / "test.jsonl"))
    assert main(words) == 0, "without detector crops there is nothing to mix up"
    assert main([*words, "--detector-crops", str(tiny.folder / "detector_crops")]) == 2
    assert "'img.v2' and 'img' are one to DeepKE" in capsys.readouterr().err


def test_hard_links_to_another_file_system_say_what_to_do(monkeypatch, tiny, tmp_path):
    from extract.interop import exports

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(exports.os, "link", refuse)
    source = tiny.folder / "images.tsv"
    with pytest.raises(ConfigError, match=r"cross-device link.*--link copy"):
        exports.place_file(source, tmp_path / "x", "hardlink")
