"""What a corpus loses: every number against a corpus counted by hand."""

import csv
import json
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from extract.__main__ import main
from extract.core.errors import ConfigError, DataError
from extract.crops.plan import Crop, manifest_line, write_manifest
from extract.look.losses import page
from extract.look.losses.counts import general_reason
from extract.look.losses.sources import Finding, crops_source, kind_of_store, store_source
from extract.look.named_files import named_paths, read_splits
from extract.store import FeatureStore, FeatureWriter, Header
from extract.tables.images_table import ImageRow, read_images, write_images
from extract.tables.rows import STATUS, ItemFeatures, Outputs, nothing_found
from extract.tables.samples import Sample, write_samples

TRUNCATED = "broken image data: image file is truncated ({} bytes not processed)"
IMAGES = [
    ImageRow("a", "a.png", "1", 10, 20, "ok"),
    ImageRow("b", "b.png", "2", 10, 20, "ok"),
    ImageRow("<b>&", "c.png", "3", 10, 20, "ok"),
    ImageRow("gone", "", "", 0, 0, "missing", "no file of this name in the folder"),
    ImageRow("bad1", "d.png", "", 0, 0, "unreadable", TRUNCATED.format(3)),
    ImageRow("bad2", "e.png", "", 0, 0, "unreadable", TRUNCATED.format(47)),
    ImageRow("bad3", "f.png", "", 0, 0, "unreadable", "empty file"),
]
# Image a has two tweets in train and one in test.
SPLITS = {
    "train": [("t2", "b"), ("t0", "a"), ("t1", "a"), ("t3", "gone"), ("t4", "<b>&")],
    "valid": [("v0", "bad1"), ("v1", "bad2"), ("v2", "bad3")],
    "test": [("s0", "a")],
}
PHRASES = {"t0": 1, "t1": 0, "t2": 0, "t3": 1, "t4": 2, "v0": 0, "v1": 1, "v2": 1, "s0": 1}
# Of 10 x 20 px, least side 3 px: (box, the pixels cut out, why there is no crop).
BOXES = {
    "a": [
        # Over the frame.
        ((-4, 0, 9.5, 9), (0, 0, 10, 9), None),
        ((0, 0, 20, 10), (0, 0, 20, 10), None),
        ((5, 5, 7, 9), (5, 5, 7, 9), "smaller than 3 px"),
        ((30, 0, 40, 5), None, "outside the image"),
        # Rounded to whole pixels, not cut.
        ((0.5, 0.5, 19.5, 9.5), (0, 0, 20, 10), None),
    ],
    "<b>&": [((1, 1, 9, 9), (1, 1, 9, 9), None), ((2, 2, 8, 30), (2, 2, 8, 10), None)],
}


def make_crops(image_id: str, boxes: list[tuple]) -> list[Crop]:
    """The lines of crops.jsonl of one image."""
    return [
        Crop(
            image_id=image_id,
            row=row,
            crop=None if dropped else f"{row}.png",
            dropped=dropped,
            box=list(box),
            clipped=None if clipped is None else list(clipped),
            score=None,
            phrase="x y",
            source_sha256="0",
        )
        for row, (box, clipped, dropped) in enumerate(boxes)
    ]


def write_store(path: Path, results: dict, outputs: Outputs, extractor="", kind="image") -> Path:
    """Write a finished store: id -> (rows, texts) or (status, reason)."""
    sizes = np.zeros((len(results), 2), np.int32)
    header = Header("f" * 64, outputs, tuple(results), tuple(results), sizes, kind)
    items = []
    for found in results.values():
        if isinstance(found[0], str):
            empty = vars(nothing_found(found[1], outputs))
            items.append(ItemFeatures(**{**empty, "status": STATUS[found[0]]}))
            continue
        n, texts = found
        items.append(
            ItemFeatures(
                features=np.ones((n, outputs.feature_dim)) if outputs.feature_dim else None,
                text=texts if outputs.text else None,
                boxes=np.tile(np.float32([0, 0, 1, 1]), (n, 1)) if outputs.boxes else None,
            )
        )
    writer = FeatureWriter(path.with_name(path.name + ".partial"), header)
    writer.append(items)
    writer.finish(path, {"spec": {"name": path.stem, "extractor": extractor}})
    return path


def of_images(found: dict) -> dict:
    """The results of all images: those without picture have their own status."""
    lost = {row.image_id: (row.status, row.reason) for row in IMAGES if row.status != "ok"}
    return {row.image_id: (found | lost)[row.image_id] for row in IMAGES}


