"""Raw corpus -> samples, image manifest and counts: the first stage of every run."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from extract.core.errors import DataError, MissingFileError
from extract.core.files import write_json
from extract.core.registry import load_module
from extract.corpora.readers.base import TextSettings
from extract.corpora.repairs.apply import apply_repairs
from extract.corpora.repairs.effect import describe_effect
from extract.corpora.repairs.format import Repairs, read_repairs
from extract.corpora.statistics import describe_split
from extract.images.limits import ImageLimits
from extract.images.probe import probe_folder
from extract.tables.images_table import ImageRow, pack_images, write_images
from extract.tables.samples import Sample, pack_samples, write_samples
from extract.tables.text_index import distinct
from extract.tables.text_lines import iter_text_lines

logger = logging.getLogger(__name__)


def prepare_dataset(
    reader: str,
    root: Path,
    out: Path,
    *,
    settings: TextSettings,
    splits: Sequence[str],
    image_folder: Path | None,
    evidence: Path | None,
    max_bad_images: float,
    check_counts: bool,
    workers: int,
    limits: ImageLimits | None = None,
    repairs: Path | None = None,
) -> None:
    """Write `samples/{split}.jsonl`, `images.tsv` and `stats.json` under `out`.

    Beside them `probes.tsv` keeps what is known of the images, so that the next run decodes new
    ones only.

    No `splits` stands for all that the reader has. With `repairs`, a file of label corrections,
    samples also have `repaired_tags` where it changes them, and `stats.json` says what it changes.

    Raises:
        DataError: the text breaks its format, counts differ from the known copy, the corrections
            are for another corpus, or more than the fraction `max_bad_images` of the images is
            missing or unreadable.
        MissingFileError: a split file or the image folder is absent.
    """
    module = load_module("extract.corpora.readers", reader)
    splits = splits or tuple(module.SPLIT_FILES)
    # Packed: a large corpus has millions of tokens.
    corpus: dict[str, Sequence[Sample]] = {
        split: pack_samples(module.iter_samples(root, split, settings)) for split in splits
    }
    if evidence is not None:
        corpus = join_evidence(corpus, read_evidence(evidence))
    images = list_images(
        corpus.values(), image_folder, workers, limits=limits, cache=out / "probes.tsv"
    )
    stats = describe(corpus, images, usual="no_images" if image_folder is None else "ok")
    if repairs is not None:
        corpus = repair(corpus, read_repairs(repairs), stats)
    compare_counts(stats, module.EXPECTED, reader, strict=check_counts)
    # The list of bad images is the only thing that a refused corpus leaves behind.
    bad = [row for row in images if row.status in ("missing", "unreadable")]
    write_images(out / "bad_images.tsv", bad)
    refuse_too_many_bad(bad, len(images), max_bad_images, out / "bad_images.tsv")
    write_corpus(out, corpus, images, stats)


def describe(
    corpus: Mapping[str, Sequence[Sample]], images: Iterable[ImageRow], *, usual: str
) -> dict[str, Any]:
    """Return split -> counts; `usual` is the status of most images, which takes no memory."""
    unusual = {row.image_id: row.status for row in images if row.status != usual}
    return {
        split: describe_split(samples, lambda image_id: unusual.get(image_id, usual))
        for split, samples in corpus.items()
    }


def write_corpus(
    out: Path,
    corpus: Mapping[str, Sequence[Sample]],
    images: Iterable[ImageRow],
    stats: Mapping[str, Any],
) -> None:
    """Write the samples of each split, the images and the counts."""
    for split, samples in corpus.items():
        write_samples(out / "samples" / f"{split}.jsonl", samples)
    write_images(out / "images.tsv", images)
    write_json(out / "stats.json", stats)
    for split, counts in stats.items():
        logger.info("%s: %s", split, counts)


def repair(
    corpus: Mapping[str, Sequence[Sample]], repairs: Repairs, stats: dict[str, Any]
) -> dict[str, list[Sample]]:
    """Return the corpus with `repaired_tags`; add what they change to `stats` of each split."""
    repaired = apply_repairs(repairs, corpus)
    for split, effect in describe_effect(repairs, repaired).items():
        stats[split]["repairs"] = effect
    return repaired


def read_evidence(path: Path) -> dict[str, str]:
    """Read `image_id<TAB>evidence` lines.

    Raises:
        DataError: a line breaks the format.
        MissingFileError: no such file.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file. Check `evidence` of the dataset.")
    kinds = {}
    for number, line in iter_text_lines(path):
        image_id, gap, kind = line.partition("\t")
        if not gap or not kind:
            raise DataError(f"{path}:{number}: expected 'image_id<TAB>evidence', got {line[:40]!r}")
        kinds[image_id] = kind
    return kinds


def join_evidence(
    corpus: Mapping[str, Sequence[Sample]], kinds: Mapping[str, str]
) -> dict[str, Sequence[Sample]]:
    """Return the corpus with the evidence kind of each sample's image, where it is listed."""
    joined = {
        split: pack_samples(replace(s, evidence=kinds.get(s.image_id)) for s in samples)
        for split, samples in corpus.items()
    }
    found = sum(s.evidence is not None for samples in joined.values() for s in samples)
    logger.info("evidence: known of %d samples", found)
    return joined


def list_images(
    corpus: Iterable[Sequence[Sample]],
    folder: Path | None,
    workers: int,
    *,
    limits: ImageLimits | None = None,
    cache: Path | None = None,
) -> Sequence[ImageRow]:
    """Return one row an image id, in order of first use; see `probe_folder`.

    Raises:
        MissingFileError: the folder is not there.
    """
    ids = distinct(s.image_id for samples in corpus for s in samples)
    if folder is None:
        reason = "the corpus has no images"
        return pack_images(ImageRow(i, "", "", 0, 0, "no_images", reason) for i in ids)
    return probe_folder(ids, folder, workers, limits=limits, cache=cache)


def compare_counts(
    stats: dict[str, Any], expected: dict[str, dict[str, int]], reader: str, *, strict: bool
) -> None:
    """Say (or, when strict, fail) where a corpus is not the known copy.

    Raises:
        DataError: strict, and a count differs.
    """
    differences = [
        f"{split} has {stats[split].get(key)} {key}, the known copy {count}"
        for split, counts in expected.items()
        if split in stats
        for key, count in counts.items()
        if stats[split].get(key) != count
    ]
    if not differences:
        return
    message = f"{reader}: not the known copy: {'; '.join(differences)}"
    if strict:
        raise DataError(f"{message}. Set `check_counts: false` to use it all the same.")
    logger.warning(message)


def refuse_too_many_bad(
    bad: Sequence[ImageRow], n_images: int, limit: float, listed_in: Path
) -> None:
    """Stop when too many images are missing or unreadable.

    Args:
        bad: the rows that are missing or unreadable.
        n_images: of the whole corpus.
        limit: the largest share allowed, 0-1.
        listed_in: file that lists all of `bad`, for the message.

    Raises:
        DataError: the share is above the limit.
    """
    if not bad:
        return
    shown = ", ".join(f"{row.image_id} ({row.status})" for row in bad[:10])
    share = len(bad) / n_images
    message = (
        f"{len(bad)} of {n_images} images ({share:.1%}) are missing or unreadable: {shown}"
        f"{', ...' if len(bad) > 10 else ''}; {listed_in} lists them all"
    )
    if share > limit:
        raise DataError(
            f"{message}. At most {limit:.1%} are allowed: complete the image folder, or raise "
            "`max_bad_images` of this dataset (new text: `predict_max_bad_images`) in the config."
        )
    logger.warning("%s; they are masked, never replaced", message)
