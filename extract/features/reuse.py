"""Rows of earlier runs that are still right: found by what they were computed from, and copied.

The rows of an item depend on the spec and on the item's inputs alone. They are therefore looked up
by the checksum of the inputs, whatever the id of the item was and in whatever shard it stood.

Besides an earlier merged file there are the rows of runs that never came to be merged. They are
kept beside their shards until a merge has taken them all over: in `<set>.kept/` the finished
shards (as further names of the same files, for Snakemake deletes a shard that it makes again) and
the parts that a shard under construction could not be continued from, and in `<shard>.partial/`
those of another shard count.

Runs that are never merged, one option tried after the other, must not fill the disk: of a shard
are kept the newest finished file and older ones, the newest first, up to twice its size. Going back
to one of the last two options thus costs nothing, to one from long ago all of it.
"""

import errno
import glob
import itertools
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from extract.core.errors import BusyError, MissingFileError, StoreError
from extract.core.files import only_process
from extract.core.system import NamedSystemError
from extract.store import FeatureStore, Header
from extract.store.checksums import changed_datasets
from extract.store.format import ALL_COLUMNS, as_stored, reading
from extract.store.opening import open_checked
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, ItemFeatures

logger = logging.getLogger(__name__)

_SHARD = re.compile(r"(?P<set>.+)\.\d+-of-(?P<count>\d+)\.h5(?P<partial>\.partial)?")

# Each open store takes a few file descriptors; neighbours in the manifest lie in one file.
_OPEN_STORES = 8

# Of what is kept of a shard beside its newest file, in sizes of that.
_OLDER_COPIES = 2

# A file that is damaged, that another process removed, or that the system refuses to read.
_UNUSABLE = (StoreError, MissingFileError, OSError)

# These are no matter of the file: every other one would be given up as well.
_OF_THE_PROCESS = {errno.EMFILE, errno.ENFILE}


class EarlierRows:
    """The rows that earlier files hold for the items of a shard.

    Args:
        files: earlier feature files, the most trusted first; missing ones are passed over.
        header: of the shard; only files of its spec are used.
        rows: lines of images.tsv of the shard's items, in the same order.

    Raises:
        OSError: as `get`.
    """

    def __init__(self, files: Iterable[Path], header: Header, rows: Sequence[ImageRow]) -> None:
        self._header = header
        # A good image that failed once, for a time limit say, is tried again.
        sums = header.input_sha256
        self._tried_again = {s for row, s in zip(rows, sums, strict=True) if row.status == "ok"}
        self._places: dict[str, tuple[Path, str]] = {}
        self._identities: dict[Path, tuple[int, ...]] = {}
        self._given_up: set[Path] = set()
        self._store = lru_cache(maxsize=_OPEN_STORES)(_open_same)
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
        """Return the rows that were computed from these inputs, None where there are none.

        Raises:
            OSError: this process may open no more files, or write no temporary ones.
        """
        place = self._places.get(input_sha256)
        if place is None or place[0] in self._given_up:
            return None
        path, image_id = place
        try:
            with reading(path):
                item = self._store(path, self._identities[path]).item(image_id)
        except _UNUSABLE as error:
            _raise_if_of_another_cause(error, path)
            logger.warning("%s: item '%s' is computed anew: %s", path, image_id, error)
            if not isinstance(error, StoreError):
                # Each try may take a file server its time.
                logger.warning("%s: nothing more is reused from it", path)
                self._given_up.add(path)
            return None
        columns = {name: getattr(item, name) for name in ALL_COLUMNS}
        return ItemFeatures(**columns, status=item.status, reason=item.reason)

    def _find(self, path: Path, wanted: set[str]) -> dict[str, tuple[Path, str]]:
        """Return checksum of inputs -> file and id, for those of `wanted` that a file holds."""
        header = self._header
        try:
            with reading(path), FeatureStore(path) as store:
                own = header.fingerprint, as_stored(header.outputs)
                if (store.fingerprint, store.outputs) != own:
                    logger.info("%s is of another spec: nothing is reused", path)
                    return {}
                self._identities[path] = store.identity
                found = {
                    checksum: (path, image_id)
                    for image_id, checksum in store.input_sha256().items()
                    if checksum in wanted and not self._is_tried_again(checksum, store, image_id)
                }
            # Else damage would be copied, and get a checksum of its own.
            with reading(path), open_checked(path) as file:
                changed = changed_datasets(file) if found else []
        except _UNUSABLE as error:
            _raise_if_of_another_cause(error, path)
            logger.warning("nothing is reused: %s", error)
            return {}
        if changed:
            logger.warning("%s: nothing is reused: %s", path, changed[0])
        return {} if changed else found

    def _is_tried_again(self, checksum: str, store: FeatureStore, image_id: str) -> bool:
        failed = store.status_of(image_id) == STATUS["unreadable"]
        return failed and checksum in self._tried_again


