"""Rows of earlier runs that are still right: found by what they were computed from, and copied.

The rows of an item depend on the spec and on the item's inputs alone. They are therefore looked up
by the checksum of the inputs, whatever the id of the item was and in whatever shard it stood.

Besides an earlier merged file there are the rows of runs that never came to be merged. They are
kept beside their shards until a merge has taken them all over: in `<set>.kept/` the finished
shards (as further names of the same files, for Snakemake deletes a shard that it makes again) and
the parts that a shard under construction could not be continued from, and in `<shard>.partial/`
those of another shard count.
"""

import itertools
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from extract.errors import StoreError
from extract.extractors.base import ItemFeatures
from extract.lock import lock_file
from extract.manifest import STATUS, ImageRow
from extract.store import FeatureStore, Header
from extract.store.checksums import changed_datasets
from extract.store.format import ALL_COLUMNS, DAMAGED, as_stored, open_checked

logger = logging.getLogger(__name__)

_SHARD = re.compile(r"(?P<set>.+)\.\d+-of-(?P<count>\d+)\.h5(?P<partial>\.partial)?")

# Each open store takes a few file descriptors; neighbours in the manifest lie in one file.
_OPEN_STORES = 8


class EarlierRows:
    """The rows that earlier files hold for the items of a shard.

    Args:
        files: earlier feature files, the most trusted first; missing ones are passed over.
        header: of the shard; only files of its spec are used.
        rows: lines of images.tsv of the shard's items, in the same order.
    """

    def __init__(self, files: Iterable[Path], header: Header, rows: Sequence[ImageRow]) -> None:
        self._header = header
        # A good image that failed once, for a time limit say, is tried again.
        sums = header.input_sha256
        self._tried_again = {s for row, s in zip(rows, sums, strict=True) if row.status == "ok"}
        self._places: dict[str, tuple[Path, str]] = {}
        self._store = lru_cache(maxsize=_OPEN_STORES)(FeatureStore)
        wanted = set(sums)
        for path in files:
            if not wanted:
                break
            if path.is_file():
                found = self._find(path, wanted)
                self._places.update(found)
                wanted -= found.keys()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, input_sha256: str) -> ItemFeatures | None:
        """Return the rows that were computed from these inputs, None where there are none."""
        place = self._places.get(input_sha256)
        if place is None:
            return None
        path, image_id = place
        try:
            item = self._store(path).item(image_id)
        except (StoreError, *DAMAGED) as error:
            logger.warning("%s: item '%s' is computed anew: %s", path, image_id, error)
            return None
        columns = {name: getattr(item, name) for name in ALL_COLUMNS}
        return ItemFeatures(**columns, status=item.status, reason=item.reason)

    def _find(self, path: Path, wanted: set[str]) -> dict[str, tuple[Path, str]]:
        """Return checksum of inputs -> file and id, for those of `wanted` that a file holds."""
        header = self._header
        try:
            with FeatureStore(path) as store:
                own = header.fingerprint, as_stored(header.outputs)
                if (store.fingerprint, store.outputs) != own:
                    logger.info("%s is of another spec: nothing is reused", path)
                    return {}
                found = {
                    checksum: (path, image_id)
                    for image_id, checksum in store.input_sha256().items()
                    if checksum in wanted and not self._is_tried_again(checksum, store, image_id)
                }
            # Else damage would be copied, and get a checksum of its own.
            with open_checked(path) as file:
                changed = changed_datasets(file) if found else []
        except (StoreError, *DAMAGED) as error:
            logger.warning("nothing is reused: %s", error)
            return {}
        if changed:
            logger.warning("%s: nothing is reused: %s", path, changed[0])
        return {} if changed else found

    def _is_tried_again(self, checksum: str, store: FeatureStore, image_id: str) -> bool:
        failed = store.status_of(image_id) == STATUS["unreadable"]
        return failed and checksum in self._tried_again


def kept_folder(shard: Path) -> Path | None:
    """Return the folder of what is kept of a feature set; None for a file that is no shard."""
    match = _SHARD.fullmatch(shard.name)
    return shard.with_name(f"{match['set']}.kept") if match else None


def unmerged_files(shard: Path) -> Iterator[Path]:
    """Yield the files of runs that were not merged, of the shard's feature set."""
    folder = kept_folder(shard)
    if folder is None:
        return
    for place in (folder, *_partials_of_other_counts(shard)):
        yield from sorted(place.glob("*.h5"))


def keep_part(part: Path, shard: Path) -> None:
    """Move a part that its shard cannot be continued from to the kept files."""
    target = _free_name(shard, part.stem)
    if target is None:
        part.unlink()
    else:
        os.replace(part, target)


def keep_finished(shard: Path) -> None:
    """Give a finished shard one more name among the kept files."""
    try:
        target = _free_name(shard, "finished")
        if target is not None:
            os.link(shard, target)
    except OSError as error:
        # Without hard links, as on some network file systems, a copy would double the space.
        logger.debug("%s is not kept for reuse: %s", shard, error)


def forget_unmerged(shards: Iterable[Path]) -> None:
    """Remove what was kept of a feature set: its merged file holds all of it."""
    shards = list(shards)
    folders = {kept_folder(shard) for shard in shards} - {None}
    folders |= {folder for shard in shards for folder in _partials_of_other_counts(shard)}
    for folder in sorted(folder for folder in folders if folder.is_dir()):
        logger.info("%s is merged or out of use: removed", folder)
        shutil.rmtree(folder, ignore_errors=True)
        # Of a killed process that made the shard.
        lock_file(folder.with_suffix("")).unlink(missing_ok=True)


def _partials_of_other_counts(shard: Path) -> list[Path]:
    """Return the folders of shards under construction that another shard count left."""
    own = _SHARD.fullmatch(shard.name)
    matches = [(path, _SHARD.fullmatch(path.name)) for path in shard.parent.glob("*.partial")]
    return sorted(
        path
        for path, match in matches
        if own and match and match["set"] == own["set"] and match["count"] != own["count"]
    )


def _free_name(shard: Path, what: str) -> Path | None:
    """Return a path among the kept files that is not taken; shards do not take each other's."""
    folder = kept_folder(shard)
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    names = (f"{shard.stem}.{what}.{number}.h5" for number in itertools.count())
    return next(folder / name for name in names if not (folder / name).exists())
