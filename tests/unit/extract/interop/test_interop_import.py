"""Imports in general: an ordinary store, equal for equal sources, and clear refusals."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from extract.__main__ import main
from extract.core.errors import BusyError, ConfigError, DataError, MissingFileError, StoreError
from extract.interop import stores
from extract.interop.names import match_names
from extract.interop.tsv import LineReader, iter_lines, write_tsv
from extract.interop.values import as_number, as_text, decode_floats, encode_floats, parse_json
from extract.store import FeatureStore, verify_store
from extract.tables.images_table import write_images
from extract.tables.rows import ItemFeatures, Outputs
from tests.builders.extract.interop_files import image, run_import

IMAGES = [image(f"i{n}") for n in range(40)]


def write_list(path: Path, lines: str) -> Path:
    path.write_text(lines, encoding="utf-8")
    return path


def forty(tmp_path: Path, name: str = "list.txt") -> Path:
    """Captions of all images but i7, two of i3, and one of no image."""
    lines = [f"i{n}.jpg :caption {n}" for n in reversed(range(40)) if n != 7]
    return write_list(tmp_path / name, "\n".join([*lines, "i3.jpg :again", "other.jpg :x"]))


def test_an_import_is_an_ordinary_store_in_manifest_order(tmp_path):
    counts = run_import("caption_list", forty(tmp_path), tmp_path / "x.h5", IMAGES)
    assert counts["items"] == 40 and counts["rows"] == 40
    assert counts["status"]["ok"] == 39 and counts["status"]["missing"] == 1
    assert counts["missing_in_file"] == 1 and counts["surplus_keys"] == 1
    with FeatureStore(tmp_path / "x.h5") as store:
        assert store.ids == [row.image_id for row in IMAGES]
        assert store.item("i3").text == ("caption 3", "again")
        assert store.item("i7").reason == "not in list.txt"
        assert store.image_size("i0") == (48, 64)
        assert store.provenance["import"]["kind"] == "caption_list"
        assert store.provenance["import"]["sources"][0]["name"] == "list.txt"
        assert store.provenance["import"]["fingerprint"] == store.fingerprint
        assert store.provenance["counts"]["ok"] == 39
        assert str(tmp_path) not in json.dumps(store.provenance)


def test_equal_imports_give_equal_bytes_whatever_the_block_size(tmp_path, monkeypatch):
    source = forty(tmp_path)
    run_import("caption_list", source, tmp_path / "a.h5", IMAGES)
    run_import("caption_list", source, tmp_path / "b.h5", IMAGES)
    monkeypatch.setattr(stores, "_MIN_BLOCK", 3)
    run_import("caption_list", source, tmp_path / "c.h5", IMAGES)
    first = (tmp_path / "a.h5").read_bytes()
    assert first == (tmp_path / "b.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()


def test_a_second_import_does_not_touch_the_first(tmp_path, monkeypatch):
    source, out = forty(tmp_path), tmp_path / "stores" / "x.h5"
    run_import("caption_list", source, tmp_path / "alone.h5", IMAGES)
    write_shard, refused = stores._write_shard, []

    def write_and_start_another(*arguments):
        write_shard(*arguments)
        with pytest.raises(BusyError, match=r"x\.h5: another process") as caught:
            run_import("caption_list", source, out, IMAGES)
        refused.append(caught.value)

    monkeypatch.setattr(stores, "_write_shard", write_and_start_another)
    run_import("caption_list", source, out, IMAGES)
    assert refused
    assert out.read_bytes() == (tmp_path / "alone.h5").read_bytes()
    assert [path.name for path in out.parent.iterdir()] == ["x.h5"]


def test_the_fingerprint_follows_source_options_and_version_not_the_name(tmp_path, monkeypatch):
    def fingerprint(source, **options):
        run_import("caption_list", source, tmp_path / "x.h5", IMAGES[:1], **options)
        with FeatureStore(tmp_path / "x.h5") as store:
            return store.fingerprint

    first = fingerprint(write_list(tmp_path / "a.txt", "i0 :x"))
    assert first == fingerprint(write_list(tmp_path / "b.txt", "i0 :x"))
    others = {fingerprint(write_list(tmp_path / "a.txt", "i0 :y"))}
    others.add(fingerprint(tmp_path / "b.txt", suffix=".png"))
    monkeypatch.setattr("extract.interop.artefacts.caption_list.VERSION", 2)
    others.add(fingerprint(tmp_path / "b.txt"))
    assert len(others - {first}) == 3


def test_input_checksums_differ_only_where_the_content_does(tmp_path):
    sums = []
    for text in ("i0 :x\ni1 :y", "i0 :x\ni1 :z"):
        source = write_list(tmp_path / "a.txt", text)
        run_import("caption_list", source, tmp_path / "x.h5", IMAGES[:2])
        with FeatureStore(tmp_path / "x.h5") as store:
            sums.append(store.input_sha256())
    assert sums[0]["i0"] == sums[1]["i0"] and sums[0]["i1"] != sums[1]["i1"]
    assert len(sums[0]["i0"]) == 64 and sums[0]["i0"] != sums[0]["i1"]


def test_an_empty_manifest_gives_an_empty_store(tmp_path):
    counts = run_import("caption_list", forty(tmp_path), tmp_path / "x.h5", [])
    assert counts["items"] == counts["rows"] == 0 and counts["surplus_keys"] == 40


def test_missing_and_unreadable_images_keep_their_reason(tmp_path):
    images = [image("i0", "missing"), image("i1", "unreadable"), image("i2", "no_images")]
    source = write_list(tmp_path / "a.txt", "i9 :x")
    run_import("caption_list", source, tmp_path / "x.h5", images)
    with FeatureStore(tmp_path / "x.h5") as store:
        found = [(item.status, item.reason) for _, item in store.items()]
    assert [status for status, _ in found] == [1, 2, 1]
    assert found[1][1] == "not in a.txt (is unreadable)"


def test_a_file_may_have_rows_for_an_image_that_is_not_here(tmp_path):
    source = write_list(tmp_path / "a.txt", "i0.jpg :x")
    run_import("caption_list", source, tmp_path / "x.h5", [image("i0", "no_images")])
    with FeatureStore(tmp_path / "x.h5") as store:
        assert store.item("i0").text == ("x",)


def test_a_failed_import_leaves_nothing(tmp_path):
    source = tmp_path / "c.tsv"
    source.write_text('i0\t[{"caption": "a"}]\ni1\t[{"caption": "\\ud800"}]\n')
    with pytest.raises(DataError, match=r"c\.tsv:2: .*surrogate"):
        run_import("captions_tsv", source, tmp_path / "x.h5", IMAGES)
    assert list(tmp_path.iterdir()) == [source]


def rows_with_boxes(boxes):
    """A module that returns one image's boxes, whatever the source."""

    def read(source, images, options):
        outputs = Outputs(text=True, boxes=True)
        item = ItemFeatures(text=["x"] * len(boxes), boxes=np.array(boxes, np.float32))
        return stores.Imported(outputs, [item])

    return read


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((10, 0, 5, 5), "not in order"),
        ((65, 0, 70, 5), "lies outside the image of 64 x 48"),
        ((-9, 0, -1, 5), "lies outside"),
    ],
)
def test_boxes_of_another_picture_are_refused(tmp_path, monkeypatch, box, message):
    monkeypatch.setattr("extract.interop.artefacts.voc.read", rows_with_boxes([box]))
    with pytest.raises(DataError, match=message):
        run_import("voc", tmp_path, tmp_path / "out" / "x.h5", [image("i0")])


