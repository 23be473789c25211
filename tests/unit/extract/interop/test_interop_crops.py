"""Crop archives read back: the same bytes as `pixels`, whatever the keys, and nothing unpickled."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from extract.__main__ import main
from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.crops.dictionary import save_dictionary
from extract.extractors import pixels
from extract.images.decode import load_image
from extract.interop.artefacts.crop_dict import Options, read
from extract.interop.crop_archives import load_dictionary, read_archive
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, Item
from tests.builders.extract.tiny_export import DETECTOR_BOXES, PHRASE_BOXES, Tiny, prepare


@pytest.fixture(scope="module")
def tiny(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    tiny = prepare(repo_root, tmp_path_factory.mktemp("tiny"))
    for layout in ("hvpnet", "deepke", "vec_mner", "co_mipn"):
        more = [] if layout in ("hvpnet", "co_mipn") else ["--detector-crops"]
        more += [str(tiny.folder / "detector_crops")] if more else []
        assert main(tiny.command(layout, tiny.folder / layout, *more)) == 0
    return tiny


def direct_rows(tiny: Tiny, boxes: dict, options: pixels.Options) -> list[np.ndarray]:
    """What `pixels` gives for the boxes, straight from the images."""
    extractor = pixels.Extractor(options)
    rows = []
    for row in tiny.images.values():
        if row.image_id not in boxes:
            rows.append(np.zeros((0, options.size**2 * 3), np.uint8))
            continue
        image = load_image(Path(row.path))
        item = Item(row.image_id, image, boxes=np.array(boxes[row.image_id], np.float32))
        rows.append(extractor.extract([item])[0].features)
    return rows


def imported_rows(source, tiny: Tiny, options: Options) -> list[np.ndarray]:
    imported = read(source, list(tiny.images.values()), options)
    return [item.features for item in imported.items]


@pytest.mark.parametrize(
    "how",
    [
        {"size": 32},
        {"size": 24, "resize": "exact", "max_crops": None},
        {"size": 28, "shorter_side": 32, "resample": "bilinear", "crop_rounding": "half_even"},
    ],
)
@pytest.mark.parametrize(
    ("layout", "kind", "inside"),
    [
        ("hvpnet", "grounding", "."),
        ("hvpnet", "grounding", "data/NER_data"),
        ("hvpnet", "grounding", "data/NER_data/twitter2015"),
        ("co_mipn", "grounding", "data/twitter15_data"),
        ("deepke", "grounding", "data/twitter2015"),
        ("vec_mner", "detector", "."),
        ("vec_mner", "detector", "data/twitter2015/twitter15_detect"),
    ],
)
def test_boxes_to_crops_to_export_to_import_gives_the_pixels_of_the_boxes(
    tiny, layout, kind, inside, how
):
    boxes = DETECTOR_BOXES if kind == "detector" else PHRASE_BOXES
    expected = direct_rows(tiny, boxes, pixels.Options(of="crops", **how))
    source = [tiny.folder / layout / inside]
    found = imported_rows(source, tiny, Options(layout=layout, kind=kind, **how))
    assert [len(rows) for rows in found] == [len(rows) for rows in expected]
    assert sum(map(len, found)) > 5 or kind == "detector"
    for one, other in zip(found, expected, strict=True):
        assert one.tobytes() == other.tobytes() and one.dtype == np.uint8


def test_the_import_command_finds_everything_by_the_layouts_names(tiny, tmp_path, monkeypatch):
    from extract.store import FeatureStore

    monkeypatch.chdir(tiny.folder / "deepke" / "data" / "twitter2015")
    out = tmp_path / "crops.h5"
    options = json.dumps({"layout": "deepke", "name": "twitter2015", "size": 16})
    command = ["import", "crop_dict", "--source", ".", "--options", options]
    assert main([*command, "--images", str(tiny.folder / "images.tsv"), "--out", str(out)]) == 0
    with FeatureStore(out) as store:
        assert store.ids == list(tiny.images)
        assert store.outputs.item_shape == (16, 16, 3)
        expected = direct_rows(tiny, PHRASE_BOXES, pixels.Options(of="crops", size=16))
        for image_id, rows in zip(store.ids, expected, strict=True):
            found = store.item(image_id)
            assert np.array_equal(found.features, rows)
            assert found.status == STATUS["ok" if len(rows) else "nothing_found"]


class Archive:
    """A foreign archive written by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "crops").mkdir(parents=True)

    def crop(self, name: str, color: str = "red") -> str:
        Image.new("RGB", (9, 7), color).save(self.folder / "crops" / name)
        return name

    def rows(self, dictionary: dict, image_ids: list[str], name: str = "d.pth", **options):
        path = self.folder / name
        if name.endswith(".json"):
            path.write_text(json.dumps(dictionary), encoding="utf-8")
        else:
            save_dictionary(dictionary, path)
        images = [ImageRow(i, "", "", 0, 0, "missing") for i in image_ids]
        imported = read([path, self.folder / "crops"], images, Options(size=4, **options))
        return list(imported.items), imported.notes


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def colors(item) -> list[tuple[int, int, int]]:
    return [tuple(row[:3]) for row in item.features]


