"""The test split is held out of training: the process that trains cannot open it.

While `training_guard` is entered, an audit hook of the interpreter (PEP 578) refuses to open, to
rename or link, and to name in a command,

- every `.jsonl` file beside train.jsonl and valid.jsonl, under whatever name links lead to it;
- files that are named as test splits or as their predictions and scores (`HELD_OUT`), anywhere.

It stops a mistake, not somebody who means to get around it. Out of its sight are

- what a program that is started opens without being told the file by name: a shell that expands
  `t*.jsonl`, a script that puts a path together;
- a path relative to an open folder (`dir_fd=`), unless it is named as in `HELD_OUT`;
- another interpreter, such as a worker that is spawned; forked processes, such as those that read
  features ahead, inherit the hook;
- what a C library opens by itself: feature stores are such files, and hold no tags.
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

from extract.core.errors import HeldOutError
from extract.tables.samples import SPLITS

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
_GAPS = re.compile(r"[\s'\"=<>|;&()]+")

_entered: list["_HeldOut"] = []


class _HeldOut:
    """What one training may not open.

    Args:
        samples_dir: folder of train.jsonl and valid.jsonl.
    """

    def __init__(self, samples_dir: Path) -> None:
        self.folder = os.path.realpath(samples_dir)
        siblings = Path(self.folder).glob("*.jsonl")
        found = {_inode(path) for path in siblings if path.name not in LEARNED_FROM}
        self.inodes = found - {None}  # a link that leads nowhere

    def holds(self, path: str) -> bool:
        """True when a path, or where its links lead, is held out."""
        if "\0" in path:  # no path; a word of a command may be anything
            return False
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
        paths = iter([os.fsdecode(args[0])])
    elif event in _PROCESS_EVENTS:
        paths = _words(event, args)
    else:
        return
    for path in paths:
        if any(held.holds(path) for held in _entered):
            raise _refusal(path)


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


def _words(event: str, args: tuple[Any, ...]) -> Iterator[str]:
    """Yield what may be a path in a command, seen from here; its environment is left out."""
    # subprocess.Popen tells its folder third.
    folder = os.fsdecode(args[2] or "") if event == "subprocess.Popen" else ""
    for value in args[:2]:
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(part, (str, bytes, os.PathLike)):
                text = os.fsdecode(part)
                for word in (text, *_GAPS.split(text)):
                    yield os.path.join(folder, word)
