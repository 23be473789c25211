"""A file system of a few hundred kilobytes, mounted for one case."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.checks import Broken

UNMOUNT_ATTEMPTS = 10
PAUSE_S = 0.2


class NoSmallDisk(Exception):
    """Mounting is not permitted here; the text says what the system answered."""


class SmallDisk:
    """A mounted tmpfs.

    Args:
        folder: its mount point.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def used(self) -> int:
        """Bytes that files take."""
        found = os.statvfs(self.folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def remount(self, *options: str) -> None:
        """Change size or writability.

        Raises:
            Broken: the system refused.
        """
        _call("mount", "-o", ",".join(("remount", *options)), str(self.folder))


def require_small_disks(folder: Path) -> None:
    """See whether a disk can be mounted in a folder.

    Raises:
        NoSmallDisk: mounting is not permitted.
    """
    folder.mkdir(parents=True)
    try:
        _call("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder))
    except (OSError, Broken) as error:
        raise NoSmallDisk(str(error)) from error
    _unmount(folder)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """Mount a tmpfs of a size such as `300k` while the block runs.

    Raises:
        Broken: it cannot be mounted or unmounted.
    """
    folder.mkdir(parents=True)
    _call("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _unmount(folder)


def mounts_below(folder: Path) -> list[Path]:
    """Return what is mounted at a folder or below it."""
    table = Path("/proc/self/mounts")
    if not table.is_file():
        return []
    lines = table.read_text(encoding="utf-8").splitlines()
    # Blanks in the name are written as \040.
    points = [Path(line.split()[1].replace("\\040", " ")) for line in lines]
    return [point for point in points if point.is_relative_to(folder.resolve())]


def _unmount(folder: Path) -> None:
    """Unmount, at worst without waiting for those who still have files open."""
    for _ in range(UNMOUNT_ATTEMPTS):
        try:
            return _call("umount", str(folder))
        except Broken:
            time.sleep(PAUSE_S)
    return _call("umount", "-l", str(folder))


def _call(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise Broken(f"{' '.join(command)}: {result.stderr.strip()}")
