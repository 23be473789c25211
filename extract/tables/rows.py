"""What items of feature stores hold, before, while and after they are computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# Item status of feature stores, by name; extract/store/__init__.py says what each means.
STATUS = {"ok": 0, "missing": 1, "unreadable": 2, "nothing_found": 3, "no_images": 4}
STATUS_NAMES = {code: name for name, code in STATUS.items()}


ATTRIBUTES_PER_ROW = 16
"""Places for attributes in a row; VinVL keeps as many."""


@dataclass(frozen=True)
class Outputs:
    """The columns of `/rows` that an extractor fills; declared before anything is computed."""

    feature_dim: int = 0
    """D of `/rows/features`; 0 when there are no features."""
    feature_dtype: str = "float16"
    """`float16`, `float32` or `uint8`."""
    item_shape: tuple[int, ...] = ()
    """Shape of one row before flattening, e.g. (224, 224, 3); () means (D,)."""
    grid: tuple[int, int] | None = None
    """(rows, columns) when the rows of an item are the cells of a grid, row-major."""
    text: bool = False
    boxes: bool = False
    scores: bool = False
    labels: tuple[str, ...] = ()
    """Vocabulary of `/rows/labels`; empty means no labels column."""
    attributes: tuple[str, ...] = ()
    """Vocabulary of `/rows/attributes`; empty means neither attributes nor their scores."""


@dataclass(frozen=True)
class Phrase:
    """A noun phrase of one sample: text and token offsets, end exclusive."""

    text: str
    start: int
    end: int
    sample_id: str = ""


@dataclass(frozen=True)
class Box:
    """One annotated or predicted box: `xyxy`, pixels of the upright image, x2/y2 exclusive."""

    xyxy: tuple[float, float, float, float]
    score: float = float("nan")
    """NaN where there is none (annotations)."""
    text: str = ""
    """The phrase or the annotated entity's name."""


@dataclass(frozen=True)
class Item:
    """One image of a batch and whatever else the extractor said it `needs`."""

    image_id: str
    image: "Image.Image | None"
    """Upright RGB; None when the extractor does not need the image."""
    phrases: tuple[Phrase, ...] = ()
    """The noun phrases of every sample that has this image, in sample then token order."""
    boxes: np.ndarray | None = None
    """shape: (R, 4), float32, rows of the grounding store that the spec reads."""
    captions: tuple[str, ...] = ()
    """Captions of the corpus's caption list."""
    annotations: tuple[Box, ...] = ()
    """Annotated boxes of the corpus, in file order, with the entity's name."""
    prepared: Any = None
    """What `Extractor.prepare` made of the item."""


@dataclass(frozen=True)
class ItemFeatures:
    """The rows of one item; every given column has the same length R.

    An item with no row gets status `nothing_found` and must say why in `reason`.
    """

    features: np.ndarray | None = None
    """shape: (R, D)"""
    text: Sequence[str] | None = None
    boxes: np.ndarray | None = None
    """shape: (R, 4), float32, `xyxy`, pixels of the original upright image, x2/y2 exclusive."""
    scores: np.ndarray | None = None
    """shape: (R,), float32, may be NaN."""
    labels: np.ndarray | None = None
    """shape: (R,), int32, indices into Outputs.labels."""
    attributes: np.ndarray | None = None
    """shape: (R, 16), int32, indices into Outputs.attributes, best first, then -1 for none."""
    attribute_scores: np.ndarray | None = None
    """shape: (R, 16), float32, NaN where there is no attribute."""
    status: int = STATUS["ok"]
    reason: str = ""

    @property
    def n_rows(self) -> int:
        """Number of rows R."""
        for column in (self.features, self.text, self.boxes):
            if column is not None:
                return len(column)
        return 0


def nothing_found(reason: str, outputs: Outputs) -> ItemFeatures:
    """Return an item without rows, with empty columns as declared."""
    return ItemFeatures(
        features=np.zeros((0, outputs.feature_dim), outputs.feature_dtype)
        if outputs.feature_dim
        else None,
        text=[] if outputs.text else None,
        boxes=np.zeros((0, 4), np.float32) if outputs.boxes else None,
        scores=np.zeros(0, np.float32) if outputs.scores else None,
        labels=np.zeros(0, np.int32) if outputs.labels else None,
        attributes=np.zeros((0, ATTRIBUTES_PER_ROW), np.int32) if outputs.attributes else None,
        attribute_scores=np.zeros((0, ATTRIBUTES_PER_ROW), np.float32)
        if outputs.attributes
        else None,
        status=STATUS["nothing_found"],
        reason=reason,
    )


@dataclass(frozen=True)
class StoredItem:
    """What a store holds for one id; every present column has R rows (0 unless ok)."""

    status: int
    reason: str = ""
    features: np.ndarray | None = None
    """shape: (R, D)"""
    text: tuple[str, ...] | None = None
    boxes: np.ndarray | None = None
    """shape: (R, 4), float32"""
    scores: np.ndarray | None = None
    """shape: (R,), float32"""
    labels: np.ndarray | None = None
    """shape: (R,), int32, indices into `vocabulary["labels"]`"""
    attributes: np.ndarray | None = None
    """shape: (R, 16), int32, indices into `vocabulary["attributes"]`, then -1 for none"""
    attribute_scores: np.ndarray | None = None
    """shape: (R, 16), float32, NaN where there is no attribute"""
    vocabulary: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    """Of the store: the names that labels and attributes stand for."""

    def attributes_of(self, row: int) -> list[tuple[str, float]]:
        """Return (attribute, score) of one row, best first."""
        pairs = zip(self.attributes[row], self.attribute_scores[row], strict=True)
        words = self.vocabulary["attributes"]
        return [(words[index], float(score)) for index, score in pairs if index >= 0]

    @property
    def is_ok(self) -> bool:
        """True when the item has rows."""
        return self.status == STATUS["ok"]

    @property
    def n_rows(self) -> int:
        """Number of rows R."""
        columns = (self.features, self.text, self.boxes)
        return next((len(column) for column in columns if column is not None), 0)
