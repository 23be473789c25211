"""The first stage: every image accounted for, and no id that leads out of the image folder."""

import json
import logging
from pathlib import Path

import pytest
from PIL import Image

from extract.__main__ import main
from extract.core.digests import file_sha256
from extract.core.errors import DataError, MissingFileError
from extract.core.files import only_process
from extract.corpora.prepare import (
    compare_counts,
    join_evidence,
    list_images,
    prepare_dataset,
    read_evidence,
    refuse_too_many_bad,
)
from extract.corpora.readers import conll_imgid
from extract.corpora.readers.base import TextSettings
from extract.images.folder import ImageFolder
from extract.images.probe_pool import ProbePool
from extract.tables.images_table import ImageRow, read_images
from extract.tables.samples import Sample, read_samples


def save(path: Path, width: int = 3, height: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (width, height, 9)).save(path)
    return path


def write_corpus(folder: Path, *image_ids: str) -> Path:
    text = "".join(f"IMGID:{image_id}\nBob\tB-PER\n\n" for image_id in image_ids)
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text(text)
    return folder


def run(folder: Path, *arguments: object) -> int:
    command = ["dataset", "--reader", "conll_imgid", "--root", folder, "--out", folder / "out"]
    return main([*map(str, command), *map(str, arguments)])


def rows_of(folder: Path, *image_ids: str) -> dict[str, ImageRow]:
    samples = [Sample(f"s{i}", image_id, ["x"]) for i, image_id in enumerate(image_ids)]
    rows = list_images([samples], folder, workers=2)
    assert [row.image_id for row in rows] == list(image_ids)
    return {row.image_id: row for row in rows}


def test_every_image_has_a_row_that_says_why(tmp_path: Path) -> None:
    images = tmp_path / "images"
    good = save(images / "good.jpg", 5, 4)
    (images / "cut.png").write_bytes(save(tmp_path / "whole.png", 90, 90).read_bytes()[:-60])
    (images / "empty.jpg").touch()
    (images / "text.jpg").write_text("not an image")
    rows = rows_of(images, "good", "cut", "empty", "text", "gone")
    assert rows["good"] == ImageRow("good", good.as_posix(), file_sha256(good), 4, 5, "ok")
    for image_id, reason in [
        ("cut", "broken image data"), ("empty", "empty file"), ("text", "not an image"),
    ]:  # fmt: skip
        row = rows[image_id]
        assert (row.status, row.height, row.width, row.sha256) == ("unreadable", 0, 0, "")
        assert reason in row.reason
        assert row.path
    assert rows["gone"].status == "missing"
    assert rows["gone"].reason == "no file of this name in the folder"
    assert rows["gone"].path == ""


