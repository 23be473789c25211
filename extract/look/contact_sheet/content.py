"""What a tile says about an image: its tweets, phrases, boxes, captions and words, from files."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from extract.core.errors import DataError
from extract.look.contact_sheet.picture import DrawnBox
from extract.look.contact_sheet.text import GREY, INK, RED, Paragraph, Piece
from extract.store import FeatureStore, StoredItem
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS_NAMES
from extract.tables.samples import Sample
from extract.tables.tags import entity_spans

# Three shades of one colour a store, taken in turn by its boxes; told apart by colour-blind eyes
# too. Source: Okabe and Ito 2008, Color Universal Design (the middle shades, rounded).
SHADES = (
    ("#d55e00", "#ff9a4d", "#8f3f00"),
    ("#0072b2", "#4db3ee", "#004a75"),
    ("#009e73", "#4fd6ae", "#00614a"),
    ("#cc79a7", "#f2b3d3", "#8c3f6a"),
    ("#e0d000", "#a89c00", "#f7ee7f"),
)
WORD_COLOR = "#7b00ff"
SURE = 0.5
"""Words read with less confidence are grey."""

MAX_WORDS = 60
MAX_TWEETS = 3


@dataclass(frozen=True)
class Stores:
    """The files to look into; names are shown as headings."""

    boxes: Mapping[str, FeatureStore] = field(default_factory=dict)
    """Grounding or region stores."""
    captions: Mapping[str, FeatureStore] = field(default_factory=dict)
    ocr: Mapping[str, FeatureStore] = field(default_factory=dict)
    phrases: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """Name -> sample id -> phrases."""

    def __post_init__(self) -> None:
        for flag, stores in (("boxes", self.boxes), ("ocr", self.ocr)):
            for name, store in stores.items():
                if not store.outputs.boxes:
                    raise DataError(f"{store.path}: has no boxes; --{flag} {name} draws boxes.")
        for flag, stores in (("captions", self.captions), ("ocr", self.ocr)):
            for name, store in stores.items():
                if not store.outputs.text:
                    raise DataError(f"{store.path}: has no text; --{flag} {name} shows text.")

    @property
    def colors(self) -> dict[str, tuple[str, ...]]:
        """Store of boxes -> its shades."""
        return {name: SHADES[place % len(SHADES)] for place, name in enumerate(self.boxes)}


@dataclass(frozen=True)
class Content:
    """All that one tile shows."""

    row: ImageRow
    boxes: tuple[DrawnBox, ...]
    words: tuple[DrawnBox, ...]
    paragraphs: tuple[Paragraph, ...]


def describe(
    row: ImageRow, samples: Mapping[str, Sequence[Sample]], stores: Stores, *, max_boxes: int
) -> Content:
    """Return the content of one tile.

    Args:
        row: the image's line of images.tsv.
        samples: split -> the samples that have this image.
        stores: what to look into.
        max_boxes: boxes drawn of each store, its first ones.
    """
    boxes: list[DrawnBox] = []
    paragraphs = [*_tweets(samples), *_phrases(samples, stores)]
    for name, store in stores.boxes.items():
        found = store.item(row.image_id)
        drawn = _drawn_boxes(found, stores.colors[name])[:max_boxes]
        boxes += drawn
        paragraphs.append(Paragraph(name, _nothing(found, row) or _box_pieces(found, drawn)))
    for name, store in stores.captions.items():
        found = store.item(row.image_id)
        paragraphs.append(Paragraph(name, _nothing(found, row) or _caption_pieces(found)))
    words: list[DrawnBox] = []
    for name, store in stores.ocr.items():
        found = store.item(row.image_id)
        words += [DrawnBox(tuple(map(float, box)), WORD_COLOR) for box in found.boxes]
        paragraphs.append(Paragraph(name, _nothing(found, row) or _word_pieces(found)))
    return Content(row, tuple(boxes), tuple(words), tuple(paragraphs))


def group_samples(splits: Mapping[str, Sequence[Sample]]) -> dict[str, dict[str, list[Sample]]]:
    """Return image id -> split -> its samples, in order of first use."""
    grouped: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for split, samples in splits.items():
        for sample in samples:
            grouped[sample.image_id][split].append(sample)
    return dict(grouped)


def _tweets(samples: Mapping[str, Sequence[Sample]]) -> Iterator[Paragraph]:
    every = [(split, sample) for split, found in samples.items() for sample in found]
    for split, sample in every[:MAX_TWEETS]:
        yield Paragraph(f"{split} tweet", (Piece(" ".join(sample.tokens), note=sample.id),))
        entities = [
            Piece(" ".join(sample.tokens[start:end]), note=kind)
            for kind, start, end in entity_spans(sample.tags or [])
        ]
        if sample.tags is not None:
            yield Paragraph("entities", tuple(entities) or (Piece("none", GREY),))
    if len(every) > MAX_TWEETS:
        yield Paragraph(
            "", (_remark(f"and {len(every) - MAX_TWEETS} more tweets with this image"),)
        )


def _remark(text: str) -> Piece:
    return Piece(text, GREY)


def _phrases(samples: Mapping[str, Sequence[Sample]], stores: Stores) -> Iterator[Paragraph]:
    ids = [sample.id for found in samples.values() for sample in found]
    for name, by_sample in stores.phrases.items():
        texts = dict.fromkeys(text for i in ids for text in by_sample.get(i, ()))
        pieces = _separated([Piece(text) for text in texts])
        yield Paragraph(name, pieces or (Piece("no phrase", RED),))


def _separated(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Return pieces with a bar between each two."""
    bars = [part for piece in pieces for part in (Piece("|", GREY), piece)]
    return tuple(bars[1:])


