"""Which image words follow a tweet, in which order, and where the budget ends."""

import math

import numpy as np
import pytest

from extract.errors import StoreError
from extract.manifest import STATUS, Sample
from extract.options import options_from
from extract.store import StoredItem
from train.context import ContextOptions, build_view
from train.layers.text_encoder import SEP
from train.models.base import Example

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
def test_8_2_13_without_image_words_the_view_is_the_tweet(features):
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
@pytest.mark.parametrize("separator", ["per_segment", "single"])
@pytest.mark.parametrize("budget", range(1, 40))
def test_8_2_15_the_budget_is_kept_and_the_tweet_whole(budget, separator, overflow):
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
    [{"use": ["caption"]}, {"use": ["ocr", "ocr"]}, {"max_subwords": 511}, {"num_captions": -1}],
)
def test_options_are_checked(bad):
    from extract.errors import ConfigError

    with pytest.raises(ConfigError):
        options_from(ContextOptions, bad, "context")
