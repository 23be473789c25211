"""The sample corpus: quotas, names, captions, boxes, files, and the same bytes every time."""

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from extract.core.errors import ConfigError
from extract.sample.captions import (
    KINDS,
    KINDS_OF_TYPE,
    NEUTRAL_KINDS,
    NOUNS,
    SIGN,
    TEMPLATES,
)
from extract.sample.language import ENTITY_TYPES, EVIDENCE
from extract.sample.objects import DRAWERS
from extract.sample.plan import draw, plan_corpus
from extract.sample.signs import PHRASES, TEST_PHRASES
from extract.sample.write import write_corpus

SPLITS = ("train", "valid", "test")
SMALL = (12, 6, 8)
TYPE_NAMES = {"per", "loc", "org", "misc", "person", "people", "location", "place"}
TYPE_NAMES |= {"organisation", "organization", "company", "miscellaneous", "other", "entity"}


@pytest.fixture(scope="module")
def corpus():
    return plan_corpus(13)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample")
    write_corpus(out, plan_corpus(5, SMALL), workers=1)
    return out


def test_sizes_and_unique_ids(corpus):
    assert Counter(plan.split for plan in corpus) == {"train": 400, "valid": 100, "test": 400}
    assert len({plan.image_id for plan in corpus}) == 900


@pytest.mark.parametrize("split", SPLITS)
def test_quotas_of_entities_are_exact(corpus, split):
    counts = Counter(
        (plan.evidence, plan.entity_type)
        for plan in corpus
        if plan.split == split
        for _ in plan.names
    )
    total = sum(counts.values())
    by_evidence = [sum(counts[e, t] for t in ENTITY_TYPES) / total for e in EVIDENCE]
    assert by_evidence == pytest.approx([0.4, 0.3, 0.3], abs=1e-12)
    for evidence in EVIDENCE:
        assert len({counts[evidence, name] for name in ENTITY_TYPES}) == 1


def test_tags_mark_the_names(corpus):
    for plan in corpus:
        found, current = [], []
        for token, tag in zip(plan.tokens, plan.tags, strict=True):
            if tag == f"B-{plan.entity_type}":
                found.append(current := [token])
            elif tag == f"I-{plan.entity_type}":
                current.append(token)
            else:
                assert tag == "O"
        assert tuple(" ".join(name) for name in found) == plan.names


def test_names_share_no_word_between_splits(corpus):
    words = {
        split: {w for p in corpus if p.split == split for name in p.names for w in name.split()}
        for split in SPLITS
    }
    assert all(words.values())
    for one, two in combinations(SPLITS, 2):
        assert not words[one] & words[two]


def test_the_words_of_a_tweet_decide_only_where_they_should():
    plans = plan_corpus(13, (2000, 4, 2000))
    rows = [Counter(t for t, g in zip(p.tokens, p.tags, strict=True) if g == "O") for p in plans]
    is_train = np.array([plan.split == "train" for plan in plans])
    types = np.array([plan.entity_type for plan in plans])
    evidence = np.array([plan.evidence for plan in plans])
    vectorizer = DictVectorizer().fit([r for r, train in zip(rows, is_train, strict=True) if train])
    features = vectorizer.transform(rows)
    accuracy = {}
    for name in EVIDENCE:
        train, test = is_train & (evidence == name), ~is_train & (evidence == name)
        model = LogisticRegression(max_iter=500).fit(features[train], types[train])
        accuracy[name] = model.score(features[test], types[test])
    # Two of twelve test frames are new, and their words say nothing to a bag of words.
    assert accuracy["words"] > 0.85
    assert max(accuracy["picture"], accuracy["ocr"]) < 0.3


@pytest.mark.parametrize("size", [4, 5, 7, 8, 10, 12, 13, 20, 33, 50, 101])
def test_a_split_has_the_size_asked_for(size):
    plans = plan_corpus(1, (size, 4, 4))
    assert sum(plan.split == "train" for plan in plans) == size
    for evidence in EVIDENCE:
        counts = Counter(
            plan.entity_type
            for plan in plans
            if plan.split == "train" and plan.evidence == evidence
            for _ in plan.names
        )
        by_type = [counts[name] for name in ENTITY_TYPES]
        assert max(by_type) - min(by_type) <= 1


def test_what_is_drawn_follows_the_evidence(corpus):
    for plan in corpus:
        kinds = [placed.kind for placed in plan.picture.mains]
        assert bool(plan.picture.lines) == (plan.evidence == "ocr")
        if plan.evidence == "ocr":
            assert kinds[0] == SIGN
            assert set(kinds[1:]) <= set(NEUTRAL_KINDS)
        else:  # where the words decide, the picture agrees with them
            assert len(kinds) == len(set(kinds)) == len(plan.names)
            assert set(kinds) <= set(KINDS_OF_TYPE[plan.entity_type])
        assert {placed.kind for placed in plan.picture.clutter} <= set(NEUTRAL_KINDS)


def test_every_kind_can_be_drawn():
    assert set(DRAWERS) | {SIGN} == set(KINDS) == set(NOUNS)


def test_captions_name_neither_type_nor_entity(corpus):
    for plan in corpus:
        words = set(plan.caption.lower().split())
        assert not words & TYPE_NAMES
        assert not words & {word.lower() for name in plan.names for word in name.split()}