def test_ids_come_with_or_without_extension(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.JPEG", "c.d.png", "e.jpg.jpg", "bare.gif"):
        save(tmp_path / name)
    (tmp_path / "bare").write_bytes((tmp_path / "a.jpg").read_bytes())
    rows = rows_of(
        tmp_path, "a", "a.jpg", "b", "b.JPEG", "c.d", "c.d.png", "e.jpg", "e.jpg.jpg", "bare", "c"
    )
    names = {image_id: Path(row.path).name for image_id, row in rows.items()}
    assert names == {
        "a": "a.jpg", "a.jpg": "a.jpg", "b": "b.JPEG", "b.JPEG": "b.JPEG", "c.d": "c.d.png",
        "c.d.png": "c.d.png", "e.jpg": "e.jpg.jpg", "e.jpg.jpg": "e.jpg.jpg",
        # A whole name comes before a name without its suffix.
        "bare": "bare",
        # `c` is no file: only an image suffix is taken off.
        "c": "",
    }  # fmt: skip


def test_of_two_files_with_one_stem_the_first_by_name_is_taken(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.webp"):
        save(tmp_path / name)
    folder = ImageFolder(tmp_path)
    assert folder.find("a") == tmp_path / "a.jpg"
    assert folder.find("a.png") == tmp_path / "a.png"


def test_a_folder_or_an_unknown_suffix_is_no_image(tmp_path: Path) -> None:
    save(tmp_path / "sub/inner.jpg")
    (tmp_path / "dir.jpg").mkdir()
    (tmp_path / "notes.txt").touch()
    rows = rows_of(tmp_path, "sub", "inner", "dir", "dir.jpg", "notes", "sub/inner.jpg")
    assert {row.status for row in rows.values()} == {"missing"}


@pytest.mark.parametrize(
    "image_id",
    ["../secret", "../secret.jpg", "./a.jpg", "images/../a", "{absolute}", "..", ".", "~", "*",
     "a/", "//a.jpg", "a.jpg/", "..\\secret.jpg", "%2e%2e/secret"],
)  # fmt: skip
def test_no_id_leads_out_of_the_folder(tmp_path: Path, image_id: str) -> None:
    secret = save(tmp_path / "secret.jpg")
    save(tmp_path / "images/a.jpg")
    image_id = image_id.format(absolute=secret.as_posix())
    (row,) = rows_of(tmp_path / "images", image_id).values()
    assert (row.status, row.path) == ("missing", "")


def test_the_shared_image_is_listed_and_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "images/a.jpg")
    save(tmp_path / "images/b.jpg")
    probed: list[str] = []
    probe = ProbePool.probe
    monkeypatch.setattr(
        ProbePool, "probe", lambda self, p: (probed.append(p.name), probe(self, p))[1]
    )
    assert run(write_corpus(tmp_path, "b", "a", "b"), "--images", tmp_path / "images") == 0
    assert [row.image_id for row in read_images(tmp_path / "out/images.tsv")] == ["b", "a"]
    assert sorted(probed) == ["a.jpg", "b.jpg"]


def test_the_outputs(tmp_path: Path) -> None:
    save(tmp_path / "images/a.jpg")
    write_corpus(tmp_path, "a")
    (tmp_path / "evidence.tsv").write_text("a\timage\n")
    flags = ("--images", tmp_path / "images", "--evidence", tmp_path / "evidence.tsv")
    assert run(tmp_path, *flags) == 0
    out = tmp_path / "out"
    assert read_samples(out / "samples/valid.jsonl") == [
        Sample("valid-00000", "a", ["Bob"], ["B-PER"], "image")
    ]
    stats = json.loads((out / "stats.json").read_text())
    assert stats["test"]["entities"] == 1
    assert stats["test"]["images"] == {"ok": 1}
    assert stats["test"]["evidence"] == {"image": 1}
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert run(tmp_path, *flags, "--workers", 4) == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_corpus_without_images(tmp_path: Path) -> None:
    assert run(write_corpus(tmp_path, "a", "b"), "--max-bad-images", 0) == 0
    rows = read_images(tmp_path / "out/images.tsv")
    assert [(row.status, row.path) for row in rows] == [("no_images", ""), ("no_images", "")]


def test_only_the_asked_splits_are_read(tmp_path: Path) -> None:
    write_corpus(tmp_path, "a")
    (tmp_path / "new.txt").write_text("IMGID:x\nhello\n")
    (tmp_path / "train.txt").unlink()
    assert run(tmp_path, "--splits", "new", "--text", '{"labels": false}') == 0
    assert [path.name for path in (tmp_path / "out/samples").iterdir()] == ["new.jsonl"]


def test_too_many_bad_images_stop_but_leave_their_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "images/good.jpg")
    (tmp_path / "images/bad.jpg").touch()
    write_corpus(tmp_path, "good", "bad", "gone")
    assert run(tmp_path, "--images", tmp_path / "images", "--max-bad-images", 0.5) == 2
    message = capsys.readouterr().err
    for part in (
        "2 of 3 images (66.7%)", "bad (unreadable), gone (missing)", "bad_images.tsv",
        "At most 50.0% are allowed", "max_bad_images",
    ):  # fmt: skip
        assert part in message
    bad = read_images(tmp_path / "out/bad_images.tsv")
    assert [(row.image_id, row.status) for row in bad] == [
        ("bad", "unreadable"), ("gone", "missing"),
    ]  # fmt: skip
    # Nothing that a later stage could take for a prepared corpus.
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == ["bad_images.tsv", "probes.tsv"]
    assert run(tmp_path, "--images", tmp_path / "images", "--max-bad-images", 0.7) == 0


