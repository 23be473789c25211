"""Crops that are right and whole stay; what is damaged, changed or missing is cut again."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extract.__main__ import main
from extract.crops import cutting, plan
from extract.crops.cutting import save_png
from extract.crops.record import NAME, CropRecord
from extract.grounding.base import GROUNDING_OUTPUTS
from extract.images.decode import probe_image
from extract.store import FeatureWriter, Header, merge_shards
from extract.tables.images_table import ImageRow, write_images
from extract.tables.rows import ItemFeatures

IDS = ("a", "b", "c")
BOXES = {"a": [(0, 0, 9, 9), (5, 5, 12, 9)], "b": [(1, 1, 4, 4)], "c": [(2, 0, 7, 8)]}
FILES = {f"{i}_pred_yolo_crop_{row}.png" for i in IDS for row in range(len(BOXES[i]))}


class Bench:
    """Three images, their boxes, and the `crops` command."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.folder, self.caplog, self.out = folder, caplog, folder / "crops"
        self.rows = {image_id: self.draw(image_id, seed) for seed, image_id in enumerate(IDS)}
        self.boxes = dict(BOXES)

    def draw(self, image_id: str, seed: int) -> ImageRow:
        path = self.folder / f"{image_id}.png"
        pixels = np.random.default_rng(seed).integers(0, 255, (10, 15, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        probe = probe_image(path)
        return ImageRow(image_id, str(path), probe.sha256, probe.height, probe.width, "ok")

    def cut(self, out: Path | None = None) -> tuple[int, int]:
        """Make the store and cut its boxes; return how many crops were (cut, kept)."""
        rows = list(self.rows.values())
        header = Header(
            "f" * 64, GROUNDING_OUTPUTS, tuple(self.rows), tuple(row.sha256 for row in rows),
            np.array([(row.height, row.width) for row in rows], np.int32),
        )  # fmt: skip
        writer = FeatureWriter(self.folder / "s.partial", header)
        writer.append([self.item(self.boxes[image_id]) for image_id in self.rows])
        writer.finish(self.folder / "s.shard", {})
        merge_shards([self.folder / "s.shard"], self.folder / "s.h5")
        write_images(self.folder / "images.tsv", rows)
        command = ["crops", "--store", self.folder / "s.h5"]
        command += ["--images", self.folder / "images.tsv", "--out", out or self.out]
        assert main([str(word) for word in command]) == 0
        summary = json.loads(self.caplog.records[-1].getMessage())
        return summary["cut"], summary["kept"]

    @staticmethod
    def item(boxes: list[tuple[int, ...]]) -> ItemFeatures:
        scores = np.full(len(boxes), np.nan, np.float32)
        return ItemFeatures(text=["x"] * len(boxes), boxes=np.array(boxes), scores=scores)

    def assert_equals_a_fresh_folder(self) -> None:
        fresh = self.folder / "fresh"
        assert self.cut(fresh)[1] == 0
        assert contents(self.out) == contents(fresh)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Bench:
    caplog.set_level("INFO")
    return Bench(tmp_path, caplog)


def test_what_is_there_is_kept_and_its_images_are_not_opened(bench, monkeypatch):
    assert bench.cut() == (4, 0)
    (bench.out / plan.MANIFEST).unlink()  # as Snakemake does before the job
    monkeypatch.setattr(cutting, "load_unchanged", None)
    assert bench.cut() == (0, 4)
    monkeypatch.undo()
    bench.assert_equals_a_fresh_folder()


def test_a_changed_image_a_moved_box_and_a_new_id_are_cut(bench):
    bench.cut()
    bench.rows["a"] = bench.draw("a", 77)
    bench.boxes["b"] = [(1, 1, 5, 4)]
    assert bench.cut() == (3, 1)
    bench.rows["d"], bench.boxes["d"] = bench.rows.pop("c"), bench.boxes["c"]
    bench.rows["d"] = bench.draw("d", 2)
    assert bench.cut() == (1, 3)
    assert not (bench.out / "c_pred_yolo_crop_0.png").exists()
    bench.assert_equals_a_fresh_folder()


@pytest.mark.parametrize("damage", ["gone", "shorter", "a bit", "empty", "another crop"])
def test_a_damaged_crop_is_cut_again(bench, damage):
    bench.cut()
    path = bench.out / "b_pred_yolo_crop_0.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    elif damage == "another crop":
        path.write_bytes((bench.out / "c_pred_yolo_crop_0.png").read_bytes())
    else:
        path.write_bytes({"shorter": data[:-1], "a bit": data, "empty": b""}[damage])
    assert bench.cut() == (1, 3)
    bench.assert_equals_a_fresh_folder()


def test_another_version_of_the_cutting_cuts_all(bench, monkeypatch):
    bench.cut()
    monkeypatch.setattr(plan, "VERSION", plan.VERSION + 1)
    assert bench.cut() == (4, 0)


@pytest.mark.parametrize("length", [0, 1, 70, 100, 101, 180])
def test_a_record_that_was_cut_off_costs_its_lines_alone(bench, length):
    bench.cut()
    record = bench.out / NAME
    lines = record.read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == FILES
    record.write_text(record.read_text()[:length])
    # A line is 64 digits, two spaces, 22 letters of a name and its end.
    whole = (length + 1) // (64 + 2 + 22 + 1)
    assert bench.cut() == (4 - whole, whole)
    bench.assert_equals_a_fresh_folder()


def stop_after(n_crops: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt the next run when it has saved so many crops."""
    original, saved = save_png, []

    def save(image: Image.Image, path: Path) -> None:
        if len(saved) == n_crops:
            raise KeyboardInterrupt
        saved.append(path.name)
        original(image, path)

    monkeypatch.setattr(cutting, "save_png", save)


def test_a_run_that_is_stopped_again_and_again_continues(bench, monkeypatch):
    for n_crops in (2, 1):
        stop_after(n_crops, monkeypatch)
        with pytest.raises(AssertionError, match="130"):
            bench.cut()
        monkeypatch.undo()
        assert not (bench.out / plan.MANIFEST).exists()
        # A kill may cut the last line off.
        record = bench.out / NAME
        record.write_text(record.read_text()[:-5] if n_crops == 2 else record.read_text())
    assert bench.cut() == (2, 2)
    bench.assert_equals_a_fresh_folder()


def test_a_line_is_in_the_record_as_soon_as_its_crop(tmp_path):
    (tmp_path / "x.png").write_bytes(b"x")
    with CropRecord(tmp_path, 1).open() as record:
        record.add("x.png", "source", [0, 0, 1, 1])
        with CropRecord(tmp_path, 1).open() as again:
            assert again.keep("x.png", "source", [0, 0, 1, 1])


def test_bytes_that_are_no_text_in_a_record_do_no_harm(bench):
    bench.cut()
    with (bench.out / NAME).open("ab") as file:
        file.write(b"\xff\xfe\x00" + b"0" * 64 + b"  ../../elsewhere\n")
    assert bench.cut() == (0, 4)
    bench.assert_equals_a_fresh_folder()


def test_the_lines_of_a_record_are_not_held(tmp_path):
    n = 20_000
    names = [f"17_06_{i:07d}.jpg_pred_yolo_crop_0.png" for i in range(n)]
    (tmp_path / NAME).write_text("".join(f"{'0' * 64}  {name}\n" for name in names))
    tracemalloc.start()
    record = CropRecord(tmp_path, 1)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A dictionary of them would take 300 bytes a line, and more while it is read.
    assert most < 150 * n
    assert list(record.names()) == names
