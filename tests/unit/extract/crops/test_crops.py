"""Crops and dictionaries: pixels, names, cleaning up, and what the consumers expect."""

import json
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from extract.__main__ import main
from extract.core.errors import ConfigError, DataError
from extract.crops.cutting import claim_folder
from extract.crops.dictionary import crop_dictionary
from extract.crops.names import CropStems, crop_name
from extract.crops.plan import (
    Crop,
    clip_to_image,
    iter_manifest,
    manifest_line,
    plan_crops,
    read_manifest,
    write_manifest,
)
from extract.images.decode import probe_image
from extract.store import FeatureWriter, Header, StoredItem, merge_shards
from extract.tables.images_table import ImageRow, write_images
from extract.tables.lazy_table import pack_texts
from extract.tables.rows import STATUS, ItemFeatures, Outputs
from extract.tables.samples import Sample, write_samples

OUTPUTS = Outputs(text=True, boxes=True, scores=True)
coordinate = st.floats(-300, 300, width=32)


@given(coordinate, coordinate, coordinate, coordinate, st.integers(1, 120), st.integers(1, 120))
def test_a_clipped_box_is_inside_and_covers_what_it_should(x1, y1, x2, y2, width, height):
    clipped = clip_to_image((x1, y1, x2, y2), width, height)
    # The pixels whose open squares meet the box's interior.
    columns = [x for x in range(width) if max(x, x1) < min(x + 1, x2)]
    rows = [y for y in range(height) if max(y, y1) < min(y + 1, y2)]
    if columns and rows:
        assert clipped == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    else:
        assert clipped is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_box_that_is_not_finite_is_outside(bad):
    assert clip_to_image((0, 0, bad, 5), 10, 10) is None


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(0, 99)), unique=True, max_size=8))
def test_different_crops_have_different_plain_names(crops):
    stems = CropStems(image_id for image_id, _ in crops)
    names = [crop_name(stems[image_id], number) for image_id, number in crops]
    assert len({name.lower() for name in names}) == len(crops)
    assert all(name.isascii() and "/" not in name and "\0" not in name for name in names)


@pytest.mark.parametrize(
    ("image_id", "name"),
    [
        ("17_06_1", "17_06_1_pred_yolo_crop_0.png"),
        ("a.b.jpg", "a.b.jpg_pred_yolo_crop_0.png"),
        ("dir/a", "dir%2Fa_pred_yolo_crop_0.png"),
        ("dir%2Fa", "dir%252Fa_pred_yolo_crop_0.png"),
        ("..", ".._pred_yolo_crop_0.png"),
        ("ü", "%C3%BC_pred_yolo_crop_0.png"),
    ],
)
def test_names(image_id, name):
    assert crop_name(CropStems([image_id])[image_id], 0) == name


def test_ids_that_differ_in_case_get_a_suffix_by_the_later_one():
    ids = ["Ab", "ab", "é", "É", "e\u0301", "AB", "ab", "%41b"]
    stems = CropStems(ids)
    assert stems["Ab"] == "Ab"
    assert re.fullmatch(r"ab\+[0-9a-f]{8}", stems["ab"])
    assert re.fullmatch(r"AB\+[0-9a-f]{8}", stems["AB"])
    assert len({stem.lower() for stem in stems.values()}) == len(stems) == 7
    # The order decides who keeps the plain name; the suffix depends on the id alone.
    other = CropStems(["AB", "ab"])
    assert other["AB"] == "AB" and other["ab"] == stems["ab"]


def test_long_ids_are_cut_to_what_a_file_system_takes(tmp_path):
    ids = ["犬" * 80, "犬" * 80 + "a", "x" * 5000]
    names = [crop_name(stem, 10**6) for stem in CropStems(ids).values()]
    assert len(set(names)) == 3
    for name in names:
        (tmp_path / f".{name}.0a1b2c3d.4194304.tmp").touch()


def stored(boxes, scores=None, text=None):
    scores = [float("nan")] * len(boxes) if scores is None else scores
    return StoredItem(
        status=STATUS["ok"],
        text=tuple(text or ["x"] * len(boxes)),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
    )


def test_small_and_outside_boxes_are_dropped_with_a_reason_and_keep_their_number():
    image = ImageRow("i", "i.png", "sha", height=10, width=20, status="ok")
    boxes = [(-5, -5, 4, 40), (0, 0, 2.5, 9), (30, 0, 40, 5), (20, 0, 25, 5), (18, 8, 99, 99)]
    plan = plan_crops(stored(boxes), image, stem="i", min_size_px=3)
    assert [(crop.crop, crop.dropped, crop.clipped) for crop in plan] == [
        ("i_pred_yolo_crop_0.png", None, [0, 0, 4, 10]),
        ("i_pred_yolo_crop_1.png", None, [0, 0, 3, 9]),
        (None, "outside the image", None),
        (None, "outside the image", None),
        (None, "smaller than 3 px", [18, 8, 20, 10]),
    ]
    assert [crop.score for crop in plan] == [None] * 5


