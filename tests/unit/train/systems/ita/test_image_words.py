"""Which image words follow a tweet, in which order, and where the budget ends."""

import math

import numpy as np
import pytest

from extract.core.errors import ConfigError, StoreError
from extract.core.options import options_from
from extract.interop.stores import import_artefact
from extract.interop.text_views import subword_counter
from extract.store import StoredItem
from extract.tables.rows import STATUS
from extract.tables.samples import Sample
from extract.words.image_text import GROUPS, ContextOptions
from train.blocks.text_encoder import SEP, TextEncoder
from train.data.examples import Example, FeatureSource
from train.systems.ita.model import build_view

ALL = ("captions", "objects", "ocr")


def stored(text, scores=None):
    """Return an ok item with text rows."""
    scores = None if scores is None else np.array(scores, np.float32)
    return StoredItem(status=STATUS["ok"], text=tuple(text), scores=scores)


NOTHING = StoredItem(status=STATUS["nothing_found"], text=(), scores=np.zeros(0, np.float32))
FEATURES = {
    "captions": stored(["a man in a hat", "two dogs"]),
    "objects": stored(["red car", "tree", "tree"], [0.5, 0.9, 0.6]),
    "ocr": stored(["EXIT", "blurred", "Gate 7"], [0.95, 0.2, math.nan]),
}


def view_of(features=FEATURES, tokens=("hello", "world"), cost=len, **options):
    """Build the view of one tweet; by default every word costs one piece."""
    example = Example(Sample("s", "i", list(tokens)), features)
    return build_view(example, ContextOptions(**options), cost)


def shown(view):
    """Return the words as one string, `|` for the separator."""
    return " ".join("|" if word is SEP else word for word in view.words)


def test_groups_in_the_asked_order_with_a_separator_each():
    assert shown(view_of(use=ALL)) == (
        "hello world | a man in a hat | two dogs | tree tree red car | EXIT Gate 7"
    )
    assert shown(view_of(use=("ocr", "captions"))) == (
        "hello world | EXIT Gate 7 | a man in a hat | two dogs"
    )


def test_single_separator():
    view = view_of(use=ALL, separator="single")
    assert shown(view) == "hello world | a man in a hat two dogs tree tree red car EXIT Gate 7"


@pytest.mark.parametrize("group", ALL)
def test_ablations_are_single_groups(group):
    view = view_of(use=(group,))
    assert view.n_words == 2 and view.has_context
    assert shown(view).count("|") == (2 if group == "captions" else 1)


def test_numbers_and_thresholds():
    assert shown(view_of(use=("captions",), num_captions=1)) == "hello world | a man in a hat"
    assert shown(view_of(use=("objects",), max_objects=1)) == "hello world | tree"
    assert shown(view_of(use=("objects",), object_score_min=0.55)) == "hello world | tree tree"
    assert shown(view_of(use=("objects",), dedupe_objects=True)) == "hello world | tree red car"
    assert shown(view_of(use=("ocr",), ocr_score_min=0.1)) == "hello world | EXIT blurred Gate 7"
    assert shown(view_of(use=("ocr",), lowercase=True)) == "hello world | exit gate 7"
    assert view_of(use=ALL, lowercase=True, tokens=("Hello",)).words[0] == "Hello"


def test_missing_scores_pass_and_keep_the_producers_order():
    unscored = {"objects": stored(["b", "a"]), "ocr": stored(["x", "y"])}
    assert shown(view_of(unscored, use=ALL)) == "hello world | b a | x y"
    mixed = {"objects": stored(["b", "a"], [math.nan, 0.9])}
    assert shown(view_of(mixed, use=ALL)) == "hello world | b a"


@pytest.mark.parametrize(
    "features",
    [
        {},
        dict.fromkeys(ALL, NOTHING),
        dict.fromkeys(ALL, StoredItem(status=STATUS["missing"])),
        {"captions": stored(["", " \n", "\u200b"]), "ocr": stored(["no"], [0.1])},
    ],
    ids=["no stores", "nothing found", "missing image", "empty text"],
)
def test_without_image_words_the_view_is_the_tweet(features):
    view = view_of(features, use=ALL)
    assert view.words == ["hello", "world"]
    assert view.n_words == 2 and not view.has_context


