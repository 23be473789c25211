"""Contact sheets: boxes where they belong, text that fits, and nothing shown that is not there."""

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor, ImageDraw

from extract.__main__ import main
from extract.commands.contact_sheet import choose_images
from extract.core.digests import file_sha256
from extract.core.errors import DataError, MissingFileError
from extract.look.contact_sheet import labels as labels_module
from extract.look.contact_sheet.content import MAX_WORDS, SHADES, Stores, describe, group_samples
from extract.look.contact_sheet.labels import Wanted, place_labels
from extract.look.contact_sheet.picture import BACKGROUND, DrawnBox, draw_picture, text_color
from extract.look.contact_sheet.text import Piece, Typeface, draw_lines, shorten, wrap
from extract.look.contact_sheet.tile import TILE_PX, draw_tile, make_faces
from extract.store import FeatureStore, FeatureWriter, Header
from extract.tables.images_table import ImageRow, ImageRows, read_images, write_images
from extract.tables.rows import STATUS, ItemFeatures, Outputs, nothing_found
from extract.tables.samples import Sample, write_samples

FACE = Typeface(14)
SOME_TEXT = st.text(max_size=60)


# Text


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_can_be_drawn_on_one_line(text):
    shown = FACE.printable(text)
    assert shown == " ".join(shown.split())
    assert FACE.width(shown) >= 0
    assert FACE.printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain  text\n\tof\u00a0two\u2028lines ", "plain text of two lines"),
        ("naïve Café Ångström", "naive Cafe Angstrom"),
        ("e\u0301 a\u200db \u202ec", "e ab c"),
        ("1–2 — x×y →", "1-2 - xxy ->"),
        ("“quote” …", "“quote” …"),
        ("№ ²", "No 2"),
    ],
)
def test_what_the_font_lacks_is_said_with_what_it_has(text, shown):
    assert FACE.printable(text) == shown


def test_other_scripts_become_boxes_of_one_kind_for_each_character():
    shown = FACE.printable("日本 Tokyo 😀")
    first, word, last = shown.split()
    assert (len(first), word, len(last)) == (2, "Tokyo", 1)
    assert set(first) == set(last)


@settings(deadline=None)
@given(
    st.lists(st.builds(Piece, SOME_TEXT, chip=st.sampled_from(["", "red"]), note=SOME_TEXT)),
    st.integers(30, 400),
)
def test_lines_fit_and_no_word_is_lost(pieces, width_px):
    lines = wrap(pieces, FACE, width_px)
    chip_px = 14
    for line in lines:
        end = -1.0
        for word in line:
            assert word.x > end
            end = word.x + (chip_px if word.chip else 0) + FACE.width(word.text)
        assert end <= width_px + 1e-6
    drawn = "".join(word.text for line in lines for word in line)
    given_text = "".join(FACE.printable(part) for p in pieces for part in (p.text, p.note))
    assert drawn == given_text.replace(" ", "")
    assert sum(bool(word.chip) for line in lines for word in line) == sum(
        bool(piece.chip) for piece in pieces
    )


def test_a_box_and_its_score_stay_on_one_line():
    pieces = [Piece("0 Ada Moss", chip="red", note="0.91"), Piece("1 Torvik", chip="red", note="1")]
    whole = round(FACE.width("0 Ada Moss 0.91 1")) + 30
    lines = wrap(pieces, FACE, whole)
    assert [[word.text for word in line] for line in lines] == [
        ["0", "Ada", "Moss", "0.91"], ["1", "Torvik", "1"],
    ]  # fmt: skip


@settings(deadline=None)
@given(SOME_TEXT, st.integers(40, 200))
def test_shortened_text_fits(text, width_px):
    shown = shorten(text, FACE, width_px)
    assert FACE.width(shown) <= width_px
    if FACE.width(FACE.printable(text)) <= width_px:
        assert shown == FACE.printable(text)
    else:
        assert shown.endswith("...")


@pytest.mark.parametrize("size_px", [13, 14, 17])
def test_a_line_is_as_high_as_its_letters(size_px):
    face = Typeface(size_px)
    block = Image.new("L", (300, 3 * face.line_px), 0)
    lines = wrap([Piece("ÅTjgpqy|()_,;Qß@", color="white")], face, 290)
    draw_lines(ImageDraw.Draw(block), lines, face, (0, face.line_px))
    _, top, _, bottom = block.getbbox()
    assert face.line_px <= top and bottom <= 2 * face.line_px