class Corpus:
    """Photos on disk, images.tsv, and grounding stores made from boxes."""

    def __init__(self, folder):
        self.folder = folder
        self.rows: dict[str, ImageRow] = {}
        self.pixels: dict[str, np.ndarray] = {}
        (folder / "photos").mkdir()

    def add(self, image_id, width, height, *, orientation=None, seed=0):
        """Save a PNG of random pixels, stored turned where an orientation is given."""
        generator = np.random.default_rng(seed)
        upright = generator.integers(0, 256, (height, width, 3), np.uint8)
        path = self.folder / "photos" / f"{len(self.rows)}.png"
        if orientation is None:
            Image.fromarray(upright).save(path)
        else:
            assert orientation == 6, "the stored image must be turned by 90 degrees clockwise"
            exif = Image.Exif()
            exif[0x0112] = orientation
            Image.fromarray(np.rot90(upright, 1)).save(path, exif=exif)
        probe = probe_image(path)
        assert (probe.width, probe.height) == (width, height)
        self.pixels[image_id] = upright
        self.rows[image_id] = ImageRow(
            image_id, str(path), probe.sha256, probe.height, probe.width, "ok"
        )

    def store(self, boxes, name="grounder.h5", outputs=OUTPUTS):
        """Write a merged store: image id -> boxes, best first."""
        rows = list(self.rows.values())
        header = Header(
            fingerprint="f" * 64,
            outputs=outputs,
            ids=tuple(self.rows),
            input_sha256=tuple(row.sha256 for row in rows),
            image_size=np.array([(row.height, row.width) for row in rows], np.int32),
        )
        shard = self.folder / f"shard.{name}"
        writer = FeatureWriter(shard.with_name(shard.name + ".partial"), header)
        writer.append([self._features(boxes.get(image_id, []), outputs) for image_id in self.rows])
        writer.finish(shard, {})
        write_images(self.folder / "images.tsv", rows)
        merge_shards([shard], self.folder / name, ids=list(self.rows))
        return self.folder / name

    def _features(self, boxes, outputs):
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        found = len(boxes) > 0
        scores = np.linspace(0.9, 0.1, len(boxes), dtype=np.float32)
        return ItemFeatures(
            text=[f"phrase {i}" for i in range(len(boxes))],
            boxes=boxes if outputs.boxes else None,
            scores=scores if outputs.scores else None,
            status=STATUS["ok" if found else "nothing_found"],
            reason="" if found else "no phrase",
        )

    def cut(self, store, *more):
        """Run the command; return its exit code."""
        images, out = self.folder / "images.tsv", self.folder / "crops"
        command = ["crops", "--store", str(store), "--images", str(images), "--out", str(out)]
        return main([*command, *more])

    def files(self):
        return {path.name: path.read_bytes() for path in (self.folder / "crops").iterdir()}


@pytest.fixture
def corpus(tmp_path):
    return Corpus(tmp_path)


def pixels_of(path):
    with Image.open(path) as image:
        assert image.mode == "RGB" and not image.info
        return np.asarray(image)


def test_crops_are_slices_of_the_upright_image(corpus, tmp_path):
    corpus.add("plain", 30, 20)
    corpus.add("turned", 24, 36, orientation=6, seed=1)
    corpus.add("empty", 5, 5, seed=2)
    store = corpus.store({"plain": [(3, 4, 10, 12), (-9, 15, 99, 99)], "turned": [(2, 20, 9, 33)]})
    assert corpus.cut(store) == 0
    folder = tmp_path / "crops"
    for name, expected in {
        "plain_pred_yolo_crop_0.png": corpus.pixels["plain"][4:12, 3:10],
        "plain_pred_yolo_crop_1.png": corpus.pixels["plain"][15:20, 0:30],
        "turned_pred_yolo_crop_0.png": corpus.pixels["turned"][20:33, 2:9],
    }.items():
        assert np.array_equal(pixels_of(folder / name), expected), name
    manifest = read_manifest(folder / "crops.jsonl")
    assert [(crop.image_id, crop.row, crop.crop, crop.phrase) for crop in manifest] == [
        ("plain", 0, "plain_pred_yolo_crop_0.png", "phrase 0"),
        ("plain", 1, "plain_pred_yolo_crop_1.png", "phrase 1"),
        ("turned", 0, "turned_pred_yolo_crop_0.png", "phrase 0"),
    ]
    assert manifest[1].box == [-9, 15, 99, 99] and manifest[1].clipped == [0, 15, 30, 20]
    assert manifest[0].score == pytest.approx(0.9)
    assert manifest[2].source_sha256 == corpus.rows["turned"].sha256
    assert len(corpus.files()) == 5  # with the manifest and the mark of the folder