def test_values_that_are_not_finite_are_refused_by_the_store(tmp_path, monkeypatch):
    monkeypatch.setattr("extract.interop.artefacts.voc.read", rows_with_boxes([(0, 0, 1, np.inf)]))
    with pytest.raises((DataError, StoreError), match="i0"):
        run_import("voc", tmp_path, tmp_path / "out" / "x.h5", [image("i0", "no_images")])


def test_unknown_kinds_options_and_sources(tmp_path):
    source = forty(tmp_path)
    with pytest.raises(ConfigError, match=r"no artefact 'vinvl'.*Did you mean 'vinvl_tsv'"):
        run_import("vinvl", source, tmp_path / "x.h5", IMAGES)
    with pytest.raises(ConfigError, match="no artefact 'context_conll' that has write"):
        stores.load_artefact("context_conll", "write")
    with pytest.raises(ConfigError, match="no artefact 'names'"):
        stores.load_artefact("names", "read")
    with pytest.raises(ConfigError, match=r"unknown key 'sufix'.*suffix"):
        run_import("caption_list", source, tmp_path / "x.h5", IMAGES, sufix="")
    with pytest.raises(MissingFileError, match=r"gone\.txt"):
        run_import("caption_list", tmp_path / "gone.txt", tmp_path / "x.h5", IMAGES)
    with pytest.raises(ConfigError, match="needs --images"):
        stores.import_artefact("caption_list", [source], tmp_path / "x.h5")
    with pytest.raises(ConfigError, match="needs --samples"):
        stores.import_artefact("context_conll", [source], tmp_path / "x.h5", images=IMAGES)