def _drawn_boxes(item: StoredItem, shades: Sequence[str]) -> list[DrawnBox]:
    if item.boxes is None:
        return []
    return [
        DrawnBox(
            tuple(map(float, item.boxes[row])),
            shades[row % len(shades)],
            str(row),
            _name_of(item, row),
            _score(item, row),
        )
        for row in range(item.n_rows)
    ]


def _name_of(item: StoredItem, row: int) -> str:
    if item.text is not None:
        return item.text[row]
    names = item.vocabulary.get("labels", ())
    return names[item.labels[row]] if item.labels is not None and names else ""


def _score(item: StoredItem, row: int) -> str:
    """Return a score in two digits, empty where there is none."""
    score = math.nan if item.scores is None else float(item.scores[row])
    if math.isnan(score):
        return ""
    return f"{score:.2f}" if abs(score) >= 0.005 or score == 0 else f"{score:.0e}"


def _nothing(item: StoredItem, row: ImageRow) -> tuple[Piece, ...]:
    """Return why an item has no rows; empty where it has some."""
    if item.is_ok:
        return ()
    status = STATUS_NAMES[item.status]
    if status == row.status:
        # The picture's place says it already.
        return (_remark(status),)
    return (Piece(item.reason or status, RED),)


def _box_pieces(item: StoredItem, drawn: Sequence[DrawnBox]) -> tuple[Piece, ...]:
    pieces = [Piece(f"{box.number} {box.name}", INK, box.color, box.score) for box in drawn]
    if item.n_rows > len(drawn):
        pieces.append(_remark(f"and {item.n_rows - len(drawn)} more, not drawn"))
    return tuple(pieces)


def _caption_pieces(item: StoredItem) -> tuple[Piece, ...]:
    captions = []
    for row, text in enumerate(item.text or ()):
        captions.append(Piece(text.strip() or "(blank)", note=_score(item, row)))
    return _separated(captions)


def _word_pieces(item: StoredItem) -> tuple[Piece, ...]:
    pieces = []
    for row, word in enumerate((item.text or ())[:MAX_WORDS]):
        score = math.nan if item.scores is None else float(item.scores[row])
        pieces.append(Piece(word, GREY if score < SURE else INK, note=_score(item, row)))
    if item.n_rows > MAX_WORDS:
        pieces.append(_remark(f"and {item.n_rows - MAX_WORDS} more words"))
    return tuple(pieces)
