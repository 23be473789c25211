"""What every extractor and grounder offers to the runner: items in, rows out.

One extractor = one file with `VERSION`, a frozen dataclass `Options` and a class `Extractor`.
Grounders (extract/grounding/) are extractors whose items carry noun phrases.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from extract.tables.rows import Item, ItemFeatures, Outputs


class Extractor(ABC):
    """Base of all extractors and grounders.

    Args:
        options: the module's frozen `Options`.
    """

    gives: ClassVar[str] = "features"
    """What its rows are: `features`, `captions`, `ocr`, `regions` or `boxes`.

    Targets, sheets and the count of losses go by it.
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