def write_corpus(folder: Path) -> list[str]:
    """Write all inputs; return the command that reads them."""
    write_images(folder / "images.tsv", IMAGES)
    for split, samples in SPLITS.items():
        write_samples(
            folder / f"{split}.jsonl", [Sample(id_, image, ["x", "y"]) for id_, image in samples]
        )
    with (folder / "p.jsonl").open("w") as file:
        for sample_id, n in PHRASES.items():
            phrases = [{"text": "x", "start": 0, "end": 1}] * n
            file.write(json.dumps({"id": sample_id, "phrases": phrases}) + "\n")
    crops = [crop for image_id, boxes in BOXES.items() for crop in make_crops(image_id, boxes)]
    write_manifest(folder / "yolo" / "crops.jsonl", map(manifest_line, crops))
    boxes = {
        "a": (5, ["x"] * 5),
        "b": ("nothing_found", "no phrase"),
        "<b>&": ("nothing_found", "no box above the threshold 0.05"),
    }
    grounding = Outputs(text=True, boxes=True)
    write_store(folder / "yolo.h5", of_images(boxes), grounding, "yolo_world")
    captions = {"a": (2, [" ", "x"]), "b": (1, ["  "]), "<b>&": ("nothing_found", "not in list")}
    write_store(folder / "c.h5", of_images(captions), Outputs(text=True), "caption_list")
    words = {"a": ("nothing_found", "no text"), "b": (1, ["w"]), "<b>&": (1, ["w"])}
    write_store(folder / "words.h5", of_images(words), grounding, "ocr")
    vectors = {"a": (1, []), "b": (1, []), "<b>&": (1, [])}
    write_store(folder / "v.h5", of_images(vectors), Outputs(feature_dim=4), "clip")
    command = ["degradation", "--images", "images.tsv", "--samples"]
    command += [f"{split}.jsonl" for split in SPLITS] + ["--phrases", "nltk=p.jsonl"]
    command += [
        "--store",
        "yolo.h5",
        "list=c.h5",
        "words.h5",
        "v.h5",
        "--crops",
        "yolo/crops.jsonl",
    ]
    return [*command, "--out", "out/counts.tsv", "--ids", "out/ids.tsv", "--html", "out/page.html"]


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_corpus(tmp_path)


N_TRUNCATED = TRUNCATED.format("N")
GONE = IMAGES[3].reason

