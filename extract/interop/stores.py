"""A foreign artefact becomes an ordinary feature store: import, block by block, in manifest order.

Every item gets the checksum of what the file holds for it, so two imports can be compared item by
item. As it is known only once the item was read, each block becomes a shard of its own, and the
shards are merged like any others: a large file is never in memory.
"""

import hashlib
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from extract.core.digests import canonical, digest, file_sha256
from extract.core.errors import ConfigError, DataError, MissingFileError, near_match
from extract.core.files import only_process
from extract.core.options import options_from
from extract.core.registry import available, load_module
from extract.interop.base import Imported
from extract.interop.names import plain_name
from extract.interop.values import as_text
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, STATUS_NAMES, ItemFeatures
from extract.tables.samples import Sample

KINDS = "extract.interop.artefacts"

# All shards are open when they are merged.
_MAX_SHARDS = 256
_MIN_BLOCK = 64
_ARRAYS = ("features", "boxes", "scores", "labels", "attributes", "attribute_scores")


def artefacts(function: str) -> list[str]:
    """Return the kinds that offer `read` or `write`."""
    return [name for name in available(KINDS) if hasattr(load_module(KINDS, name), function)]


def load_artefact(kind: str, function: str) -> ModuleType:
    """Return the module of a kind that offers `read` or `write`.

    Raises:
        ConfigError: there is none; the message lists the kinds and the nearest one.
    """
    known = artefacts(function)
    if kind not in known:
        raise ConfigError(
            f"no artefact '{kind}' that has {function}; known: {', '.join(known)}."
            f"{near_match(kind, known)}"
        )
    return load_module(KINDS, kind)


@dataclass(frozen=True)
class Origin:
    """What decides the rows of an imported store."""

    kind: str
    version: int
    options: dict[str, Any]
    sources: tuple[dict[str, str], ...]
    """Name (without folder) and sha256 of each file or folder."""

    @property
    def fingerprint(self) -> str:
        """Checksum of everything here but the names."""
        sums = [source["sha256"] for source in self.sources]
        return digest({**asdict(self), "sources": sums})


@dataclass(frozen=True)
class Target:
    """One item of the store to be: its id and what is known of it beside the foreign file."""

    id: str
    identity: tuple[str, ...]
    """Enters the item's checksum."""
    image_size: tuple[int, int] = (0, 0)


