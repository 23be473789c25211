"""What every foreign artefact offers: a file of another project <-> rows of a feature store.

One artefact = one file of `artefacts/` with `HELP`, `VERSION`, a frozen dataclass `Options`,
`GIVES` (what its rows are: `boxes`, `captions`, `features` or `context`), and
`read(source, images, options) -> Imported` and `write(store, images, out, options)`, or one of the
two; with `ID_KIND = "sample"`, `read` gets samples instead of images. Nothing foreign is unpickled
freely: torch files are opened with `weights_only=True`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from extract.tables.rows import ItemFeatures, Outputs


@dataclass(frozen=True)
class Imported:
    """The rows that a foreign file has for the images of a manifest."""

    outputs: Outputs
    items: Iterable[ItemFeatures]
    """One an image, in manifest order; an image that the file lacks is not ok and says why."""
    notes: dict[str, int] = field(default_factory=dict)
    """What was seen beside the rows, e.g. keys of the file that are in no manifest."""