def _open_same(path: Path, identity: tuple[int, ...]) -> FeatureStore:
    """Open the file that was looked through.

    Raises:
        MissingFileError: another one took its place, whose rows are of other inputs.
    """
    store = FeatureStore(path)
    if store.identity != identity:
        store.close()
        raise MissingFileError(f"{path}: was replaced since its items were looked up")
    return store


def _raise_if_of_another_cause(error: Exception, path: Path) -> None:
    """Raise what is no matter of an earlier file: of the process, or of its temporary files."""
    is_of_the_process = isinstance(error, OSError) and error.errno in _OF_THE_PROCESS
    names_another = isinstance(error, NamedSystemError) and error.filename != str(path)
    if is_of_the_process or names_another:
        raise error


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
    """Give a finished shard one more name among the kept files, and remove the oldest of these.

    Args:
        shard: its lock is held.
    """
    try:
        older = _kept_files(shard)
        target = _free_name(shard, "finished")
        if target is not None:
            os.link(shard, target)
            _remove_superseded(older, shard)
    except OSError as error:
        # Without hard links, as on some network file systems, a copy would double the space.
        logger.debug("%s is not kept for reuse: %s", shard, error)


def forget_unmerged(shards: Iterable[Path]) -> None:
    """Remove what was kept of a feature set: its merged file holds all of it.

    What another process is building, for another shard count, stays.
    """
    shards = list(shards)
    for folder in sorted({kept_folder(shard) for shard in shards} - {None}):
        _forget(folder)
    for partial in sorted({p for shard in shards for p in _partials_of_other_counts(shard)}):
        try:
            with only_process(partial.with_suffix("")):
                _forget(partial)
        except BusyError:
            logger.info("%s stays: another process is building it", partial)
        except OSError as error:
            # The merged file is written: this is no reason to fail.
            logger.info("%s stays: %s", partial, error)


def _forget(folder: Path) -> None:
    if folder.is_dir():
        logger.info("%s is merged or out of use: removed", folder)
        shutil.rmtree(folder, ignore_errors=True)


def _kept_files(shard: Path) -> list[Path]:
    """Return what is kept of a shard, the newest first."""
    folder = kept_folder(shard)
    found = [] if folder is None else folder.glob(f"{glob.escape(shard.stem)}.*.h5")
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def _remove_superseded(older: Iterable[Path], shard: Path) -> None:
    """Remove, of files listed from the newest on, those with the shard's items and the rest."""
    room, own = _OLDER_COPIES * shard.stat().st_size, _identity(shard)
    for path in older:
        try:
            is_same = _identity(path) == own
        except StoreError:
            is_same = True  # a damaged file is of no use
        size = path.stat().st_size
        if is_same or size > room:
            logger.info("%s is no longer kept: %s was made since", path, shard)
            path.unlink()
        else:
            room -= size


def _identity(path: Path) -> tuple[str, str]:
    """Return what tells whether two files hold rows of the same spec, items and inputs."""
    with reading(path), open_checked(path) as file:
        return file.attrs["fingerprint"], file.attrs["ids_sha256"]


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