def test_the_command_logs_its_counts_and_refuses_in_words(tmp_path, caplog, capsys):
    caplog.set_level("INFO")
    write_images(tmp_path / "images.tsv", IMAGES)
    arguments = ["import", "caption_list", "--source", str(forty(tmp_path))]
    arguments += ["--images", str(tmp_path / "images.tsv"), "--out", str(tmp_path / "x.h5")]
    assert main(arguments) == 0
    counts = json.loads(caplog.messages[-1])
    assert counts["import"] == "caption_list" and counts["status"]["ok"] == 39
    verify_store(tmp_path / "x.h5", IMAGES)
    assert main([*arguments, "--options", "{"]) == 2
    assert "--options: not JSON" in capsys.readouterr().err


def test_the_export_command_writes_artefacts(tmp_path, caplog, capsys):
    caplog.set_level("INFO")
    run_import("caption_list", forty(tmp_path), tmp_path / "x.h5", IMAGES)
    write_images(tmp_path / "images.tsv", IMAGES)
    arguments = ["--store", str(tmp_path / "x.h5"), "--images", str(tmp_path / "images.tsv")]
    arguments += ["--out", str(tmp_path / "c.tsv")]
    assert main(["export", "--artefact", "captions_tsv", *arguments]) == 0
    assert json.loads(caplog.messages[-1]) == {
        "export": "captions_tsv", "lines": 39, "left_out": 1, "captions": 40
    }  # fmt: skip
    assert len((tmp_path / "c.lineidx").read_text().split()) == 39
    assert main(["export", "--artefact", "captions", *arguments]) == 2
    assert "no artefact 'captions' that has write" in capsys.readouterr().err


