"""Image ids that are no file names, through every stage from the corpus to the export."""

import csv
import json
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from extract.__main__ import main
from extract.store import FeatureStore
from extract.tables.images_table import read_images
from extract.tables.samples import Sample, read_samples, write_samples
from tests.builders.extract.tiny_plugins import Workbench

ACCENTS = "caf\u00e9 \u304c"
# File names of an ordinary Linux folder, all with an image.
WITH_IMAGE = [
    "a\tb", "\x1b[31mred\x1b[0m", "\x9b2J", "$(touch pwned)", "`touch pwned`;rm -rf *", "| cat",
    "it's \"quoted\"", "100%", "%s%n", "%2e%2e%2fx", "\U0001f600\U0001f3f3", "\u202egnp.exe",
    "\u5bff\u53f8", "Stra\u00dfe", "STRASSE", "AbC", "aBc", unicodedata.normalize("NFC", ACCENTS),
    unicodedata.normalize("NFD", ACCENTS), "CON", "nul.", "trailing.", "a b", "-rf", "--help",
    "=1+1", "<b>&amp;", "*", "?", "~", "...", "a:b", "{braces}", "C:\\x", "\\\\srv\\x", "#",
    "p\u2028q",    "x" * 240, "\u00e9" * 120, "a.h5", "ids", "a\u200bb", "__proto__",
]  # fmt: skip
WITHOUT_IMAGE = [
    "../secret", "../secret.png", "..", ".", "/etc/passwd", "a/b", "images/../../secret", "x" * 300,
    "y" * 1000, "\U0001f600" * 80,
]  # fmt: skip
IDS = [*WITH_IMAGE, *WITHOUT_IMAGE]
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e]")
BOX = [1, 1, 9, 8]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """The corpus in a folder of its own, with a secret image beside the image folder."""
    root = tmp_path_factory.mktemp("hostile_ids")
    folder = root / "corpus"
    (folder / "images").mkdir(parents=True)
    bench = Workbench(folder, IDS)
    for number, name in enumerate(WITH_IMAGE):
        Image.new("RGB", (12, 10), (number, 9, 9)).save(folder / "images" / f"{name}.png", "PNG")
    Image.new("RGB", (12, 10)).save(folder / "secret.png")
    here = os.getcwd()
    os.chdir(root)
    bench.prepare({name: [BOX] for name in WITH_IMAGE})
    for name in ("random", "pixels_crops"):
        bench.store(name)
    bench.run(
        "crops", "--store", folder / "features/annotations.h5", "--images", bench.manifest,
        "--out", folder / "crops",
    )  # fmt: skip
    yield bench
    os.chdir(here)


def test_the_manifest_has_every_id_as_it_is(bench: Workbench) -> None:
    rows = {row.image_id: row for row in read_images(bench.manifest)}
    assert list(rows) == IDS
    assert {rows[name].status for name in WITH_IMAGE} == {"ok"}
    for name in WITHOUT_IMAGE:
        assert (rows[name].status, rows[name].path) == ("missing", ""), name
    for name in WITH_IMAGE:
        assert rows[name].path == (bench.images / f"{name}.png").as_posix()
    samples = read_samples(bench.folder / "samples/train.jsonl")
    assert [sample.image_id for sample in samples] == IDS
    assert len({sample.id for sample in samples}) == len(IDS)


@pytest.mark.parametrize("name", ["annotations", "random", "pixels_crops"])
def test_every_store_has_every_id_as_it_is(bench: Workbench, name: str) -> None:
    with FeatureStore(bench.folder / "features" / f"{name}.h5") as store:
        assert list(store.ids) == IDS
        for image_id in IDS:
            item = store.item(image_id)
            assert item.is_ok == (image_id in WITH_IMAGE), image_id
            assert item.n_rows == int(item.is_ok)


def test_crops_have_safe_names_of_their_own(bench: Workbench) -> None:
    folder = bench.folder
    records = [json.loads(line) for line in (folder / "crops/crops.jsonl").open(encoding="utf-8")]
    names = {record["image_id"]: record["crop"] for record in records}
    assert sorted(names) == sorted(WITH_IMAGE)
    assert len({name.lower() for name in names.values()}) == len(names)
    for name in names.values():
        path = folder / "crops" / name
        assert path.is_file() and path.resolve().is_relative_to((folder / "crops").resolve())
        assert all(re.fullmatch(r"[\w.+%~-]{1,255}", part, re.ASCII) for part in Path(name).parts)
    bench.run("crop-dict", "--crops", folder / "crops/crops.jsonl", "--samples",
              folder / "samples/train.jsonl", "--out", folder / "train_dict.pth")  # fmt: skip
    dictionary = json.loads((folder / "train_dict.json").read_text(encoding="utf-8"))
    assert len(dictionary) == len(IDS)
    assert sorted(filter(None, dictionary.values())) == sorted([name] for name in names.values())


@pytest.mark.parametrize("layout", ["hvpnet", "umgf"])
def test_a_layout_refuses_what_is_no_file_name_and_writes_nothing_elsewhere(
    bench: Workbench, capsys: pytest.CaptureFixture[str], layout: str
) -> None:
    out = bench.folder.parent / f"exported_{layout}"
    samples = [bench.folder / f"samples/{split}.jsonl" for split in ("train", "valid", "test")]
    for path in samples[1:]:
        write_samples(path, [Sample(path.stem, "AbC", ["x"], ["O"])])
    before = _tree(bench.folder.parent)
    command = ["export", "--layout", layout, "--name", "twitter2017", "--out", out]
    command += ["--samples", *samples, "--images", bench.manifest]
    assert main([*map(str, command), "--crops", str(bench.folder / "crops")]) == 2
    message = capsys.readouterr().err
    assert "error: image id 'a\\tb' holds '\\t'" in message
    assert not CONTROL.search(message)
    assert _tree(bench.folder.parent) - before <= {out, *_tree(out)}


def test_contact_sheets_show_every_id(bench: Workbench) -> None:
    out = bench.folder / "sheets"
    bench.run(
        "contact-sheet", "--images", bench.manifest, "--samples",
        bench.folder / "samples/train.jsonl", "--boxes", bench.folder / "features/annotations.h5",
        "--per-sheet", 60, "--columns", 10, "--out", out,
    )  # fmt: skip
    with (out / "sheets.tsv").open(encoding="utf-8", newline="") as file:
        shown = [row["image_id"] for row in csv.DictReader(file, delimiter="\t")]
    assert sorted(shown) == sorted(IDS)


def _tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("image_id", ["\x1b[31mred\x1b[0m", "--help", "../secret", "\u202egnp.exe"])
def test_inspect_shows_an_id_without_its_control_characters(
    bench: Workbench, capsys: pytest.CaptureFixture[str], image_id: str
) -> None:
    bench.run("inspect", bench.folder / "features/random.h5", f"--id={image_id}")
    out = capsys.readouterr().out
    assert not CONTROL.search(out)
    assert json.loads(out)["id"] == image_id
    arguments = ["inspect", str(bench.folder / "features/random.h5"), f"--id=no {image_id}"]
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert "error: " in message and not CONTROL.search(message)
