"""What every extractor and grounder offers to the runner: items in, rows out.

One extractor = one file with `VERSION`, a frozen dataclass `Options` and a class `Extractor`.
Grounders (extract/grounding/) are extractors whose items carry noun phrases.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from extract.tables.samples import STATUS

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
    image: Image.Image | None
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


class Extractor(ABC):
    """Base of all extractors and grounders.

    Args:
        options: the module's frozen `Options`.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"image"})
    """What an Item must carry: `image`, `phrases`, `boxes`, `captions`, `annotations`, or `id`.

    Only where `id` is named may values depend on `Item.image_id`: rows of an image that was renamed
    are otherwise copied.
    """
    roles: ClassVar[tuple[str, ...]] = ()
    """Weights it loads, by role; the config's `weights` must name exactly these."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @classmethod
    @abstractmethod
    def outputs(cls, options: Any) -> Outputs:
        """Return the declared columns; light (no weights are opened)."""

    def load(self, weights: Mapping[str, Path], device: str) -> None:  # noqa: B027
        """Load the checkpoint folder or file of each role; called once, before any batch."""

    def outputs_from(self, weights: Callable[[str], Path]) -> Outputs:
        """Return the columns where a vocabulary comes with the weights; light, no tensor is read.

        Args:
            weights: role -> checkpoint folder or file.
        """
        return self.outputs(self.options)

    @property
    def draft_px(self) -> int | None:
        """Sides in px that suffice: a JPEG may be decoded that small; None wants every pixel."""
        return None

    def prepare(self, item: Item) -> Any:
        """Do an item's own part of the work, without weights; called in a decoding thread.

        Returns:
            What `extract` finds in `item.prepared`, in place of the image; None keeps the image.
        """
        return None

    def prepared(self, item: Item) -> Any:
        """Return what `prepare` made of an item, making it now where the caller did not."""
        return self.prepare(item) if item.prepared is None else item.prepared

    @abstractmethod
    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        """Return one result an item, in order; a batch of one equals a batch of many."""


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
