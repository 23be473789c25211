"""`img_vgg_features.pt`: {image id: tensor (49, 512)} of VGG-16's last pooling layer.

The file of the PyTorch version of ACN. Keys are whole numbers there; the ids of other corpora are
read as strings, or as Python reads them as numbers (`17_06_12483` is 170612483). Rows are the cells
of a 7 x 7 grid, row-major.

Lost on export: why an image has no rows (it is left out, and missing on import), and every column
but the features. float16 holds half the digits of float32: what was float16 in the store stays
exact in either.

Source: Zhang et al. 2018, Adaptive Co-attention Network for Named Entity Recognition in Tweets, and
monologg's implementation, NER-Multimodal-pytorch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from extract.core.errors import DataError, StoreError
from extract.core.files import atomic_path
from extract.interop.base import Imported
from extract.interop.names import absent, file_label, match_names
from extract.networks.checkpoints.torch_files import load_plain
from extract.tables.caption_lists import strip_image_suffix
from extract.tables.images_table import ImageRow
from extract.tables.rows import ItemFeatures, Outputs

if TYPE_CHECKING:
    from extract.store import FeatureStore

HELP = "dictionary of VGG-16 grids in a torch file (ACN in PyTorch)"
VERSION = 1
GIVES = "features"

_FLOATS = ("torch.float16", "torch.bfloat16", "torch.float32")


@dataclass(frozen=True)
class Options:
    """Form of rows and keys."""

    dtype: Literal["float32", "float16"] = "float32"
    """Of the features in the store, or of the tensors in the file."""
    grid: tuple[int, int] = (7, 7)
    """Rows and columns of the grid; their product is the number of rows of an image."""
    keys: Literal["int", "str"] = "int"
    """Of an exported file; the original reader looks for whole numbers."""

    def __post_init__(self) -> None:
        if min(self.grid) < 1:
            raise ValueError(f"grid: expected two numbers from 1, got {self.grid}")


def read(source: Sequence[Path], images: Sequence[ImageRow], options: Options) -> Imported:
    """Read one or more such files; large ones are mapped, not loaded.

    Raises:
        DataError: a file holds something else, or an image twice.
        MissingFileError: no such file.
    """
    tensors: dict[str, Any] = {}
    for path in source:
        for key, tensor in _load(path).items():
            name = _key_name(key, path)
            if name in tensors:
                raise DataError(f"{path}: image {name!r} occurs twice (as number and as text?)")
            tensors[name] = _checked(tensor, f"{path}: {name!r}", options)
    label = file_label(source)
    dims = sorted({tensor.shape[1] for tensor in tensors.values()})
    if len(dims) != 1:
        raise DataError(f"{label}: expected rows of one width, got {dims or 'no image'}")
    tensors = _renamed(tensors, images, label)
    found, notes = match_names(tensors, images, label)
    outputs = Outputs(feature_dim=dims[0], feature_dtype=options.dtype, grid=options.grid)
    return Imported(outputs, _items(tensors, found, images, outputs, label), notes)


def _load(path: Path) -> Mapping[Any, Any]:
    """Return the dictionary; the tensors of a file in the zip format stay on disk."""
    content = load_plain(path, mapped=True)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dictionary, got {type(content).__name__}")
    return content


def _key_name(key: Any, path: Path) -> str:
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise DataError(f"{path}: keys should be whole numbers or strings, got {key!r:.60}")
    return str(key)


def _checked(tensor: Any, where: str, options: Options) -> Any:
    """Return a tensor of R rows."""
    import torch

    n_rows = options.grid[0] * options.grid[1]
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
        raise DataError(f"{where}: expected a tensor, got {type(tensor).__name__}")
    if tensor.ndim != 2 or tensor.shape[0] != n_rows or not tensor.shape[1]:
        raise DataError(f"{where}: expected shape ({n_rows}, D), got {tuple(tensor.shape)}")
    if str(tensor.dtype) not in _FLOATS:
        raise DataError(f"{where}: expected float32 or half precision, got {tensor.dtype}")
    return tensor


def number_of(image_id: str) -> int | None:
    """Return an id as Python reads it as a number, None where it does not."""
    try:
        return int(strip_image_suffix(image_id))
    except ValueError:
        return None


def _renamed(tensors: Mapping[str, Any], images: Sequence[ImageRow], label: str) -> dict[str, Any]:
    """Return the tensors, those under an id read as a number under that id.

    Raises:
        DataError: two ids are one number.
    """
    renamed = dict(tensors)
    stems = {strip_image_suffix(row.image_id) for row in images}
    known = {strip_image_suffix(name) for name in tensors}
    for stem in sorted(stems - known):
        number = str(number_of(stem))
        if number not in tensors or number in stems:
            continue
        if number not in renamed:
            raise DataError(f"{label}: key {number} could be image {stem!r} or another one")
        renamed[stem] = renamed.pop(number)
    return renamed


def _items(
    tensors: Mapping[str, Any],
    found: Mapping[str, str],
    images: Sequence[ImageRow],
    outputs: Outputs,
    label: str,
) -> Iterator[ItemFeatures]:
    import torch

    for row in images:
        if row.image_id not in found:
            yield absent(row, outputs, label)
            continue
        tensor = tensors[found[row.image_id]].detach().to(torch.float32)
        if not torch.isfinite(tensor).all():
            raise DataError(f"{label}: image {row.image_id!r} holds NaN or infinity")
        yield ItemFeatures(features=tensor.contiguous().numpy())


def write(
    store: "FeatureStore", images: Sequence[ImageRow], out: Path, options: Options
) -> dict[str, int]:
    """Write the dictionary; images without rows are left out.

    Raises:
        StoreError: the store holds no such grid, or an id cannot be a key.
    """
    import torch

    if store.outputs.feature_dtype == "uint8" or not store.outputs.feature_dim:
        raise StoreError(f"{store.path}: has no features of a network")
    n_rows, tensors = options.grid[0] * options.grid[1], {}
    for row in images:
        item = store.item(row.image_id)
        if not item.is_ok:
            continue
        if item.n_rows != n_rows:
            raise StoreError(
                f"{store.path}: image {row.image_id!r} has {item.n_rows} rows, the grid {n_rows}"
            )
        key = _export_key(row.image_id, options)
        if key in tensors:
            raise StoreError(f"{store.path}: image {row.image_id!r} and another one have key {key}")
        tensors[key] = _tensor(item.features, options, f"{store.path}: image {row.image_id!r}")
    # To an open file: given a path, torch writes its name into the file.
    with atomic_path(out) as tmp, tmp.open("wb") as file:
        torch.save(tensors, file)
    return {"images": len(tensors), "left_out": len(images) - len(tensors)}


def _export_key(image_id: str, options: Options) -> int | str:
    if options.keys == "str":
        return image_id
    number = number_of(image_id)
    if number is None:
        raise StoreError(
            f"image id {image_id!r} is no whole number, which the original reader wants as key. "
            'Export with the option {"keys": "str"}.'
        )
    return number


def _tensor(features: np.ndarray, options: Options, where: str) -> Any:
    import torch

    with np.errstate(over="ignore"):
        values = features.astype(options.dtype)
    if not np.isfinite(values).all():
        raise StoreError(f"{where}: a feature is too large for float16. Export float32.")
    return torch.from_numpy(values)