# split -> (source, problem, reason) -> unit -> (count, of); all others are 0.
TRAIN = {
    ("images", "missing", ""): {"images": (1, 4), "tweets": (1, 5)},
    ("images", "missing", GONE): {"images": (1, 4), "tweets": (1, 5)},
    ("phrases/nltk", "no_phrase", ""): {"tweets": (2, 5)},
    ("grounding/yolo", "missing", ""): {"images": (1, 4), "tweets": (1, 5)},
    ("grounding/yolo", "missing", GONE): {"images": (1, 4), "tweets": (1, 5)},
    ("grounding/yolo", "no_box", ""): {"images": (2, 4), "tweets": (2, 5)},
    ("grounding/yolo", "no_box_no_phrase", ""): {"images": (1, 4), "tweets": (1, 5)},
    ("grounding/yolo", "no_box_other", ""): {"images": (1, 4), "tweets": (1, 5)},
    ("grounding/yolo", "no_box_other", "no box above the threshold 0.05"): {
        "images": (1, 4), "tweets": (1, 5),
    },
    ("captions/list", "missing", ""): {"images": (1, 4), "tweets": (1, 5)},
    ("captions/list", "missing", GONE): {"images": (1, 4), "tweets": (1, 5)},
    # One has no caption, one a blank caption.
    ("captions/list", "no_caption", ""): {"images": (2, 4), "tweets": (2, 5)},
    ("captions/list", "no_caption", "blank text"): {"images": (1, 4), "tweets": (1, 5)},
    ("captions/list", "no_caption", "not in list"): {"images": (1, 4), "tweets": (1, 5)},
    ("ocr/words", "missing", ""): {"images": (1, 4), "tweets": (1, 5)},
    ("ocr/words", "missing", GONE): {"images": (1, 4), "tweets": (1, 5)},
    # One image, which two tweets share.
    ("ocr/words", "no_text", ""): {"images": (1, 4), "tweets": (2, 5)},
    ("ocr/words", "no_text", "no text"): {"images": (1, 4), "tweets": (2, 5)},
    ("features/v", "missing", ""): {"images": (1, 4), "tweets": (1, 5)},
    ("features/v", "missing", GONE): {"images": (1, 4), "tweets": (1, 5)},
    # a: the first box; <b>&: the second.
    ("crops/yolo", "clipped", ""): {"boxes": (2, 7), "images": (2, 4), "tweets": (3, 5)},
    ("crops/yolo", "too_small", ""): {"boxes": (1, 7), "images": (1, 4), "tweets": (2, 5)},
    ("crops/yolo", "too_small", "smaller than 3 px"): {
        "boxes": (1, 7), "images": (1, 4), "tweets": (2, 5),
    },
    ("crops/yolo", "outside", ""): {"boxes": (1, 7), "images": (1, 4), "tweets": (2, 5)},
    # a has three crops; b and gone none, <b>& two.
    ("crops/yolo", "fewer_crops", ""): {"images": (3, 4), "tweets": (3, 5)},
    ("crops/yolo", "no_crop", ""): {"images": (2, 4), "tweets": (2, 5)},
}  # fmt: skip
UNREADABLE = {
    (source, "unreadable", reason): {"images": (n, 3), "tweets": (n, 3)}
    for source in ("images", "grounding/yolo", "captions/list", "ocr/words", "features/v")
    for reason, n in (("", 3), (N_TRUNCATED, 2), ("empty file", 1))
}
VALID = {
    **UNREADABLE,
    ("phrases/nltk", "no_phrase", ""): {"tweets": (1, 3)},
    ("crops/yolo", "fewer_crops", ""): {"images": (3, 3), "tweets": (3, 3)},
    ("crops/yolo", "no_crop", ""): {"images": (3, 3), "tweets": (3, 3)},
}
ONE = {"images": (1, 1), "tweets": (1, 1)}
TEST = {
    ("ocr/words", "no_text", ""): ONE,
    ("ocr/words", "no_text", "no text"): ONE,
    **{("crops/yolo", name, ""): {"boxes": (1, 5), **ONE} for name in ("clipped", "outside")},
    **{
        ("crops/yolo", "too_small", reason): {"boxes": (1, 5), **ONE}
        for reason in ("", "smaller than 3 px")
    },
}


def test_every_number_by_hand(command, tmp_path):
    assert main(command) == 0
    found = {split: {} for split in SPLITS}
    for row in read_table(tmp_path / "out" / "counts.tsv"):
        count, of = int(row["count"]), int(row["of"])
        if count:
            key = row["source"], row["problem"], row["reason"]
            found[row["split"]].setdefault(key, {})[row["unit"]] = count, of
            assert float(row["share"]) == pytest.approx(count / of, abs=1e-6)
    assert found == {"train": TRAIN, "valid": VALID, "test": TEST}


def test_what_nothing_has_is_listed_as_zero(command, tmp_path):
    assert main(command) == 0
    status = {"missing", "unreadable", "no_images"}
    expected = {
        "images": status,
        "phrases/nltk": {"no_phrase"},
        "grounding/yolo": status | {"no_box", "no_box_no_phrase", "no_box_other"},
        "captions/list": status | {"no_caption"},
        "ocr/words": status | {"no_text"},
        "features/v": status | {"nothing_found"},
        "crops/yolo": {"clipped", "too_small", "outside", "fewer_crops", "no_crop"},
    }
    rows = read_table(tmp_path / "out" / "counts.tsv")
    for split in SPLITS:
        looked_for = {}
        for row in rows:
            if row["split"] == split and not row["reason"]:
                looked_for.setdefault(row["source"], set()).add(row["problem"])
        assert looked_for == expected


def test_the_ids_add_up_to_the_counts(command, tmp_path):
    assert main(command) == 0
    ids = read_table(tmp_path / "out" / "ids.tsv")
    column = {"tweets": "sample_id", "images": "image_id"}
    checked = 0
    for row in read_table(tmp_path / "out" / "counts.tsv"):
        if row["reason"] or row["unit"] == "boxes":
            continue
        key = row["split"], row["source"], row["problem"]
        listed = {
            i[column[row["unit"]]] for i in ids if (i["split"], i["source"], i["problem"]) == key
        }
        assert len(listed) == int(row["count"]), key
        checked += bool(listed)
    assert checked > 30