def test_a_font_of_the_user(tmp_path):
    with pytest.raises(MissingFileError, match="no such font file"):
        Typeface(14, tmp_path / "none.ttf")
    (tmp_path / "bad.ttf").write_bytes(b"no font")
    with pytest.raises(DataError, match=r"bad\.ttf: not a TrueType"):
        Typeface(14, tmp_path / "bad.ttf")


# Labels

AREA = (480, 300)
rects = st.tuples(
    st.integers(0, 470), st.integers(0, 290), st.integers(2, 300), st.integers(2, 300)
).map(lambda r: (r[0], r[1], min(r[0] + r[2], 480), min(r[1] + r[3], 300)))
wanted = st.builds(
    lambda box, width: Wanted(box, ((width, 18), (14, 18))), rects, st.integers(14, 220)
)


@settings(deadline=None)
@given(st.lists(wanted, max_size=20))
def test_labels_are_inside_and_apart(many):
    placed = place_labels(many, AREA)
    assert len(placed) == len(many)
    for label, want in zip(placed, many, strict=True):
        x1, y1, x2, y2 = label.rect
        assert (x2 - x1, y2 - y1) == want.sizes[label.size_index]
        assert x1 >= 0 and y1 >= 0 and x2 <= AREA[0] and y2 <= AREA[1]
    for i, first in enumerate(placed):
        for second in placed[:i]:
            assert labels_module._overlap(first.rect, second.rect) == 0


def test_a_label_is_above_its_box_or_below_the_upper_edge():
    sizes = ((80, 18), (14, 18))
    boxes = [(100, 100, 200, 200), (100, 100, 200, 200), (5, 0, 300, 40), (460, 250, 480, 300)]
    placed = place_labels([Wanted(box, sizes) for box in boxes], AREA)
    assert [label.rect for label in placed] == [
        (100, 82, 180, 100),
        # The same box again: inside it, as above is taken on the left and on the right.
        (100, 100, 180, 118),
        (5, 0, 85, 18),
        (400, 232, 480, 250),
    ]


def test_without_room_the_number_alone_is_shown():
    tight = [Wanted((0, 0, 60, 18), ((60, 18), (14, 18)))] * 4
    placed = place_labels(tight, (60, 36))
    assert [label.size_index for label in placed] == [0, 0, 1, 1]
    # Nothing is free, but each label is still inside.
    assert all(label.rect[2] <= 60 and label.rect[3] <= 36 for label in placed)


# Picture


def test_boxes_are_where_the_image_is():
    image = Image.new("RGB", (240, 100), "#101010")
    red = ImageColor.getrgb("#ff0000")
    boxes = [DrawnBox((60, 30, 180, 80), "#ff0000", "0", "x")]
    words = [DrawnBox((10, 80, 30, 90), "#00ff00")]
    picture = np.asarray(draw_picture(image, boxes, words, FACE, (480, 50, 400)))
    # Twice as large.
    assert picture.shape == (200, 480, 3)
    # Below the label only the frame is red: 2 px inside the box.
    columns = np.flatnonzero((picture[100] == red).all(axis=-1))
    assert columns.tolist() == [120, 121, 358, 359]
    rows = np.flatnonzero((picture[:, 300] == red).all(axis=-1))
    assert rows.tolist() == [60, 61, 158, 159]
    # Dashes of the word's frame.
    green = np.argwhere((picture == (0, 255, 0)).all(axis=-1))
    assert green.min(axis=0).tolist() == [160, 20]
    assert green.max(axis=0).tolist() == [179, 59]


def test_a_high_image_is_in_the_middle_of_a_grey_area():
    image = Image.new("RGB", (100, 400), "#0000ff")
    boxes = [DrawnBox((-50, -50, 999, 999), "#ff0000", "0")]
    picture = np.asarray(draw_picture(image, boxes, [], FACE, (480, 50, 200)))
    assert picture.shape == (200, 480, 3)
    blue = np.flatnonzero((picture[100] == (0, 0, 255)).all(axis=-1))
    # The image is 50 px wide; its box is cut to it: 2 px of frame and 1 px white on both sides.
    assert (blue.min(), blue.max()) == (215 + 3, 264 - 3)
    grey = ImageColor.getrgb(BACKGROUND)
    assert (picture[:, 0] == grey).all() and (picture[:, -1] == grey).all()


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000)])
def test_extreme_images_and_boxes(size):
    boxes = [DrawnBox(box, "red", "0", "x" * 99) for box in [(0, 0, 0, 0), (9e9, 0, 9e9, 1)]]
    picture = draw_picture(Image.new("RGB", size), boxes, boxes, FACE, (480, 140, 400))
    assert picture.width == 480 and 140 <= picture.height <= 400