@pytest.mark.parametrize("name", ["d.pth", "d.json"])
def test_keys_with_and_without_extension(archive, name):
    dictionary = {"a.jpg": [archive.crop("1.png")], "b": [archive.crop("2.png")], "c.d": []}
    dictionary["other.jpg"] = [archive.crop("3.png")]
    items, notes = archive.rows(dictionary, ["a", "b.png", "c.d", "e"], name)
    assert [item.n_rows for item in items] == [1, 1, 0, 0]
    assert [item.reason for item in items[2:]] == [
        "the crop dictionary lists no crop",
        "not in the crop dictionary",
    ]
    assert {item.status for item in items[2:]} == {STATUS["nothing_found"]}
    assert (notes["missing_in_file"], notes["surplus_keys"]) == (1, 1)


def test_broken_crops_are_left_out_and_counted(archive):
    good = [archive.crop(f"{color}.png", color) for color in ("red", "lime", "blue")]
    (archive.folder / "crops" / "half.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    dictionary = {
        "a.jpg": ["half.png", good[1], good[2], good[0]],
        "b.jpg": ["half.png", "gone.png"],
        "c.jpg": good,
    }
    items, notes = archive.rows(dictionary, ["a", "b", "c"])
    # Of the first three listed; the fourth does not replace the broken one.
    assert colors(items[0]) == [(0, 255, 0), (0, 0, 255)]
    assert items[1].status == STATUS["unreadable"] and items[1].n_rows == 0
    assert items[1].reason.startswith("no crop can be read; half.png: ")
    assert colors(items[2]) == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert notes["unreadable_crops"] == 3
    everything, _ = archive.rows(dictionary, ["a"], max_crops=None)
    assert colors(everything[0]) == [(0, 255, 0), (0, 0, 255), (255, 0, 0)]


def test_of_two_dictionaries_the_first_list_counts(archive):
    red, blue = archive.crop("red.png", "red"), archive.crop("blue.png", "blue")
    paths = [archive.folder / f"{split}.pth" for split in ("train", "val")]
    save_dictionary({"a.jpg": [red], "b.jpg": [blue]}, paths[0])
    save_dictionary({"a.jpg": [blue], "b.jpg": [blue], "c.jpg": [red]}, paths[1])
    found = read_archive([*paths, archive.folder / "crops"])
    assert {key: [p.name for p in crops] for key, crops in found.crops.items()} == {
        "a.jpg": [red], "b.jpg": [blue], "c.jpg": [red],
    }  # fmt: skip
    assert found.notes == {"keys_with_two_lists": 1}


def test_an_image_that_could_be_two_keys_is_refused(archive):
    dictionary = {"a.jpg": [archive.crop("1.png")], "a.png": []}
    with pytest.raises(DataError, match="could all be image 'a'"):
        archive.rows(dictionary, ["a"])