def test_a_second_run_gives_the_same_bytes_and_removes_what_is_old(corpus, tmp_path):
    corpus.add("a", 30, 20)
    corpus.add("b", 30, 20, seed=1)
    assert corpus.cut(corpus.store({"a": [(0, 0, 9, 9), (5, 5, 9, 9)], "b": [(1, 1, 4, 4)]})) == 0
    first = corpus.files()
    foreign = tmp_path / "crops" / "notes.txt"
    foreign.write_text("mine")
    for temporary in ("123.tmp", "0a1b2c3d.123.tmp"):
        (tmp_path / "crops" / f".a_pred_yolo_crop_7.png.{temporary}").write_bytes(b"half")
    assert corpus.cut(corpus.store({"a": [(0, 0, 9, 9)]}, name="second.h5")) == 0
    second = corpus.files()
    kept = [".mner_crops", "a_pred_yolo_crop_0.png", "crops.jsonl", "notes.txt"]
    assert sorted(second) == kept
    assert second["a_pred_yolo_crop_0.png"] == first["a_pred_yolo_crop_0.png"]
    assert corpus.cut(tmp_path / "grounder.h5") == 0
    foreign.unlink()
    assert corpus.files() == first


def test_ids_that_look_alike_do_not_collide(corpus, tmp_path):
    ids = ["x/1", "x%2F1", "x_1", "x.1", "X/1", "x%2f1"]
    for seed, image_id in enumerate(ids):
        corpus.add(image_id, 8, 8, seed=seed)
    assert corpus.cut(corpus.store({image_id: [(0, 0, 8, 8)] for image_id in ids})) == 0
    manifest = read_manifest(tmp_path / "crops" / "crops.jsonl")
    assert len({crop.crop.lower() for crop in manifest}) == len(ids)
    for crop in manifest:
        found = pixels_of(tmp_path / "crops" / crop.crop)
        assert np.array_equal(found, corpus.pixels[crop.image_id])


def test_minimum_size(corpus, tmp_path):
    corpus.add("a", 30, 20)
    store = corpus.store({"a": [(0, 0, 9, 2), (0, 0, 9, 5)]})
    assert corpus.cut(store, "--min-size", "4") == 0
    dropped, kept = read_manifest(tmp_path / "crops" / "crops.jsonl")
    assert (dropped.crop, dropped.dropped) == (None, "smaller than 4 px")
    # The number is that of the row, so that it still names the same box.
    assert kept.crop == "a_pred_yolo_crop_1.png"
    assert corpus.cut(store, "--min-size", "0") == 2


def test_user_errors(corpus, capsys):
    corpus.add("a", 30, 20)
    corpus.add("b", 30, 20, seed=1)
    store = corpus.store({"a": [(0, 0, 9, 9)]})
    write_images(corpus.folder / "images.tsv", [corpus.rows["a"]])
    assert corpus.cut(store) == 2
    assert "'b'" in capsys.readouterr().err
    write_images(corpus.folder / "images.tsv", corpus.rows.values())
    no_boxes = corpus.store({"a": [(0, 0, 9, 9)]}, name="text.h5", outputs=Outputs(text=True))
    assert corpus.cut(no_boxes) == 2
    assert "no boxes" in capsys.readouterr().err
    Image.new("RGB", (30, 20)).save(corpus.rows["a"].path)
    assert corpus.cut(store) == 2
    assert "changed since" in capsys.readouterr().err
    assert not (corpus.folder / "crops" / "crops.jsonl").exists()


def write_split(path, image_ids):
    write_samples(path, [Sample(str(i), image_id, ["x"]) for i, image_id in enumerate(image_ids)])


def test_dictionary_round_trip(corpus, tmp_path):
    import torch

    for seed, image_id in enumerate(["z", "a.jpg", "none"]):
        corpus.add(image_id, 30, 20, seed=seed)
    boxes = [(i, 0, i + 5, 9) for i in range(12)]
    assert corpus.cut(corpus.store({"z": boxes, "a.jpg": [(0, 0, 9, 9)]})) == 0
    write_split(tmp_path / "train.jsonl", ["z", "none", "a.jpg", "z"])
    command = ["crop-dict", "--crops", str(tmp_path / "crops" / "crops.jsonl")]
    command += ["--samples", str(tmp_path / "train.jsonl")]
    out = tmp_path / "train_dict.pth"
    assert main([*command, "--out", str(out)]) == 0
    dictionary = torch.load(out, weights_only=True)
    assert type(dictionary) is dict
    # Sample order, image suffix, and numbers counted as numbers (2 before 10).
    assert list(dictionary) == ["z.jpg", "none.jpg", "a.jpg"]
    assert dictionary["z.jpg"] == [f"z_pred_yolo_crop_{i}.png" for i in range(12)]
    assert dictionary["none.jpg"] == []
    assert all((tmp_path / "crops" / name).is_file() for name in dictionary["a.jpg"])
    as_json = json.loads((tmp_path / "train_dict.json").read_text())
    assert as_json == dictionary and list(as_json) == list(dictionary)
    first = out.read_bytes()
    again = tmp_path / "other_name.pth"
    assert main([*command, "--out", str(again), "--key-suffix", ".jpg"]) == 0
    assert again.read_bytes() == first
    assert main([*command, "--out", str(tmp_path / "x.json")]) == 2