def test_ids_are_sorted_and_say_why(command, tmp_path):
    assert main(command) == 0
    ids = [tuple(row.values()) for row in read_table(tmp_path / "out" / "ids.tsv")]
    shown = [row for row in ids if row[:3] == ("train", "crops/yolo", "clipped")]
    box = "row 0, 'x y', box (-4.0, 0.0, 9.5, 9.0) cut to (0, 0, 10, 9)"
    other = "row 1, 'x y', box (2.0, 2.0, 8.0, 30.0) cut to (2, 2, 8, 10)"
    assert [row[3:] for row in shown] == [
        ("t0", "a", box), ("t1", "a", box), ("t4", "<b>&", other),
    ]  # fmt: skip
    reasons = {row[3:] for row in ids if row[:3] == ("valid", "images", "unreadable")}
    assert ("v1", "bad2", TRUNCATED.format(47)) in reasons
    assert ("train", "ocr/words", "no_text", "t1", "a", "no text") in ids
    assert ("train", "crops/yolo", "fewer_crops", "t4", "<b>&", "2 crops of 2 boxes") in ids
    splits = [row[0] for row in ids]
    assert splits == sorted(splits, key=list(SPLITS).index)
    for key in {row[:3] for row in ids}:
        samples = [row[3] for row in ids if row[:3] == key]
        assert samples == sorted(samples)


def test_the_last_line_of_the_log_counts(command, tmp_path, caplog):
    caplog.set_level("INFO")
    assert main(command) == 0
    logged = json.loads(caplog.records[-1].message)
    assert (logged["tweets"], logged["images"], logged["sources"]) == (9, 7, 7)
    assert logged["cases"] == len(read_table(tmp_path / "out" / "ids.tsv"))
    counts = read_table(tmp_path / "out" / "counts.tsv")
    assert logged["counts"] == len(counts)
    assert logged["counts_above_0"] == sum(row["count"] != "0" for row in counts)


def test_equal_inputs_give_equal_bytes(command, tmp_path):
    written = []
    for _ in range(2):
        assert main(command) == 0
        written.append({p.name: p.read_bytes() for p in sorted((tmp_path / "out").iterdir())})
    assert written[0] == written[1]
    assert list(written[0]) == ["counts.tsv", "ids.tsv", "page.html"]


