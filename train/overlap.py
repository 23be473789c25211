"""No training on a corpus whose held-out tweets stand in what is learned from."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from extract.audit.overlap import describe_overlaps, refuse_overlap
from extract.errors import DataError, MissingFileError
from extract.manifest import SPLITS, read_samples

MAX_OVERLAP = 0.02
"""Largest share, 0-1, of test in train or valid, and of valid in train."""


def check_splits(samples_dir: Path, max_share: float) -> None:
    """Compare the splits of a folder in a process of its own: this one does not open test.

    Args:
        samples_dir: folder of train.jsonl, valid.jsonl and, where it is there, test.jsonl.
        max_share: see `extract.audit.overlap.refuse_overlap`.

    Raises:
        DataError: a share is larger, or two splits are equal; the message names the tweets.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(_compare, Path(samples_dir), max_share).result()


def check_result(path: Path) -> None:
    """See that a file is what `python -m extract check-overlap` writes where it lets a corpus pass.

    Raises:
        DataError: it is not.
        MissingFileError: there is none.
    """
    if not Path(path).is_file():
        raise MissingFileError(
            f"{path}: no such file. `python -m extract check-overlap` writes it, unless the splits "
            "overlap."
        )
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        too_much = [pair for pair in found["overlap"] if pair["share"] > found["max_overlap"]]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not what `check-overlap` writes ({error!r}).") from error
    if too_much:
        raise DataError(
            f"{path}: expected shares of at most {found['max_overlap']}, got {too_much}. Run "
            "`python -m extract check-overlap` again."
        )


def _compare(samples_dir: Path, max_share: float) -> None:
    files = {split: samples_dir / f"{split}.jsonl" for split in SPLITS}
    splits = {split: read_samples(path) for split, path in files.items() if path.is_file()}
    command = f"`python -m extract audit {samples_dir.parent} --json`"
    refuse_overlap(describe_overlaps(splits), max_share, listed_in=command)
