"""From the stores of an image to words: the context that ITA appends to a tweet.

A segment is what may stand between two separators: one caption, the list of objects, or the text
read in the picture. Segments are appended whole, in order, as long as the budget lasts.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from extract.errors import StoreError
from extract.store import StoredItem
from train.layers.text_encoder import SEP, Word
from train.models.base import Example

GROUPS = {
    "captions": "captions of the image as text rows, best first",
    "objects": "names of the objects in the image as text rows, with scores where it has them",
    "ocr": "words read in the image as text rows in reading order, with confidences as scores",
}


@dataclass(frozen=True)
class ContextOptions:
    """How the words of an image are chosen and joined."""

    use: tuple[str, ...] = ("captions", "ocr")
    """Groups of image words, in the order they are appended: `captions`, `objects`, `ocr`."""
    separator: Literal["per_segment", "single"] = "per_segment"
    """A separator before every segment, or only one, between tweet and context."""
    num_captions: int = 5
    """Most captions of an image, best first."""
    max_objects: int | None = None
    """Most objects of an image, best first; null takes all until the budget ends."""
    object_score_min: float = 0.2
    """Least score of an object; a missing score passes."""
    dedupe_objects: bool = False
    """Leave out an object whose name was already given."""
    ocr_score_min: float = 0.5
    """Least confidence of a word read in the image, 0 to 1; a missing confidence passes."""
    max_subwords: int = 510
    """Budget of tweet, separators and context in pieces, without begin and end pieces."""
    overflow: Literal["skip_segment", "truncate"] = "skip_segment"
    """A segment beyond the budget is left out (a later, shorter one may fit), or it is cut at a
    word boundary and is the last."""
    lowercase: bool = False
    """Lower-case the context (not the tweet)."""

    def __post_init__(self) -> None:
        unknown = [group for group in self.use if group not in GROUPS]
        if unknown or len(set(self.use)) != len(self.use):
            raise ValueError(f"use: expected distinct names of {', '.join(GROUPS)}, got {self.use}")
        if not 1 <= self.max_subwords <= 510:
            raise ValueError(f"max_subwords: expected 1 to 510, got {self.max_subwords}")
        if self.num_captions < 0 or (self.max_objects is not None and self.max_objects < 0):
            raise ValueError("num_captions and max_objects must not be negative")


@dataclass(frozen=True)
class MultimodalView:
    """A tweet with the words of its image."""

    words: list[Word]
    n_words: int
    """How many leading words are the tweet's; only they are tagged."""

    @property
    def has_context(self) -> bool:
        """False when the view is the bare tweet."""
        return len(self.words) > self.n_words


def build_view(
    example: Example, options: ContextOptions, count_subwords: Callable[[Sequence[Word]], int]
) -> MultimodalView:
    """Append an example's image words to its tweet.

    The tweet is never shortened; without any image words the view is the tweet alone, without a
    trailing separator.

    Args:
        example: its tokens, and the items of the groups in use (an absent one adds nothing).
        options: choice and order.
        count_subwords: words -> number of pieces, as the encoder counts.

    Raises:
        StoreError: the store of a group holds no text.
    """
    words: list[Word] = list(example.sample.tokens)
    n_words = len(words)
    left = options.max_subwords - count_subwords(words)
    for segment in context_segments(example, options):
        is_separated = options.separator == "per_segment" or len(words) == n_words
        room = left - is_separated  # the separator is one piece
        added = _fit(segment, room, count_subwords) if options.overflow == "truncate" else segment
        cost = count_subwords(added)
        if 0 < cost <= room:
            words += [SEP, *added] if is_separated else added
            left = room - cost
        if len(added) < len(segment):
            break
    return MultimodalView(words, n_words)


def _fit(
    words: list[str], budget: int, count_subwords: Callable[[Sequence[Word]], int]
) -> list[str]:
    """Return the longest beginning of `words` that costs no more than the budget."""
    for end, word in enumerate(words):
        budget -= count_subwords([word])
        if budget < 0:
            return words[:end]
    return words


def context_segments(example: Example, options: ContextOptions) -> list[list[str]]:
    """Return the segments of an example's image, none of them empty, in order."""
    segments: list[list[str]] = []
    for group in options.use:
        item = example.features.get(group)
        if item is None or not item.is_ok:
            continue
        if item.text is None:
            raise StoreError(
                f"image {example.sample.image_id}: the store given for '{group}' has no text "
                f"rows; expected {GROUPS[group]}. Name another feature set for this role."
            )
        segments += _BUILDERS[group](item, options)
    if options.lowercase:
        segments = [[word.lower() for word in segment] for segment in segments]
    return [segment for segment in segments if segment]


def _caption_segments(item: StoredItem, options: ContextOptions) -> list[list[str]]:
    """Return one segment a caption."""
    return [_split(caption) for caption in item.text[: options.num_captions]]


def _object_segments(item: StoredItem, options: ContextOptions) -> list[list[str]]:
    """Return the names of the objects, best first, as one segment."""
    scores = _scores(item)
    order = list(range(item.n_rows))
    if not any(map(math.isnan, scores)):
        order.sort(key=lambda row: -scores[row])  # stable: ties keep the store's order
    names = [item.text[row] for row in order if _passes(scores[row], options.object_score_min)]
    if options.dedupe_objects:
        names = list(dict.fromkeys(names))
    return [[word for name in names[: options.max_objects] for word in _split(name)]]


def _ocr_segments(item: StoredItem, options: ContextOptions) -> list[list[str]]:
    """Return the words read with enough confidence as one segment."""
    rows = zip(item.text, _scores(item), strict=True)
    kept = [text for text, score in rows if _passes(score, options.ocr_score_min)]
    return [[word for text in kept for word in _split(text)]]


_BUILDERS = {"captions": _caption_segments, "objects": _object_segments, "ocr": _ocr_segments}


def _scores(item: StoredItem) -> list[float]:
    """Return one score a row, NaN where the store has none."""
    return [math.nan] * item.n_rows if item.scores is None else item.scores.tolist()


def _passes(score: float, least: float) -> bool:
    """Say whether a row is kept; producers without scores are never filtered."""
    return math.isnan(score) or score >= least


def _split(text: str) -> list[str]:
    """Return the words of a text, rid of unprintable characters."""
    words = ["".join(filter(str.isprintable, word)) for word in text.split()]
    return [word for word in words if word]