def test_unprintable_characters_are_removed():
    view = view_of({"captions": stored(["a\x00b c\u200bd\ne"])}, use=("captions",))
    assert shown(view) == "hello world | ab cd e"


def test_overflow_skips_whole_segments_and_takes_later_ones():
    # 2 for the tweet, 6 for the first caption, 3 for the second, 4 for the text read.
    assert shown(view_of(max_subwords=9)) == "hello world | a man in a hat"
    assert shown(view_of(max_subwords=7)) == "hello world | two dogs"
    assert shown(view_of(max_subwords=9, separator="single")) == "hello world | a man in a hat"
    assert shown(view_of(max_subwords=10, separator="single")) == (
        "hello world | a man in a hat two dogs"
    )


def test_overflow_truncates_at_a_word_and_stops():
    cut = {"overflow": "truncate"}
    assert shown(view_of(max_subwords=10, **cut)) == "hello world | a man in a hat | two"
    assert shown(view_of(max_subwords=9, **cut)) == "hello world | a man in a hat"
    assert shown(view_of(max_subwords=6, **cut)) == "hello world | a man in"
    assert shown(view_of(max_subwords=3, **cut)) == "hello world"


@pytest.mark.parametrize("overflow", ["skip_segment", "truncate"])
def test_a_segment_without_pieces_adds_nothing_and_stops_nothing(overflow):
    def cost(words):
        return sum(word != "\ufe0f" for word in words)

    features = {"captions": stored(["\ufe0f", "two dogs"])}
    view = view_of(features, cost=cost, use=("captions",), overflow=overflow)
    assert shown(view) == "hello world | two dogs"


@pytest.mark.parametrize("overflow", ["skip_segment", "truncate"])
@pytest.mark.parametrize("separator", ["per_segment", "single"])
@pytest.mark.parametrize("budget", range(1, 40))
def test_the_budget_is_kept_and_the_tweet_whole(budget, separator, overflow):
    def cost(words):
        return sum(1 if word is SEP else len(word) for word in words)

    view = view_of(cost=cost, use=ALL, max_subwords=budget, separator=separator, overflow=overflow)
    assert view.words[:2] == ["hello", "world"]
    assert cost(view.words) <= max(budget, cost(["hello", "world"]))
    assert view.words[-1] is not SEP


def test_the_view_is_deterministic_and_needs_no_labels():
    assert view_of(use=ALL) == view_of(use=ALL)


def test_a_store_without_text_is_refused():
    features = {"objects": StoredItem(status=0, features=np.ones((1, 4)))}
    with pytest.raises(StoreError, match=r"image i: .* 'objects' has no text"):
        view_of(features, use=ALL)


@pytest.mark.parametrize(
    "bad",
    [
        {"use": ["caption"]},
        {"use": ["ocr", "ocr"]},
        {"max_subwords": 511},
        {"num_captions": -1},
        {"max_objects": -1},
        {"attributes_per_object": -1},
    ],
)
def test_options_are_checked(bad):
    with pytest.raises(ConfigError):
        options_from(ContextOptions, bad, "context")


# Objects of a region store: labels and attributes instead of text.


def regions(rows, **columns):
    """Return an ok item; a row is (class, score, [(attribute, score), ...])."""
    classes = sorted({name for name, _, _ in rows})
    words = sorted({word for _, _, attributes in rows for word, _ in attributes})
    ids = np.full((len(rows), 16), -1, np.int32)
    scores = np.full((len(rows), 16), np.nan, np.float32)
    for i, (_, _, attributes) in enumerate(rows):
        for j, (word, score) in enumerate(attributes):
            ids[i, j], scores[i, j] = words.index(word), score
    return StoredItem(
        status=STATUS["ok"],
        boxes=np.zeros((len(rows), 4), np.float32),
        scores=np.array([score for _, score, _ in rows], np.float32),
        labels=np.array([classes.index(name) for name, _, _ in rows], np.int32),
        attributes=ids,
        attribute_scores=scores,
        vocabulary={"labels": tuple(classes), "attributes": tuple(words)},
        **columns,
    )


REGIONS = {
    "objects": regions(
        [
            ("car", 0.3, [("old", 0.9), ("red", 0.5), ("wet", 0.05)]),
            ("traffic light", 0.8, []),
            ("dog", 0.1, [("big", 0.9)]),
        ]
    )
}


