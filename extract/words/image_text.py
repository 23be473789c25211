"""From the stores of an image to words: what ITA appends to a tweet and what exports write.

A segment is what may stand between two separators: one caption, the list of objects, or the text
read in the picture. Segments are appended in order, as long as the budget lasts.

Source: Wang et al. 2022, ITA: Image-Text Alignments for Multi-Modal Named Entity Recognition,
sec. 3 (local and global alignment, optical character alignment).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from extract.core.errors import StoreError
from extract.words.object_text import object_phrases

if TYPE_CHECKING:
    from extract.store import StoredItem

S = TypeVar("S")

GROUPS = {
    "captions": "captions of the image as text rows, best first",
    "objects": "objects in the image, with scores where it has them: their names as text rows, or "
    "labels and attributes",
    "ocr": "words read in the image as text rows in reading order, with confidences as scores",
    "context": "ready-made segments as text rows, in order, of the image or of the sample",
}


@dataclass(frozen=True)
class ContextOptions:
    """How the words of an image are chosen and joined."""

    use: tuple[str, ...] = ("captions", "ocr")
    """Groups of image words, in the order they are appended: `captions`, `objects`, `ocr`, or
    `context` for what another project has put together."""
    separator: Literal["per_segment", "single"] = "per_segment"
    """A separator before every segment, or only one, between tweet and context."""
    num_captions: int = 5
    """Most captions of an image, best first."""
    max_objects: int | None = None
    """Most objects of an image, best first; null takes all until the budget ends."""
    object_score_min: float = 0.2
    """Least score of an object; a missing score passes. VinVL's own threshold."""
    attribute_score_min: float = 0.1
    """Least score of an attribute of an object; a missing score passes."""
    attributes_per_object: int | None = None
    """Most attributes of an object, surest first; null takes all above the threshold."""
    dedupe_objects: bool = False
    """Leave out an object whose words were already given."""
    ocr_score_min: float = 0.5
    """Least confidence of a word read in the image, 0 to 1; a missing confidence passes."""
    max_subwords: int = 510
    """Budget of tweet, separators and context in pieces, without begin and end pieces."""
    overflow: Literal["skip_segment", "truncate"] = "skip_segment"
    """A segment beyond the budget is left out (a later, shorter one may fit) and the list of
    objects is cut after an object; or any segment is cut at a word boundary and is the last."""
    lowercase: bool = False
    """Lower-case the context (not the tweet)."""

    def __post_init__(self) -> None:
        unknown = [group for group in self.use if group not in GROUPS]
        if unknown or len(set(self.use)) != len(self.use):
            raise ValueError(f"use: expected distinct names of {', '.join(GROUPS)}, got {self.use}")
        if not 1 <= self.max_subwords <= 510:
            raise ValueError(f"max_subwords: expected 1 to 510, got {self.max_subwords}")
        for name in ("num_captions", "max_objects", "attributes_per_object"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True)
class Segment:
    """Words that may stand between two separators."""

    words: list[str]
    cuts: tuple[int, ...] = ()
    """Numbers of leading words that may be kept where not all fit, ascending."""


def context_segments(
    items: Mapping[str, "StoredItem"], options: ContextOptions, where: str
) -> list[Segment]:
    """Return the segments of an image, none of them empty, in order.

    Args:
        items: group -> what its store holds for the image; an absent or empty one adds nothing.
        options: choice and order.
        where: whose image it is, for messages.

    Raises:
        StoreError: the store of a group holds no words.
    """
    segments: list[Segment] = []
    for group in options.use:
        item = items.get(group)
        if item is None or not item.is_ok:
            continue
        if item.text is None and (group != "objects" or item.labels is None):
            raise StoreError(
                f"{where}: the store given for '{group}' has no text rows; expected "
                f"{GROUPS[group]}. Name another feature set for this role."
            )
        segments += _BUILDERS[group](item, options)
    if options.lowercase:
        segments = [Segment([w.lower() for w in s.words], s.cuts) for s in segments]
    return [segment for segment in segments if segment.words]


