"""One manifest row for every image id: the file is found, read, and decoded once."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

from extract.core.logs import Progress
from extract.images.decode import ImageProbe
from extract.images.files import UnreadableImage, image_file_sha256
from extract.images.folder import ImageFolder
from extract.images.limits import ImageLimits
from extract.images.probe_cache import ProbeCache
from extract.images.probe_pool import ProbePool
from extract.tables.images_table import ImageRow, pack_images

logger = logging.getLogger(__name__)

_AHEAD = 1024
"""Images in the queue of the workers: a million at once would take the memory."""


def probe_folder(
    image_ids: Sequence[str],
    folder: Path,
    workers: int,
    *,
    limits: ImageLimits | None = None,
    cache: Path | None = None,
) -> Sequence[ImageRow]:
    """Return one row an image id, in their order, whatever the number of workers.

    Args:
        image_ids: each once.
        folder: that holds the images.
        workers: decoding processes at a time.
        limits: of one image.
        cache: file that keeps what is known (extract/images/probe_cache.py).

    Raises:
        MissingFileError: the folder is not there.
    """
    limits = limits or ImageLimits()
    files = ImageFolder(folder, follow_links=limits.follow_links)
    known = ProbeCache(cache, limits)
    summary = _Summary()
    with ProbePool(limits) as pool, ThreadPoolExecutor(max_workers=max(1, workers)) as threads:
        prober = _Prober(files, known, pool)
        try:
            rows = pack_images(map(summary.add, _iter_rows(image_ids, prober, threads)))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            known.save()
            raise
    known.save(used_only=True)
    summary.log(len(prober.reused))
    return rows


def _iter_rows(
    image_ids: Sequence[str], prober: "_Prober", threads: ThreadPoolExecutor
) -> Iterator[ImageRow]:
    progress = Progress("decode", len(image_ids))
    for first in range(0, len(image_ids), _AHEAD):
        for row in threads.map(prober.row_of, image_ids[first : first + _AHEAD]):
            yield row
            progress.update(1)


class _Prober:
    """Looks at one image at a time; safe from any thread."""

    def __init__(self, files: ImageFolder, known: ProbeCache, pool: ProbePool) -> None:
        self.files, self.known, self.pool = files, known, pool
        self.reused: list[str] = []
        """Ids of images that were not decoded; a list, to which any thread may append."""

    def row_of(self, image_id: str) -> ImageRow:
        """Return the manifest row of one image."""
        path = None
        try:
            path = self.files.find(image_id)
            if path is None:
                reason = "no file of this name in the folder"
                return ImageRow(image_id, "", "", 0, 0, "missing", reason)
            self.files.refuse_outside(path)
            probe = self._known(image_id, path) or self._decode(path)
        except UnreadableImage as error:
            place = path.as_posix() if path else ""
            return ImageRow(image_id, place, "", 0, 0, "unreadable", str(error))
        return ImageRow(image_id, path.as_posix(), probe.sha256, probe.height, probe.width, "ok")

    def _known(self, image_id: str, path: Path) -> ImageProbe | None:
        """Return what is known of a file's bytes, which are read for it."""
        if not len(self.known):
            return None
        sha256 = image_file_sha256(path, max_bytes=self.pool.limits.max_bytes)
        probe = self.known.get(sha256)
        if probe is not None:
            self.reused.append(image_id)
        return probe

    def _decode(self, path: Path) -> ImageProbe:
        probe = self.pool.probe(path)
        self.known.add(probe)
        return probe


class _Summary:
    """What the rows say together."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.renamed: list[str] = []
        """Ids that their file writes differently."""

    def add(self, row: ImageRow) -> ImageRow:
        """Count a row, and return it."""
        self.counts[row.status] += 1
        if row.path and not PurePath(row.path).name.startswith(row.image_id):
            self.renamed.append(row.image_id)
        return row

    def log(self, n_reused: int) -> None:
        """Write the lines about all rows."""
        looked_at = self.counts.total() - self.counts["missing"]
        counts = sorted(self.counts.items())
        logger.info(
            "images: %d decoded, %d known from an earlier run; %s",
            looked_at - n_reused,
            n_reused,
            ", ".join(f"{count} {status}" for status, count in counts) or "none",
        )
        if self.renamed:
            logger.info(
                "%d ids stand for a file that writes their accents differently: %s",
                len(self.renamed), ", ".join(map(ascii, self.renamed[:5])),
            )  # fmt: skip
