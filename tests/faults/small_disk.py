"""A file system of a few hundred kilobytes, mounted for one case."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoSmallDisk(Exception):
    """Mounting is not permitted here; the text says what the system answered."""


class SmallDisk:
    """A mounted tmpfs.

    Args:
        folder: its mount point.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remount(self, *options: str) -> None:
        """Change size or writability."""
        _call("mount", "-o", ",".join(("remount", *options)), str(self.folder))


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """Mount a tmpfs of a size such as `300k` while the block runs.

    Raises:
        NoSmallDisk: mounting is not permitted.
    """
    folder.mkdir(parents=True)
    _call("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _call("umount", str(folder))


def _call(*command: str) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoSmallDisk(str(error)) from error
    if result.returncode:
        raise NoSmallDisk(result.stderr.strip())