def append_context(
    tweet: Sequence[str],
    segments: Sequence[Segment],
    options: ContextOptions,
    *,
    separator: S,
    count_subwords: Callable[[Sequence[str]], int],
) -> list[str | S]:
    """Return the words of a tweet followed by the segments that the budget has room for.

    The tweet is never shortened; without any segment there is no trailing separator.

    Args:
        tweet: its words.
        segments: of its image.
        options: budget, overflow and separators.
        separator: what to put between tweet and segments; it costs one piece.
        count_subwords: words -> number of pieces, a sum over the words.
    """
    words: list[str | S] = list(tweet)
    left = options.max_subwords - count_subwords(tweet)
    for segment in segments:
        is_separated = options.separator == "per_segment" or len(words) == len(tweet)
        room = left - is_separated
        if options.overflow == "truncate":
            added = _fit_words(segment.words, room, count_subwords)
        else:
            added = _fit_cuts(segment, room, count_subwords)
        cost = count_subwords(added)
        if 0 < cost <= room:
            words += [separator, *added] if is_separated else added
            left = room - cost
        if options.overflow == "truncate" and len(added) < len(segment.words):
            break
    return words


def _fit_words(
    words: list[str], room: int, count_subwords: Callable[[Sequence[str]], int]
) -> list[str]:
    """Return the longest beginning of `words` that fits."""
    for end, word in enumerate(words):
        room -= count_subwords([word])
        if room < 0:
            return words[:end]
    return words


def _fit_cuts(
    segment: Segment, room: int, count_subwords: Callable[[Sequence[str]], int]
) -> list[str]:
    """Return the segment, or the longest beginning up to one of its cuts, that fits."""
    if count_subwords(segment.words) <= room:
        return segment.words
    kept, start = 0, 0
    for cut in segment.cuts:
        room -= count_subwords(segment.words[start:cut])
        if room < 0:
            break
        kept = start = cut
    return segment.words[:kept]


def _caption_segments(item: "StoredItem", options: ContextOptions) -> list[Segment]:
    """Return one segment a caption."""
    return [Segment(split_words(caption)) for caption in item.text[: options.num_captions]]


def _object_segments(item: "StoredItem", options: ContextOptions) -> list[Segment]:
    """Return the objects, best first, as one segment that may be cut after each of them."""
    names = [split_words(name) for name in _object_names(item, options)]
    if options.dedupe_objects:
        names = [list(words) for words in dict.fromkeys(map(tuple, names))]
    words: list[str] = []
    cuts = []
    for name in names[: options.max_objects]:
        words += name
        cuts.append(len(words))
    return [Segment(words, tuple(cuts))]


def _object_names(item: "StoredItem", options: ContextOptions) -> list[str]:
    """Return the words of each object that passes the threshold, best first."""
    if item.labels is not None:
        phrases = object_phrases(
            item,
            score_min=options.object_score_min,
            attribute_score_min=options.attribute_score_min,
            attributes_per_object=options.attributes_per_object,
        )
        return [phrase for phrase, _ in phrases]
    scores = _scores(item)
    order = list(range(item.n_rows))
    if not any(map(math.isnan, scores)):
        order.sort(key=lambda row: -scores[row])  # stable: ties keep the store's order
    return [item.text[row] for row in order if _passes(scores[row], options.object_score_min)]


def _ocr_segments(item: "StoredItem", options: ContextOptions) -> list[Segment]:
    """Return the words read with enough confidence as one segment."""
    rows = zip(item.text, _scores(item), strict=True)
    kept = [text for text, score in rows if _passes(score, options.ocr_score_min)]
    return [Segment([word for text in kept for word in split_words(text)])]


def _ready_segments(item: "StoredItem", options: ContextOptions) -> list[Segment]:
    """Return one segment a row, all of them."""
    return [Segment(split_words(text)) for text in item.text]


_BUILDERS = {
    "captions": _caption_segments,
    "objects": _object_segments,
    "ocr": _ocr_segments,
    "context": _ready_segments,
}


def _scores(item: "StoredItem") -> list[float]:
    """Return one score a row, NaN where the store has none."""
    return [math.nan] * item.n_rows if item.scores is None else item.scores.tolist()


def _passes(score: float, least: float) -> bool:
    """Say whether a row is kept; producers without scores are never filtered."""
    return math.isnan(score) or score >= least


def split_words(text: str) -> list[str]:
    """Return the words of a text, rid of unprintable characters."""
    words = ["".join(filter(str.isprintable, word)) for word in text.split()]
    return [word for word in words if word]
