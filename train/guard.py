"""The test split is held out of training: the process that trains cannot open it.

While `training_guard` is entered, an audit hook of the interpreter (PEP 578) refuses to open, to
rename or link, and to hand to another program,

- every `.jsonl` file beside train.jsonl and valid.jsonl, under whatever name links lead to it;
- files that are named as test splits or as their predictions and scores (`HELD_OUT`), anywhere.

Forked processes, such as those that read features ahead, inherit the hook. What a C library opens
by itself raises no audit event: feature stores are such files, and hold no tags.
"""

import fnmatch
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from extract.errors import HeldOutError
from extract.manifest import SPLITS

HELD_OUT = (
    *(f"test.{suffix}" for suffix in ("jsonl", "json", "txt", "conll", "tsv")),
    "predictions*.conll",
    "predictions*.jsonl",
    "metrics.json",
    "best_test.json",
)
"""Patterns of file names."""

LEARNED_FROM = tuple(f"{split}.jsonl" for split in SPLITS if split != "test")

_FILE_EVENTS = frozenset({"open", "os.rename", "os.link", "os.symlink"})
_PROCESS_EVENTS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"})

_entered: list["_HeldOut"] = []


class _HeldOut:
    """What one training may not open.

    Args:
        samples_dir: folder of train.jsonl and valid.jsonl.
    """

    def __init__(self, samples_dir: Path) -> None:
        self.folder = os.path.realpath(samples_dir)
        siblings = Path(self.folder).glob("*.jsonl")
        self.inodes = {_inode(path) for path in siblings if path.name not in LEARNED_FROM}

    def holds(self, path: str) -> bool:
        """True when a path, or where its links lead, is held out."""
        target = os.path.realpath(path)
        folder, name = os.path.split(target)
        is_sibling = folder == self.folder and name.endswith(".jsonl") and name not in LEARNED_FROM
        return is_sibling or _is_named(path) or _is_named(name) or _inode(target) in self.inodes


@contextmanager
def training_guard(samples_dir: Path) -> Iterator[None]:
    """Refuse what is held out of a training, for the whole process, until it is left.

    Args:
        samples_dir: folder of train.jsonl and valid.jsonl.

    Raises:
        HeldOutError: inside, from whatever tries to open such a file.
    """
    _add_hook()
    _entered.append(_HeldOut(samples_dir))
    try:
        yield
    finally:
        _entered.pop()


@cache
def _add_hook() -> None:
    """Add the hook, once: an audit hook stays until the process ends."""
    sys.addaudithook(_look)


def _look(event: str, args: tuple[Any, ...]) -> None:
    """Refuse an event that would open what is held out."""
    if not _entered:
        return
    if event in _FILE_EVENTS and isinstance(args[0], (str, bytes, os.PathLike)):
        path = os.fsdecode(args[0])
        if any(held.holds(path) for held in _entered):
            raise _refusal(path)
    elif event in _PROCESS_EVENTS:
        for word in _words(args):
            if _is_named(word):
                raise _refusal(word)


def _refusal(path: str) -> HeldOutError:
    return HeldOutError(
        f"{path}: held out of training, which opens {' and '.join(LEARNED_FROM)} alone. The test "
        "split is scored by `python -m train evaluate`, from the finished run. Take what the model "
        "needs from the samples that `fit` gives it."
    )


def _is_named(path: str) -> bool:
    name = os.path.basename(path)
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in HELD_OUT)


def _inode(path: str | Path) -> tuple[int, int] | None:
    """Return what is one for all hard links of a file; None for a file that is not there."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a null character in the path
        return None
    return found.st_dev, found.st_ino


def _words(args: tuple[Any, ...]) -> Iterator[str]:
    """Yield the words of a command; its environment is left out."""
    for value in args[:2]:
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, (str, bytes, os.PathLike)):
                yield from re.split(r"[\s'\"=<>|;&()]+", os.fsdecode(part))