def objects_of(features=REGIONS, **options):
    """Return the words after the tweet."""
    return shown(view_of(features, use=("objects",), **options)).removeprefix("hello world | ")


def test_regions_become_attributes_and_classes_best_first():
    assert objects_of() == "traffic light red old car"
    assert objects_of(object_score_min=0.0) == "traffic light red old car big dog"
    assert objects_of(attribute_score_min=0.01) == "traffic light wet red old car"
    assert objects_of(attribute_score_min=0.6) == "traffic light old car"
    assert objects_of(attributes_per_object=1) == "traffic light old car"
    assert objects_of(attributes_per_object=0) == "traffic light car"
    assert objects_of(max_objects=1) == "traffic light"
    assert shown(view_of(REGIONS, use=("objects",), max_objects=0)) == "hello world"


def test_regions_without_scores_pass_every_threshold():
    unscored = regions([("car", math.nan, [("red", 0.9)]), ("dog", math.nan, [])])
    assert objects_of({"objects": unscored}, object_score_min=0.9) == "red car dog"


def test_regions_that_read_the_same_are_given_once_where_asked():
    twins = {"objects": regions([("car", 0.9, [("red", 0.5)]), ("car", 0.8, [("red", 0.7)])])}
    assert objects_of(twins) == "red car red car"
    assert objects_of(twins, dedupe_objects=True) == "red car"


def test_the_text_of_a_region_store_is_not_its_classes():
    item = {"objects": regions([("car", 0.9, [])], text=("phrase",))}
    assert objects_of(item) == "car"


@pytest.mark.parametrize(
    "features", [REGIONS, {"objects": stored(["traffic light", "red old car"])}]
)
def test_a_list_of_objects_beyond_the_budget_is_cut_after_an_object(features):
    # 2 for the tweet, 1 for the separator, 2 and 3 for the objects.
    assert objects_of(features, max_subwords=8) == "traffic light red old car"
    assert objects_of(features, max_subwords=7) == "traffic light"
    assert objects_of(features, max_subwords=5) == "traffic light"
    assert shown(view_of(features, use=("objects",), max_subwords=4)) == "hello world"
    cut = {"max_subwords": 7, "overflow": "truncate"}
    assert objects_of(features, **cut) == "traffic light red old"


def test_what_follows_a_cut_list_of_objects_may_still_fit():
    features = {**REGIONS, "ocr": stored(["EXIT"])}
    view = view_of(features, use=("objects", "ocr"), max_subwords=7)
    assert shown(view) == "hello world | traffic light | EXIT"


def test_only_objects_may_have_classes_for_words():
    with pytest.raises(StoreError, match=r"image i: .*'captions' has no text"):
        view_of({"captions": REGIONS["objects"]}, use=("captions",))


# Ready-made context.


def test_ready_made_segments_are_taken_whole_and_in_order():
    ready = {"context": stored([f"segment {i}" for i in range(7)])}
    words = shown(view_of(ready, use=("context",), num_captions=1))
    assert words == "hello world | " + " | ".join(f"segment {i}" for i in range(7))
    assert tuple(GROUPS) == ("captions", "objects", "ocr", "context")


def test_imported_context_reaches_the_view_of_its_sample(tmp_path):
    samples = [Sample("train-0", "i", ["hello", "world"]), Sample("train-1", "i", ["bye"])]
    (tmp_path / "train.txt").write_text(
        "hello O\nworld O\n<EOS> B-X\na B-X\ndog B-X\n<EOS> B-X\nEXIT B-X\n\nbye O\n\n"
    )
    store = tmp_path / "context.h5"
    import_artefact("context_conll", [tmp_path / "train.txt"], store, samples=[samples])
    with FeatureSource({"context": store}) as source:
        views = [
            build_view(example, ContextOptions(use=("context",)), len)
            for example in source.join(samples)
        ]
    # Both have the same image: the context is the sample's.
    assert [shown(view) for view in views] == ["hello world | a dog | EXIT", "bye"]


def test_exports_count_pieces_as_the_encoder_does(minilm):
    encoder = TextEncoder(minilm, pretrained=False)
    count = subword_counter(str(minilm))
    words = ["Unbelievable", "\ufe0f", "[SEP]", "</s>", "#", "@KingJames", "🙂", "naïve", "co-op"]
    for word in words:
        assert count([word]) == encoder.count_subwords([word])
    assert count(words) == encoder.count_subwords(words)