def test_every_kind_is_light_to_import_and_says_what_it_is(repo_root):
    code = (
        "import sys; from extract.interop.stores import artefacts, load_artefact\n"
        "for name in artefacts('read'):\n"
        "    module = load_artefact(name, 'read')\n"
        "    assert module.HELP and module.VERSION and module.Options, name\n"
        "from extract.interop.layouts import adaseq, ita\n"
        "heavy = {'h5py', 'torch', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=repo_root, check=True)


# Names of files and ids of images.


def test_names_are_joined_with_and_without_image_extension():
    images = [image(i) for i in ("a", "b.jpg", "c.png", "d.v2", "e")]
    found, counts = match_names(["a.jpg", "b", "c.png", "d.v2.gif", "f"], images, "file")
    assert found == {"a": "a.jpg", "b.jpg": "b", "c.png": "c.png", "d.v2": "d.v2.gif"}
    assert counts == {"missing_in_file": 1, "surplus_keys": 1}


def test_equal_names_come_before_names_of_another_extension():
    images = [image("a"), image("a.jpg")]
    assert match_names(["a.jpg", "a"], images, "file")[0] == {"a": "a", "a.jpg": "a.jpg"}
    # The one that is named exactly takes its line; the other has none.
    assert match_names(["a.jpg"], images, "file")[0] == {"a.jpg": "a.jpg"}


def test_names_that_could_be_one_image_are_refused():
    with pytest.raises(DataError, match=r"a\.jpg.*a\.png.*could all be image 'a'"):
        match_names(["a.jpg", "a.png"], [image("a")], "file")
    with pytest.raises(DataError, match=r"key 'a' could be image 'a\.png' or 'a\.gif'"):
        match_names(["a"], [image("a.png"), image("a.gif")], "file")


# Lines and values.


def test_lines_are_read_again_in_any_order(tmp_path):
    paths = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    write_tsv(paths[0], [("k1", "ü"), ("k2", "x\\t")])
    paths[1].write_bytes("\ufeffk3\tz\r\n\r\nk4\tlast".encode())
    lines = [line for path in paths for line, _ in iter_lines(path)]
    with LineReader() as reader:
        assert [reader.columns(line) for line in reversed(lines)] == [
            ["k4", "last"], ["k3", "z"], ["k2", "x\\t"], ["k1", "ü"]
        ]  # fmt: skip
    assert [line.number for line in lines] == [1, 2, 1, 3]


def test_the_line_index_gives_the_byte_of_each_line(tmp_path):
    assert write_tsv(tmp_path / "a.tsv", [("é", "1"), ("b", "22"), ("c", "")]) == 3
    data = (tmp_path / "a.tsv").read_bytes()
    offsets = [int(line) for line in (tmp_path / "a.lineidx").read_text().splitlines()]
    starts = [data[offset:].split(b"\n")[0].decode() for offset in offsets]
    assert starts == ["é\t1", "b\t22", "c\t"]
    with pytest.raises(DataError, match="holds a tab or a line break"):
        write_tsv(tmp_path / "b.tsv", [("a\tb", "1")])
    assert not (tmp_path / "b.tsv").exists() and not (tmp_path / "b.lineidx").exists()


def test_lines_of_any_length_or_encoding_are_not_taken_in(tmp_path, monkeypatch):
    monkeypatch.setattr("extract.interop.tsv.MAX_LINE_BYTES", 50)
    path = tmp_path / "a.tsv"
    path.write_bytes(b"k\t" + b"x" * 100)
    with pytest.raises(DataError, match=r"a\.tsv:1: longer than 50 bytes"):
        list(iter_lines(path))
    path.write_bytes(b"k\tx\nk\t\xff\n")
    with pytest.raises(DataError, match=r"a\.tsv:2: not UTF-8"):
        list(iter_lines(path))


@pytest.mark.parametrize("text", ["{", "[NaN]", "[-Infinity]", "[" * 100_000, "1" * 5000, b"\xff"])
def test_json_that_is_none_is_refused(text):
    with pytest.raises(DataError, match="here: not JSON"):
        parse_json(text, "here")


@pytest.mark.parametrize("value", [None, True, "1", [1], 10**400, -(10**400), 1e39, float("nan")])
def test_numbers_are_finite_numbers(value):
    with pytest.raises(DataError, match="here"):
        as_number(value, "here")


@pytest.mark.parametrize("value", [None, 1, "a\0b", "\udc80"])
def test_texts_are_storable_strings(value):
    with pytest.raises(DataError, match="here"):
        as_text(value, "here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (7, "expected a string"),
        ("AAAA!", "not base64"),
        ("AAAAA", "not base64"),
        ("AAAA\n", "not base64"),
        ("é", "not base64"),
        ("AAAA", "3 bytes are no whole number"),
        (encode_floats(np.array([1, np.nan])), "NaN"),
        (encode_floats(np.array([np.inf])), "infinite"),
    ],
)
def test_base64_of_anything_but_finite_floats_is_refused(text, message):
    with pytest.raises(DataError, match=f"here: .*{message}"):
        decode_floats(text, "here")


def test_floats_are_little_endian_and_exact():
    values = np.array([1.5, -0.0, 3.4e38, 1e-45], np.float32)
    assert decode_floats(encode_floats(values), "").tobytes() == values.astype("<f4").tobytes()
    assert encode_floats(np.array([1.0])) == "AACAPw=="