def test_stores_have_colors_of_their_own_and_labels_can_be_read():
    every = [shade for shades in SHADES for shade in shades]
    assert len(set(every)) == len(every)
    assert text_color("#ffffff") == "black" and text_color("#000000") == "white"
    for shade in every:
        luminance = [_luminance(color) for color in (shade, text_color(shade))]
        assert (max(luminance) + 0.05) / (min(luminance) + 0.05) >= 4.5, shade


def _luminance(color: str) -> float:
    """Relative luminance by the definition of sRGB."""
    channels = [value / 255 for value in ImageColor.getrgb(color)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(c * w for c, w in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


# Content and tiles

GROUNDING = Outputs(text=True, boxes=True, scores=True)


def write_store(path: Path, results: dict, outputs: Outputs) -> Path:
    """Write a finished store: id -> columns, or (status, reason)."""
    sizes = np.zeros((len(results), 2), np.int32)
    header = Header("f" * 64, outputs, tuple(results), tuple(results), sizes)
    items = []
    for found in results.values():
        if isinstance(found, tuple):
            empty = {**vars(nothing_found(found[1], outputs)), "status": STATUS[found[0]]}
            items.append(ItemFeatures(**empty))
        else:
            items.append(ItemFeatures(**found))
    writer = FeatureWriter(path.with_name(path.name + ".partial"), header)
    writer.append(items)
    writer.finish(path, {})
    return path


def boxes_of(*boxes: tuple, names=None, scores=None) -> dict:
    """Columns of a grounding store."""
    return {
        "text": names or [f"name {i}" for i in range(len(boxes))],
        "boxes": np.float32(boxes),
        "scores": np.float32(scores or [0.5] * len(boxes)),
    }


def texts_of(content, heading: str) -> list[list[str]]:
    """The text, with its note, of every paragraph under a heading."""
    return [
        [f"{piece.text} {piece.note}".strip() for piece in paragraph.pieces]
        for paragraph in content.paragraphs
        if paragraph.heading == heading
    ]


@pytest.fixture
def files(tmp_path):
    """Stores of three images: a with everything, b with nothing, gone without a file."""
    gone = ("missing", "no file")
    boxes = boxes_of(
        (0, 0, 9, 9), (1, 1, 5, 5), (2, 2, 6, 6), names=["Ada", "b", "c"], scores=[0.912, 3e-5, 0]
    )
    none = ("nothing_found", "no phrase")
    write_store(tmp_path / "yolo.h5", {"a": boxes, "b": none, "gone": gone}, GROUNDING)
    regions = {"boxes": np.float32([(0, 0, 3, 3)]), "labels": [1], "features": np.ones((1, 2))}
    outputs = Outputs(feature_dim=2, boxes=True, labels=("car", "tree"))
    write_store(tmp_path / "vinvl.h5", {"a": regions, "b": none, "gone": gone}, outputs)
    captions = {"a": {"text": ["a dog", " "], "scores": [-0.25, np.nan]}}
    captions |= {"b": ("nothing_found", "no caption in the list"), "gone": gone}
    write_store(tmp_path / "cap.h5", captions, Outputs(text=True, scores=True))
    words = boxes_of(*[(i, 0, i + 1, 1) for i in range(MAX_WORDS + 2)], names=["W"] * 62)
    write_store(tmp_path / "ocr.h5", {"a": words, "b": none, "gone": gone}, GROUNDING)
    return tmp_path


ROW = ImageRow("a", "a.png", "0", 10, 20, "ok")
TWEETS = {
    "train": [
        Sample("t0", "a", ["Ada", "Moss", "sings"], ["B-PER", "I-PER", "O"]),
        Sample("t1", "a", ["hm"], ["O"]),
    ],
    "test": [Sample(f"s{i}", "a", ["x"]) for i in range(3)],
}


def test_what_a_tile_says(files):
    stores = Stores(
        boxes={"yolo": FeatureStore(files / "yolo.h5"), "vinvl": FeatureStore(files / "vinvl.h5")},
        captions={"cap": FeatureStore(files / "cap.h5")},
        ocr={"ocr": FeatureStore(files / "ocr.h5")},
        phrases={"nltk": {"t0": ["Ada Moss", "x"], "t1": ["x"]}, "none": {}},
    )
    content = describe(ROW, TWEETS, stores, max_boxes=2)
    assert texts_of(content, "train tweet") == [["Ada Moss sings t0"], ["hm t1"]]
    assert texts_of(content, "test tweet") == [["x s0"]]
    assert texts_of(content, "") == [["and 2 more tweets with this image"]]
    assert texts_of(content, "entities") == [["Ada Moss PER"], ["none"]]
    assert texts_of(content, "nltk") == [["Ada Moss", "|", "x"]]
    assert texts_of(content, "none") == [["no phrase"]]
    assert texts_of(content, "yolo") == [["0 Ada 0.91", "1 b 3e-05", "and 1 more, not drawn"]]
    assert texts_of(content, "vinvl") == [["0 tree"]]
    assert texts_of(content, "cap") == [["a dog -0.25", "|", "(blank)"]]
    assert texts_of(content, "ocr") == [["W 0.50"] * MAX_WORDS + ["and 2 more words"]]
    assert [(box.number, box.name, box.score) for box in content.boxes] == [
        ("0", "Ada", "0.91"), ("1", "b", "3e-05"), ("0", "tree", ""),
    ]  # fmt: skip
    assert content.boxes[1].xyxy == (1, 1, 5, 5)
    assert [box.color for box in content.boxes] == [SHADES[0][0], SHADES[0][1], SHADES[1][0]]
    assert len(content.words) == MAX_WORDS + 2

    content = describe(ImageRow("b", "", "", 1, 1, "ok"), {}, stores, max_boxes=2)
    assert texts_of(content, "yolo") == [["no phrase"]]
    assert texts_of(content, "cap") == [["no caption in the list"]]
    assert content.boxes == content.words == ()
    content = describe(
        ImageRow("gone", "", "", 0, 0, "missing", "no file"), {}, stores, max_boxes=2
    )
    assert texts_of(content, "yolo") == texts_of(content, "ocr") == [["missing"]]


def test_samples_of_an_image_in_several_splits():
    grouped = group_samples(TWEETS)
    assert list(grouped) == ["a"]
    assert {split: len(found) for split, found in grouped["a"].items()} == {"train": 2, "test": 3}


def test_a_missing_image_is_a_grey_area_with_the_reason():
    faces = make_faces()
    tiles = [
        draw_tile(describe(ImageRow("a", "", "", 0, 0, *why), {}, Stores(), max_boxes=1), faces)
        for why in (("missing", "no file"), ("unreadable", "no file"), ("missing", "empty"))
    ]
    assert len({tile.tobytes() for tile in tiles}) == 3
    for tile in tiles:
        area = np.asarray(tile)[:140]
        grey = ImageColor.getrgb(BACKGROUND)
        # A plain area but for the letters in its middle.
        assert (area[:20] == grey).all() and (area[-20:] == grey).all()
        assert (area == grey).all(axis=-1).mean() > 0.9
        assert not (area == grey).all()


def test_a_picture_is_upright(repo_root, tmp_path, monkeypatch):
    """The file is stored turned by 90 degrees: a tile shows it as images.tsv measures it."""
    monkeypatch.chdir(repo_root)
    tiny = "tests/data/tiny"
    command = ["dataset", "--reader", "conll_imgid", "--root", tiny, "--images", f"{tiny}/images"]
    assert main([*command, "--max-bad-images", "0.5", "--out", str(tmp_path)]) == 0
    row = {row.image_id: row for row in read_images(tmp_path / "images.tsv")}["O_3993"]
    with Image.open(row.path) as stored:
        assert stored.size == (row.height, row.width) == (32, 48)
    tile = draw_tile(describe(row, {}, Stores(), max_boxes=1), make_faces())
    assert tile.width == TILE_PX
    picture = np.asarray(tile)[:320]
    is_blue = (picture[..., 2] > 200) & (picture[..., 0] < 60)
    rows, columns = np.nonzero(is_blue)
    # The rectangle is drawn 4 px from each side, ten times enlarged.
    assert abs(columns.min() - 40) <= 4 and abs(columns.max() - 439) <= 4
    assert abs(rows.min() - 40) <= 4 and abs(rows.max() - 279) <= 4


# Command


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Five images, one of them shared and one missing, and the command that shows them."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for number, image_id in enumerate(["a", "b/1", "日本", "d"]):
        Image.new("RGB", (40 + number, 30), (number * 60, 90, 200)).save(f"{number}.png")
        digest = file_sha256(Path(f"{number}.png"))
        rows.append(ImageRow(image_id, f"{number}.png", digest, 30, 40 + number, "ok"))
    rows.insert(2, ImageRow("gone", "", "", 0, 0, "missing", "no file of this name"))
    rows.append(ImageRow("unused", "", "", 0, 0, "missing", "no file"))
    write_images(tmp_path / "images.tsv", rows)
    tweets = {"train": [("t0", "b/1"), ("t1", "a"), ("t2", "b/1")], "test": [("s0", "gone")]}
    tweets["test"] += [("s1", "日本"), ("s2", "d")]
    for split, samples in tweets.items():
        write_samples(
            tmp_path / f"{split}.jsonl", [Sample(id_, i, ["Ada", "😀"]) for id_, i in samples]
        )
    found = {
        row.image_id: (row.status, row.reason) if row.status != "ok" else boxes_of((3, 3, 30, 20))
        for row in rows
    }
    write_store(tmp_path / "yolo.h5", found, GROUNDING)
    write_store(tmp_path / "ocr.h5", found, GROUNDING)
    captions = {i: f if isinstance(f, tuple) else {"text": ["x"]} for i, f in found.items()}
    write_store(tmp_path / "c.h5", captions, Outputs(text=True))
    with (tmp_path / "p.jsonl").open("w") as file:
        for samples in tweets.values():
            for sample_id, _ in samples:
                phrases = [{"text": "Ada", "start": 0, "end": 1}] * (sample_id != "t1")
                file.write(json.dumps({"id": sample_id, "phrases": phrases}) + "\n")
    command = ["contact-sheet", "--images", "images.tsv", "--samples", "train.jsonl", "test.jsonl"]
    command += ["--boxes", "y=yolo.h5", "--captions", "c.h5", "--ocr", "ocr.h5"]
    return [*command, "--phrases", "nltk=p.jsonl", "--out", "sheets"]


def index(folder: Path) -> list[tuple[str, ...]]:
    with (folder / "sheets.tsv").open(newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file, delimiter="\t")][1:]


def shown_ids(folder: Path) -> list[str]:
    return [row[3] for row in index(folder)]


def test_every_image_of_the_samples_has_its_place(corpus, tmp_path, caplog):
    caplog.set_level("INFO")
    assert main([*corpus, "--columns", "2", "--per-sheet", "3"]) == 0
    logged = json.loads(caplog.records[-1].message)
    assert (logged["sheets"], logged["images"], logged["without_picture"]) == (2, 5, 1)
    assert index(tmp_path / "sheets") == [
        ("sheet_0001.png", "1", "1", "b/1"),
        ("sheet_0001.png", "1", "2", "a"),
        ("sheet_0001.png", "2", "1", "gone"),
        ("sheet_0002.png", "1", "1", "日本"),
        ("sheet_0002.png", "1", "2", "d"),
    ]
    for name in ("sheet_0001.png", "sheet_0002.png"):
        with Image.open(tmp_path / "sheets" / name) as sheet:
            assert sheet.mode == "RGB" and not sheet.info
            assert sheet.width == 24 + 2 * (TILE_PX + 24)
            # The margins are white: no tile is over the edge of a sheet.
            pixels = np.asarray(sheet)
            for margin in (pixels[:20], pixels[-20:], pixels[:, :20], pixels[:, -20:]):
                assert (margin == 255).all()


def test_equal_bytes_and_nothing_old_is_left(corpus, tmp_path):
    sheets = tmp_path / "sheets"
    assert main([*corpus, "--per-sheet", "1"]) == 0
    (sheets / "notes.txt").write_text("mine")
    (sheets / "sheet_1.png").write_bytes(b"not ours")
    assert main([*corpus, "--per-sheet", "3"]) == 0
    first = {path.name: path.read_bytes() for path in sheets.iterdir()}
    assert sorted(first) == [
        "notes.txt", "sheet_0001.png", "sheet_0002.png", "sheet_1.png", "sheets.tsv",
    ]  # fmt: skip
    assert main([*corpus, "--per-sheet", "3"]) == 0
    assert {path.name: path.read_bytes() for path in sheets.iterdir()} == first


def test_chosen_images(corpus, tmp_path):
    sheets = tmp_path / "sheets"
    assert main([*corpus, "--ids", "s2", "a", "t1", "gone"]) == 0
    assert shown_ids(sheets) == ["d", "a", "gone"]
    assert main([*corpus, "--limit", "2"]) == 0
    assert shown_ids(sheets) == ["b/1", "a"]
    drawn = set()
    for seed in range(6):
        assert main([*corpus, "--limit", "2", "--seed", str(seed)]) == 0
        once = shown_ids(sheets)
        assert main([*corpus, "--limit", "2", "--seed", str(seed)]) == 0
        assert shown_ids(sheets) == once
        places = [["b/1", "a", "gone", "日本", "d"].index(image_id) for image_id in once]
        assert places == sorted(places)
        drawn |= set(once)
    assert len(drawn) > 3
    assert main([*corpus, "--limit", "99"]) == 0
    assert len(shown_ids(sheets)) == 5


def test_more_stores_more_ink(corpus, tmp_path):
    """Each kind of input is seen on the sheet."""
    flags = {"--boxes": 2, "--captions": 2, "--ocr": 2, "--phrases": 2}
    assert main(corpus) == 0
    whole = (tmp_path / "sheets" / "sheet_0001.png").read_bytes()
    for flag, length in flags.items():
        place = corpus.index(flag)
        assert main([*corpus[:place], *corpus[place + length :]]) == 0
        assert (tmp_path / "sheets" / "sheet_0001.png").read_bytes() != whole, flag


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--ids", "b1"], "--ids: no image or sample 'b1' in --samples. Did you mean 'b/1'?"),
        (["--columns", "0"], "--columns: expected at least 1, got 0"),
        (["--per-sheet", "0"], "--per-sheet: expected at least 1"),
        (["--limit", "0"], "--limit: expected at least 1"),
        (["--boxes", "c.h5"], "c.h5: has no boxes; --boxes c draws boxes"),
        (["--regions", "y=yolo.h5"], "two files have the name 'y'"),
        (["--captions", "v.h5"], "v.h5: has no text"),
        (["--samples", "other.jsonl"], "images of the samples are not in it, e.g. 'nowhere'"),
        (["--boxes", "v.h5"], "v.h5: has no boxes"),
        (["--font", "none.ttf"], "none.ttf: no such font file"),
    ],
)
def test_user_errors(corpus, tmp_path, capsys, change, message):
    write_store(tmp_path / "v.h5", {"a": {"features": np.ones((1, 2))}}, Outputs(feature_dim=2))
    write_samples(tmp_path / "other.jsonl", [Sample("t0", "nowhere", ["x"])])
    assert main([*corpus, *change]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "sheets" / "sheets.tsv").exists()


def test_a_changed_image_is_not_drawn(corpus, tmp_path, capsys):
    assert main(corpus) == 0
    Image.new("RGB", (40, 30), "red").save("0.png")
    assert main(corpus) == 2
    assert "0.png: image 'a' changed since images.tsv was made (other bytes)" in (
        capsys.readouterr().err
    )
    # The folder is not complete.
    assert not (tmp_path / "sheets" / "sheets.tsv").exists()


def test_the_lines_of_the_chosen_images_are_not_held(tmp_path):
    path, ids = tmp_path / "many.tsv", [f"i{i}" for i in range(3000)]
    write_images(path, (ImageRow(i, f"{i}.png", "0" * 64, 5, 6, "ok") for i in ids))
    rows = read_images(path)
    samples = {image_id: {} for image_id in ids}
    tracemalloc.start()
    chosen = choose_images(samples, ImageRows(rows), ids=None, limit=None, seed=None)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Objects of them would take 370 bytes each.
    assert held < 200 * len(ids)
    assert chosen == rows