class Page(HTMLParser):
    """Checks that elements close in order, and collects cells, ids and addresses."""

    VOID = ("meta",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.summaries: list[str] = []
        self.items: list[list[str]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "summary":
            self.summaries.append("")
            self.items.append([])
        if tag == "li":
            self.items[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "summary":
            self.summaries[-1] += data
        if self.open and self.open[-1] == "li":
            self.items[-1][-1] += data


def test_the_page_folds_the_ids_of_each_count_and_needs_nothing(command, tmp_path):
    assert main(command) == 0
    text = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    parsed = Page(text)
    counts = [row for row in read_table(tmp_path / "out" / "counts.tsv") if row["count"] != "0"]
    assert len(parsed.summaries) == len(counts)
    for summary, items in zip(parsed.summaries, parsed.items, strict=True):
        assert int(summary.split(" of ")[0]) == len(items)
    assert "2 of 5 (40.00%)" in parsed.summaries
    every = [item for items in parsed.items for item in items]
    assert "t4 (image <b>&): no box above the threshold 0.05" in every
    assert any(item.startswith("<b>&: row 1, 'x y'") for item in every)
    # No picture, script or style sheet from elsewhere, and no id taken for markup.
    assert not parsed.tags & {"script", "img", "link", "iframe", "a", "b"}
    assert parsed.attributes <= {"lang", "charset", "class", "http-equiv", "content"}
    assert "://" not in text and "url(" not in text and "@import" not in text


def test_long_lists_are_cut_and_name_the_table(command, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MAX_IDS", 2)
    assert main(command) == 0
    parsed = Page((tmp_path / "out" / "page.html").read_text(encoding="utf-8"))
    lengths = {summary: len(items) for summary, items in zip(parsed.summaries, parsed.items)}  # noqa: B905
    assert lengths["3 of 3 (100.00%)"] == 3
    assert lengths["2 of 5 (40.00%)"] == 2
    assert {items[-1] for items in parsed.items if len(items) == 3} == {"and 1 more: see ids.tsv"}


def test_the_tiny_corpus(repo_root, tmp_path, monkeypatch):
    """From raw text to tables with the real commands; what is lost is written in its make.py."""
    monkeypatch.chdir(repo_root)
    tiny = "tests/data/tiny"
    command = ["dataset", "--reader", "conll_imgid", "--root", tiny, "--images", f"{tiny}/images"]
    assert main([*command, "--max-bad-images", "0.5", "--out", str(tmp_path)]) == 0
    splits = ("train", "valid", "test")
    samples = [str(tmp_path / "samples" / f"{split}.jsonl") for split in splits]
    with (tmp_path / "p.jsonl").open("w") as file:
        for split in read_splits([Path(path) for path in samples]).values():
            for sample in split:
                phrases = [
                    {"text": token, "start": start, "end": start + 1}
                    for start, token in enumerate(sample.tokens)
                    if token[:1].isupper() and sample.image_id != "240"
                ]
                file.write(json.dumps({"id": sample.id, "phrases": phrases}) + "\n")
    images = str(tmp_path / "images.tsv")
    spec, shard, store = (str(tmp_path / name) for name in ("s.json", "s.h5", "drawn.h5"))
    definition = '{"name": "drawn", "extractor": "annotations"}'
    assert main(["spec", "--definition", definition, "--out", spec]) == 0
    command = ["ground", "--spec", spec, "--images", images, "--samples", *samples]
    command += ["--phrases", str(tmp_path / "p.jsonl")]
    assert main([*command, "--annotations", f"{tiny}/annotations.jsonl", "--out", shard]) == 0
    assert main(["merge", "--shards", shard, "--images", images, "--out", store]) == 0
    crops = str(tmp_path / "drawn")
    assert main(["crops", "--store", store, "--images", images, "--out", crops]) == 0
    out = ["--out", str(tmp_path / "counts.tsv"), "--ids", str(tmp_path / "ids.tsv")]
    command = ["degradation", "--samples", *samples, "--images", images, "--store", store]
    assert main([*command, "--crops", f"{crops}/crops.jsonl", *out]) == 0
    assert not list(tmp_path.glob("*.html"))
    found = {
        (row["split"], row["source"], row["problem"]): int(row["count"])
        for row in read_table(tmp_path / "counts.tsv")
        if row["unit"] == "tweets" and not row["reason"] and row["count"] != "0"
    }
    assert found == {
        ("train", "images", "missing"): 1,
        ("valid", "images", "unreadable"): 1,
        ("train", "grounding/drawn", "missing"): 1,
        ("valid", "grounding/drawn", "unreadable"): 1,
        # O_3993 and img.v2 have no drawn box, 240 has one but no phrase.
        ("train", "grounding/drawn", "no_box"): 3,
        ("train", "grounding/drawn", "no_box_no_phrase"): 1,
        ("train", "grounding/drawn", "no_box_other"): 2,
        ("test", "grounding/drawn", "no_box"): 1,
        ("test", "grounding/drawn", "no_box_other"): 1,
        ("train", "crops/drawn", "fewer_crops"): 6,
        ("train", "crops/drawn", "no_crop"): 4,
        ("valid", "crops/drawn", "fewer_crops"): 2,
        ("valid", "crops/drawn", "no_crop"): 1,
        ("test", "crops/drawn", "fewer_crops"): 4,
        ("test", "crops/drawn", "no_crop"): 1,
    }
    broken = {row.image_id: row.reason for row in read_images(tmp_path / "images.tsv")}["broken"]
    ids = read_table(tmp_path / "ids.tsv")
    assert [row["detail"] for row in ids if row["source"] == "images"] == [
        "no file of this name in the folder", broken,
    ]  # fmt: skip


def test_a_store_of_samples_counts_tweets(tmp_path):
    results = {"t0": (1, ["x"]), "t1": ("nothing_found", "no sentence")}
    path = write_store(tmp_path / "s.h5", results, Outputs(feature_dim=2), kind="sample")
    with FeatureStore(path) as store:
        source = store_source("s", store)
        assert {unit for problem in source.problems for unit in problem.units} == {"tweets"}
        assert list(source.find(Sample("t0", "a", []))) == []
        assert list(source.find(Sample("t1", "a", []))) == [Finding("nothing_found", "no sentence")]


@pytest.mark.parametrize(
    ("extractor", "outputs", "kind"),
    [
        ("yolo_world", Outputs(text=True, boxes=True), "grounding"),
        ("annotations", Outputs(text=True, boxes=True), "grounding"),
        ("ocr", Outputs(text=True, boxes=True), "ocr"),
        ("caption", Outputs(text=True), "captions"),
        ("another", Outputs(text=True), "captions"),
        ("another", Outputs(text=True, boxes=True), "features"),
        ("another", Outputs(text=True, labels=("x",)), "features"),
        ("", Outputs(feature_dim=2), "features"),
    ],
)
def test_the_kind_of_a_store(tmp_path, extractor, outputs, kind):
    with FeatureStore(write_store(tmp_path / "s.h5", {}, outputs, extractor)) as store:
        assert kind_of_store(store) == kind


def test_a_kind_can_be_given(command, tmp_path):
    results = {row.image_id: ("nothing_found", "no phrase") for row in IMAGES}
    write_store(tmp_path / "z.h5", results, Outputs(text=True, boxes=True), "another")
    assert main([*command, "--store", "grounding/z=z.h5"]) == 0
    rows = read_table(tmp_path / "out" / "counts.tsv")
    counts = {row["problem"]: row["count"] for row in rows if row["source"] == "grounding/z"}
    assert int(counts["no_box_no_phrase"]) == 1


def test_reasons_that_differ_in_bytes_are_one():
    assert general_reason(Finding("unreadable", TRUNCATED.format(1))) == N_TRUNCATED
    assert general_reason(Finding("no_box", "above 0.05")) == "above 0.05"
    assert general_reason(Finding("missing")) == "no reason given"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--store", "nothing/x=v.h5"], "no kind 'nothing'; known: grounding, captions"),
        (["--store", "features/v=v.h5"], "two files are called features/v"),
        (["--store", "v.h5"], "two files have the name 'v'"),
        (["--samples", "train.jsonl", "other/train.jsonl"], "two files of the split 'train'"),
        (["--samples", "train.jsonl", "again.jsonl"], "again.jsonl: sample id 't2' occurs twice"),
        (["--images", "few.tsv"], "image '<b>&' of sample 't4' is not in images.tsv"),
        (["--store", "few.h5"], "no item 'b'"),
        (["--crops", "few/crops.jsonl"], "1 images are not in images.tsv, e.g. 'nobody'"),
        (["--store", "none.h5"], "none.h5: no such feature file"),
    ],
)
def test_user_errors(command, tmp_path, capsys, change, message):
    (tmp_path / "other").mkdir()
    for name in ("again.jsonl", "other/train.jsonl"):
        (tmp_path / name).write_bytes((tmp_path / "train.jsonl").read_bytes())
    write_images(tmp_path / "few.tsv", IMAGES[:2] + IMAGES[3:])
    write_store(tmp_path / "few.h5", {"a": ("missing", "why")}, Outputs(feature_dim=2))
    crop = make_crops("nobody", [((0, 0, 5, 5), (0, 0, 5, 5), None)])
    write_manifest(tmp_path / "few" / "crops.jsonl", map(manifest_line, crop))
    assert main([*command, *change]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "counts.tsv").exists()


def test_names_of_files():
    texts = ["a/b.h5", "n-1.x=c/d=e.h5", "ocr/w=f.h5", "dir/=x.h5", "r/yolo/crops.jsonl"]
    assert named_paths(texts, "--store") == [
        ("b", Path("a/b.h5")),
        ("n-1.x", Path("c/d=e.h5")),
        ("ocr/w", Path("f.h5")),
        ("=x", Path("dir/=x.h5")),
        ("yolo", Path("r/yolo/crops.jsonl")),
    ]
    with pytest.raises(ConfigError, match="--store: two files have the name 'b'"):
        named_paths(["a/b.h5", "b=c.h5"], "--store")


def test_splits_are_named_by_their_files(tmp_path):
    samples = [Sample("1", "a", []), Sample("1", "b", [])]
    write_samples(tmp_path / "dev.jsonl", samples[:1])
    assert read_splits([tmp_path / "dev.jsonl"]) == {"dev": samples[:1]}
    write_samples(tmp_path / "twice.jsonl", samples)
    with pytest.raises(DataError, match=r"twice\.jsonl: sample id '1' occurs twice"):
        read_splits([tmp_path / "twice.jsonl"])


def test_crops_without_a_problem_are_not_held():
    n, box = 4000, [0.0, 0.0, 5.0, 5.0]
    crops = (
        Crop(f"{i // 5}", i % 5, f"{i}.png", None, [*box], [0, 0, 5, 5], 0.5, f"phrase {i}", "")
        for i in range(n)
    )
    tracemalloc.start()
    source = crops_source("yolo", crops)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Objects of them would take 500 bytes each.
    assert held < 150 * n
    assert source.boxes == {str(i): 5 for i in range(n // 5)}
    assert list(source.find(Sample("t", "7", ["x"]))) == []