def test_written_text_names_no_type():
    for phrases in (*PHRASES.values(), *TEST_PHRASES.values()):
        assert not {word for phrase in phrases for word in phrase.split()} & (
            TYPE_NAMES - {"company"}
        )


def test_a_third_of_the_caption_nouns_occurs_only_in_test(corpus):
    template_words = {word for template in TEMPLATES for word in template.split()}
    nouns = {noun for group in NOUNS.values() for noun in group} - template_words
    seen = {
        split: {w for p in corpus if p.split == split for w in p.caption.split()} & nouns
        for split in SPLITS
    }
    assert seen["test"] == nouns
    only_test = seen["test"] - seen["train"] - seen["valid"]
    assert len(only_test) / len(nouns) == pytest.approx(1 / 3, abs=0.01)
    assert only_test == {group[2] for group in NOUNS.values()}


def test_boxes_lie_inside_and_belong_to_the_names(corpus):
    for plan in corpus:
        for name, (x0, y0, x1, y1) in plan.boxes:
            assert 0 <= x0 < x1 <= plan.picture.width
            assert 0 <= y0 < y1 <= plan.picture.height
            assert name in plan.names
        if plan.evidence != "words":
            assert [name for name, _ in plan.boxes] == list(plan.names)
    without = [p for p in corpus if p.evidence == "words" and not p.boxes]
    assert 100 < len(without) < 260


def test_the_drawn_object_is_where_its_box_says(corpus):
    plan = next(p for p in corpus if p.evidence == "picture" and p.picture.pattern == "plain")
    pixels = np.asarray(draw(plan), dtype=float)
    background = np.median(pixels.reshape(-1, 3), axis=0)
    is_drawn = np.abs(pixels - background).max(axis=2) > 45
    for _, (x0, y0, x1, y1) in plan.boxes:
        assert is_drawn[y0:y1, x0:x1].mean() > 0.2
    for placed in (*plan.picture.mains, *plan.picture.clutter):
        x0, y0, x1, y1 = placed.box
        is_drawn[max(0, y0 - 3) : y1 + 3, max(0, x0 - 3) : x1 + 3] = False
    assert is_drawn.mean() < 0.001


def test_equal_seeds_give_equal_bytes_for_any_number_of_workers(folder, tmp_path):
    write_corpus(tmp_path, plan_corpus(5, SMALL), workers=2)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    for name in files:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_another_seed_gives_another_corpus(corpus):
    other = plan_corpus(14)
    assert {name for p in corpus for name in p.names} != {name for p in other for name in p.names}
    assert [p.caption for p in corpus] != [p.caption for p in other]


def test_text_files_have_the_stated_layout(folder):
    plans = plan_corpus(5, SMALL)
    blocks = (folder / "train.txt").read_text(encoding="utf-8").split("\n\n")
    assert blocks.pop() == "" and len(blocks) == SMALL[0]
    for plan, block in zip(plans, blocks, strict=False):
        first, *rows = block.split("\n")
        assert first == f"IMGID:{plan.image_id}"
        assert [tuple(row.split("\t")) for row in rows] == list(
            zip(plan.tokens, plan.tags, strict=True)
        )
    evidence = dict(line.split("\t") for line in (folder / "evidence.tsv").read_text().splitlines())
    assert evidence == {plan.image_id: plan.evidence for plan in plans}
    readable = [plan for plan in plans if plan.is_readable]
    captions = (folder / "captions.txt").read_text(encoding="utf-8").splitlines()
    assert captions == [f"{plan.file_name} :{plan.caption}" for plan in readable]


def test_annotations_fit_the_upright_images(folder):
    lines = (folder / "annotations.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == sum(SMALL) - 2
    for record in map(json.loads, lines):
        (path,) = (folder / "images").glob(f"{record['image_id']}.*")
        with Image.open(path) as image:
            assert ImageOps.exif_transpose(image).size == (record["width"], record["height"])


def test_special_files_are_there(folder):
    by_special = {plan.special: plan for plan in plan_corpus(5, SMALL) if plan.special}
    assert set(by_special) == {"missing", "truncated", "rgba", "exif"}
    assert {plan.evidence for plan in by_special.values()} == {"words"}
    paths = {name: folder / "images" / plan.file_name for name, plan in by_special.items()}
    assert not paths["missing"].exists()
    assert f"IMGID:{by_special['missing'].image_id}\n" in (folder / "train.txt").read_text()
    with Image.open(paths["rgba"]) as image:
        assert (image.mode, image.format) == ("RGBA", "PNG")
    with Image.open(paths["exif"]) as image:
        assert image.getexif()[0x0112] == 6
        upright = np.asarray(ImageOps.exif_transpose(image), dtype=float)
    assert np.abs(upright - np.asarray(draw(by_special["exif"]), dtype=float)).mean() < 6
    with Image.open(paths["truncated"]) as image, pytest.raises(OSError, match="truncated"):
        image.load()


def test_some_images_are_png(corpus):
    assert Counter(plan.suffix for plan in corpus) == {".jpg": 854, ".png": 46}


def test_too_small_a_split_is_refused():
    with pytest.raises(ConfigError, match="at least 4, got 400 100 3"):
        plan_corpus(1, (400, 100, 3))