def import_artefact(
    kind: str,
    sources: Sequence[Path],
    out: Path,
    *,
    images: Sequence[ImageRow] | None = None,
    samples: Sequence[Sequence[Sample]] = (),
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a merged feature store of what foreign files hold.

    Args:
        kind: a file of `extract/interop/artefacts/` that has `read`.
        sources: the files, or folders, as the kind wants them.
        out: the store.
        images: the manifest; needed unless the artefact is one of samples.
        samples: of each samples file, in order; needed by artefacts of samples.
        options: of the kind.

    Returns:
        Counts: items, rows, status, and what the reader noted (images that the file lacks, keys of
        the file that are in no manifest, ...).

    Raises:
        ConfigError: unknown kind or option, or a missing argument.
        DataError: a source breaks its format.
        BusyError: another process is making `out`.
    """
    module = load_artefact(kind, "read")
    chosen = options_from(module.Options, options or {}, f"{kind} options")
    as_json = json.loads(json.dumps(asdict(chosen)))
    origin = Origin(kind, module.VERSION, as_json, tuple(map(_source, sources)))
    id_kind = getattr(module, "ID_KIND", "image")
    if id_kind == "sample":
        if not samples:
            raise ConfigError(f"{kind} needs --samples, whose order the file has")
        targets = [Target(s.id, (s.id, *s.tokens)) for split in samples for s in split]
        imported = module.read(sources, samples, chosen)
    else:
        if images is None:
            raise ConfigError(f"{kind} needs --images, the manifest whose ids the store gets")
        targets = [
            Target(row.image_id, (row.image_id, row.sha256), (row.height, row.width))
            for row in images
        ]
        imported = module.read(sources, images, chosen)
    counts = _write_store(imported, targets, out, origin, id_kind)
    return {"import": kind, **counts, **imported.notes}


def _source(path: Path) -> dict[str, str]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        names = [[file.relative_to(path).as_posix(), file_sha256(file)] for file in files]
        return {"name": plain_name(path), "sha256": digest(names)}
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file or folder. Check --source.")
    return {"name": plain_name(path), "sha256": file_sha256(path)}


def _write_store(
    imported: Imported, targets: Sequence[Target], out: Path, origin: Origin, id_kind: str
) -> dict[str, Any]:
    """Write a shard a block, merge them and return counts.

    Raises:
        BusyError: another process is making `out`.
    """
    from extract.core.provenance import code_version, package_versions
    from extract.store import merge_shards

    provenance = {
        "code": code_version(),
        "import": {**asdict(origin), "fingerprint": origin.fingerprint},
        "packages": package_versions(),
    }
    status, n_rows, shards = Counter(dict.fromkeys(STATUS, 0)), 0, []
    with only_process(out), _work_folder(out) as folder:
        for number, block in enumerate(_blocks(imported, targets)):
            shards.append(folder / f"{number:05d}.h5")
            _write_shard(shards[-1], block, imported, origin, id_kind, provenance)
            status.update(STATUS_NAMES[result.status] for _, result in block)
            n_rows += sum(result.n_rows for _, result in block)
        # Under another name, for merging takes the lock of what it makes.
        merge_shards(shards, folder / out.name, ids=[target.id for target in targets])
        os.replace(folder / out.name, out)
    return {"items": len(targets), "rows": n_rows, "status": dict(status)}


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder beside `out` that goes at the end; the caller holds the lock."""
    folder = out.with_name(out.name + ".partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _blocks(
    imported: Imported, targets: Sequence[Target]
) -> Iterator[list[tuple[Target, ItemFeatures]]]:
    """Yield (target, result) in lists of bounded length; at least one list, maybe empty."""
    size = max(_MIN_BLOCK, math.ceil(len(targets) / _MAX_SHARDS))
    pairs = zip(targets, imported.items, strict=True)
    block = list(islice(pairs, size))
    while True:
        yield block
        block = list(islice(pairs, size))
        if not block:
            return


def _write_shard(
    path: Path,
    block: Sequence[tuple[Target, ItemFeatures]],
    imported: Imported,
    origin: Origin,
    id_kind: str,
    provenance: Mapping[str, Any],
) -> None:
    from extract.store import FeatureWriter, Header

    for target, result in block:
        _check_boxes(target, result, origin.kind)
        for text in result.text or ():
            as_text(text, f"{origin.kind}, {id_kind} '{target.id}'")
    header = Header(
        fingerprint=origin.fingerprint,
        outputs=imported.outputs,
        ids=tuple(target.id for target, _ in block),
        input_sha256=tuple(_checksum(target, result) for target, result in block),
        image_size=np.array([t.image_size for t, _ in block], np.int32).reshape(-1, 2),
        id_kind=id_kind,
    )
    writer = FeatureWriter(path.with_suffix(".parts"), header)
    if block:
        writer.append([result for _, result in block])
    writer.finish(path, dict(provenance))


def _checksum(target: Target, result: ItemFeatures) -> str:
    """Return the checksum of what the file holds for an item, and of the item's identity."""
    words = [target.identity, result.status, result.reason, list(result.text or ())]
    total = hashlib.sha256(canonical(words).encode())
    for name in _ARRAYS:
        values = getattr(result, name)
        if values is not None:
            total.update(f"\0{name} {values.dtype} {values.shape}\0".encode())
            total.update(np.ascontiguousarray(values))
    return total.hexdigest()


def _check_boxes(target: Target, result: ItemFeatures, kind: str) -> None:
    """Refuse boxes of another picture: what `verify` would refuse in the store.

    Raises:
        DataError: a box lies wholly outside the image, or its corners are out of order.
    """
    height, width = target.image_size
    for box in () if result.boxes is None else result.boxes:
        x1, y1, x2, y2 = map(float, box)
        if not (x1 <= x2 and y1 <= y2):
            raise DataError(
                f"{kind}, image '{target.id}': the corners of box {box} are not in order"
            )
        if height and (x2 < 0 or y2 < 0 or x1 > width or y1 > height):
            raise DataError(
                f"{kind}, image '{target.id}': box {box.tolist()} lies outside the image of "
                f"{width} x {height} pixels. Is the file of other (or resized) images?"
            )