def test_detector_keys_are_cut_at_the_first_dot_only_there(tiny, tmp_path):
    root = [tiny.folder / "deepke"]
    images = list(tiny.images.values())
    found = read_archive(root, layout="deepke", name="twitter2015", detector=True).keys_of(images)
    assert found["img.v2"] == "img"
    twin = [ImageRow("img.v3", "", "", 0, 0, "missing"), *images]
    with pytest.raises(DataError, match=r"both listed as 'img'"):
        read_archive(root, layout="deepke", name="twitter2015", detector=True).keys_of(twin)
    by_name = Archive(tmp_path / "x")
    items, _ = by_name.rows({"img": [by_name.crop("1.png")]}, ["img.v2"])
    assert items[0].status == STATUS["nothing_found"]


class Evil:
    """Runs code where a pickle is trusted."""

    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: torch.save({"a.jpg": Evil()}, path),
        lambda path: path.write_bytes(pickle.dumps({"a.jpg": Evil()})),
        lambda path: path.write_bytes(pickle.dumps({"a.jpg": ["x"]}, protocol=2)),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"hello world"),
        lambda path: path.write_bytes(b"\x80\x05junk"),
        lambda path: path.write_bytes(b"PK\x03\x04 not whole"),
        lambda path: torch.save(["a.jpg"], path),
        lambda path: torch.save({"a.jpg": "x.png"}, path),
        lambda path: torch.save({"a.jpg": [1]}, path),
        lambda path: torch.save({1: ["x.png"]}, path),
        lambda path: torch.save({"a.jpg": torch.zeros(2)}, path),
    ],
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_other_files_are_refused_and_run_nothing(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "d.pth"
    write(path)
    with pytest.raises(DataError, match=r"d\.pth: "):
        load_dictionary(path)
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", ["/etc/hosts", "../secret.png", "a/../../b.png", "a\0b"])
def test_crops_outside_the_folders_are_refused(archive, name):
    with pytest.raises(DataError, match="leads out of"):
        archive.rows({"a.jpg": [name]}, ["a"])


def test_sources_that_do_not_fit(tiny, archive, tmp_path):
    save_dictionary({}, archive.folder / "d.pth")
    dictionary, folder = archive.folder / "d.pth", archive.folder / "crops"
    images = list(tiny.images.values())
    empty = tmp_path / "empty"
    empty.mkdir()
    for error, match, source, options in [
        (ConfigError, "expected dictionaries", [dictionary], {}),
        (ConfigError, "expected dictionaries", [folder], {}),
        (MissingFileError, "no such file", [dictionary, folder, tmp_path / "gone"], {}),
        (ConfigError, "source is one folder", [dictionary, folder], {"layout": "hvpnet"}),
        (MissingFileError, "twitter2015_train_dict", [empty], {"layout": "hvpnet"}),
        (ConfigError, "knows twitter2015", [empty], {"layout": "hvpnet", "name": "x"}),
        (ConfigError, "Did you mean 'hvpnet'", [empty], {"layout": "hvpne"}),
        (ConfigError, "no crop dictionary", [empty], {"layout": "umgf"}),
        (ConfigError, "no detector", [empty], {"layout": "hvpnet", "kind": "detector"}),
        (MissingFileError, "img2crop", [empty], {"layout": "deepke", "kind": "detector"}),
    ]:  # fmt: skip
        with pytest.raises(error, match=match):
            read(source, images, Options(**options))
    with pytest.raises(ValueError, match="size"):
        Options(size=0)


def test_a_dictionary_without_its_crops_is_an_error(tiny, tmp_path):
    save_dictionary({"a.jpg": ["x.png"]}, tmp_path / "twitter2015_train_dict.pth")
    with pytest.raises(MissingFileError, match="twitter2015_aux_images/train/crops"):
        read_archive([tmp_path], layout="hvpnet", name="twitter2015")