def test_dictionary_refuses_two_ids_with_one_key():
    assert list(crop_dictionary(["a", "a"], [])) == ["a.jpg"]
    assert list(crop_dictionary(["a", "a.jpg"], [], key_suffix="")) == ["a", "a.jpg"]
    with pytest.raises(DataError, match=r"a\.jpg"):
        crop_dictionary(["a", "a.jpg"], [])


def test_dictionary_of_a_detector(corpus, tmp_path):
    """DeepKE's form: keys without extension, paths as values, all splits in one."""
    import torch

    for seed, image_id in enumerate(["a.jpg", "b.x", "c"]):
        corpus.add(image_id, 30, 20, seed=seed)
    boxes = {"a.jpg": [(0, 0, 9, 9)], "b.x": [(0, 0, 9, 9), (1, 1, 5, 5)]}
    assert corpus.cut(corpus.store(boxes)) == 0
    write_split(tmp_path / "train.jsonl", ["a.jpg"])
    write_split(tmp_path / "test.jsonl", ["b.x", "c"])
    out = tmp_path / "img2crop.pth"
    command = ["crop-dict", "--crops", str(tmp_path / "crops" / "crops.jsonl"), "--samples"]
    command += [str(tmp_path / "train.jsonl"), str(tmp_path / "test.jsonl"), "--out", str(out)]
    assert main([*command, "--keys", "id", "--prefix", "detect/crops/"]) == 0
    assert torch.load(out, weights_only=True) == {
        "a": ["detect/crops/a.jpg_pred_yolo_crop_0.png"],
        "b.x": [f"detect/crops/b.x_pred_yolo_crop_{i}.png" for i in range(2)],
        "c": [],
    }
    assert main([*command, "--keys", "first_dot"]) == 0
    assert list(torch.load(out, weights_only=True)) == ["a", "b", "c"]


def test_a_folder_of_foreign_crops_is_left_alone(tmp_path) -> None:
    foreign = tmp_path / "17_06_1_pred_yolo_crop_0.png"
    foreign.write_bytes(b"theirs")
    with pytest.raises(ConfigError, match="not made here"):
        claim_folder(tmp_path)
    assert foreign.read_bytes() == b"theirs"
    claim_folder(tmp_path / "ours")
    (tmp_path / "ours" / foreign.name).write_bytes(b"ours")
    claim_folder(tmp_path / "ours")


def test_the_memory_of_the_command_hardly_grows_with_the_rows(corpus):
    """Rows without a crop, so that no files are written: each has its line all the same."""
    ids = [str(i) for i in range(40)]
    for seed, image_id in enumerate(ids):
        corpus.add(image_id, 4, 4, seed=seed)

    def peak(rows_each):
        store = corpus.store({image_id: [(5, 5, 9, 9)] * rows_each for image_id in ids})
        tracemalloc.start()
        assert corpus.cut(store) == 0
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)  # imports
    few, many = peak(60), peak(180)
    # An object of each row, and their lines in one text, would take 900 bytes a row.
    assert many - few < 300 * 120 * len(ids)
    assert len(read_manifest(corpus.folder / "crops" / "crops.jsonl")) == 180 * len(ids)


def test_a_manifest_takes_the_memory_of_its_lines(tmp_path):
    path, n = tmp_path / "crops.jsonl", 3000
    crops = [Crop(f"i{i}", 0, f"{i}.png", None, [0.5] * 4, [0] * 4, 0.5, "x", "") for i in range(n)]
    write_manifest(path, map(manifest_line, crops))
    tracemalloc.start()
    read = read_manifest(path)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.5 * path.stat().st_size
    assert read == crops == list(iter_manifest(path))


def test_the_names_of_images_are_not_held():
    n = 5000
    ids = pack_texts(f"17_06_{i:07d}.jpg" for i in range(n))
    tracemalloc.start()
    stems = CropStems(ids)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A dictionary of them would take 300 bytes an image.
    assert held < 100 * n
    assert stems[ids[7]] == ids[7] and len(stems) == n