def test_the_limit_itself_is_allowed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = [ImageRow("x", "", "", 0, 0, "missing", "?")]
    with caplog.at_level(logging.WARNING):
        refuse_too_many_bad(bad, 20, 0.05, tmp_path / "bad.tsv")
    assert "1 of 20 images (5.0%)" in caplog.text
    with pytest.raises(DataError):
        refuse_too_many_bad(bad, 19, 0.05, tmp_path / "bad.tsv")
    caplog.clear()
    refuse_too_many_bad([], 0, 0.0, tmp_path / "bad.tsv")
    assert not caplog.records


def test_a_missing_image_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nowhere: no such image folder.*data/README\.md"):
        list_images([], tmp_path / "nowhere", 1)


def test_counts_of_another_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, "a", "b")
    known = {"tweets": 2, "tokens": 2, "entities": 2}
    monkeypatch.setattr(conll_imgid, "EXPECTED", {split: known for split in ("train", "valid")})
    assert run(tmp_path, "--check-counts") == 0
    other = {"train": known, "valid": {**known, "tokens": 3}}
    monkeypatch.setattr(conll_imgid, "EXPECTED", other)
    assert run(tmp_path) == 0
    assert run(tmp_path, "--check-counts") == 2
    message = capsys.readouterr().err
    assert "conll_imgid: not the known copy: valid has 2 tokens, the known copy 3." in message
    assert "check_counts: false" in message


def test_counts_of_splits_that_were_not_read_do_not_matter() -> None:
    compare_counts({"test": {"tweets": 1}}, {"train": {"tweets": 9}}, "x", strict=True)


def test_evidence_joins_on_the_image(tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text("a\ttext only\nb\timage\n")
    corpus = {"train": [Sample("1", "a", ["x"]), Sample("2", "c", ["x"]), Sample("3", "b", ["x"])]}
    joined = join_evidence(corpus, read_evidence(tmp_path / "e.tsv"))
    assert [sample.evidence for sample in joined["train"]] == ["text only", None, "image"]


@pytest.mark.parametrize("line", ["a image", "a\t", ""])
def test_evidence_lines_are_checked(tmp_path: Path, line: str) -> None:
    (tmp_path / "e.tsv").write_text(f"a\tx\n{line}\nb\ty\n")
    with pytest.raises(DataError, match=r"e\.tsv:2: expected 'image_id<TAB>evidence'"):
        read_evidence(tmp_path / "e.tsv")
    with pytest.raises(MissingFileError, match=r"no\.tsv"):
        read_evidence(tmp_path / "no.tsv")


def test_an_unknown_reader_gets_the_near_match(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="Did you mean 'twitter2015'"):
        prepare_dataset(
            "twiter2015", tmp_path, tmp_path, settings=TextSettings(), splits=[],
            image_folder=None, evidence=None, max_bad_images=0, check_counts=False, workers=1,
        )  # fmt: skip


@pytest.mark.parametrize("text", ["{labels: false}", '{"lables": false}', "[]"])
def test_text_settings_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert run(write_corpus(tmp_path, "a"), "--text", text) == 2
    assert "--text: " in capsys.readouterr().err


def test_two_at_once_are_refused_and_leave_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, "a")
    with only_process(tmp_path / "out"):
        assert run(tmp_path) == 2
        assert "out: another process" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    assert run(tmp_path, "--out", ".") == 0
    assert not list(tmp_path.rglob("*.lock"))
