"""No training on a corpus whose held-out tweets stand in what is learned from."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from extract.core.errors import DataError
from extract.corpora.audit.fingerprint import fingerprint
from extract.corpora.audit.overlap import describe_overlaps, refuse_overlap
from extract.corpora.audit.overlap_file import Comparison, read_overlap
from extract.tables.samples import SPLITS, read_samples
from train.training.held_out import LEARNED_FROM


def check_splits(samples_dir: Path, max_share: float) -> None:
    """Compare the splits of a folder in a process of its own: this one does not open test.

    Args:
        samples_dir: folder of train.jsonl, valid.jsonl and, where it is there, test.jsonl.
        max_share: see `extract.corpora.audit.overlap.refuse_overlap`.

    Raises:
        DataError: a share is larger, or two splits are equal; the message names the tweets.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(_compare, Path(samples_dir), max_share).result()


def check_result(path: Path, samples_dir: Path) -> None:
    """See that a file lets these samples pass: what `python -m extract check-overlap` writes.

    Its fingerprints of train and valid must be those of the samples. The one of test is not looked
    at, because test is not opened.

    Args:
        path: overlap.json, see `extract.corpora.audit.overlap_file`.
        samples_dir: folder of train.jsonl and valid.jsonl.

    Raises:
        DataError: it is no such file, of another corpus, or its splits overlap.
        MissingFileError: there is none.
    """
    found, max_share = read_overlap(Path(path))
    refuse_overlap(found.pairs, max_share, listed_in="`overlap` in the audit of the corpus")
    _check_corpus(found, Path(path), Path(samples_dir))


def _check_corpus(found: Comparison, path: Path, samples_dir: Path) -> None:
    remedy = "Run `python -m extract check-overlap` on an audit of this corpus."
    for name in LEARNED_FROM:
        samples = samples_dir / name
        expected, got = fingerprint(read_samples(samples)), found.fingerprints[samples.stem]
        if got != expected:
            raise DataError(
                f"{path}: made for another corpus: expected the fingerprint of {samples}, "
                f"{expected}, got {got}. {remedy}"
            )
    test = samples_dir / "test.jsonl"
    if test.is_file() and test.stem not in found.fingerprints:
        raise DataError(f"{path}: made without test, but there is {test}. {remedy}")


def _compare(samples_dir: Path, max_share: float) -> None:
    files = {split: samples_dir / f"{split}.jsonl" for split in SPLITS}
    splits = {split: read_samples(path) for split, path in files.items() if path.is_file()}
    command = f"`python -m extract audit {samples_dir.parent} --json`"
    refuse_overlap(describe_overlaps(splits), max_share, listed_in=command)
