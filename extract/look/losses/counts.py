"""What a corpus loses on its way to features: every problem counted, every affected id listed.

A case is one tweet that is touched by one problem of one source. Counts come from the cases:

- `tweets`: the tweets of the split with the problem; a tweet whose image is shared counts itself.
- `images`: the images of the split with the problem, each once however many tweets share it. An
  image of two splits counts in both.
- `boxes`: the rows of the grounding store with the problem, each once.

The shares are of all tweets, images or boxes of the split, those without an image included. A
problem that nothing has is listed with 0.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from extract.core.errors import DataError
from extract.core.files import atomic_path
from extract.look.losses.sources import Finding, Source
from extract.tables.images_table import ImageRow
from extract.tables.samples import Sample

COUNT_COLUMNS = ("split", "source", "unit", "problem", "reason", "count", "of", "share")
ID_COLUMNS = ("split", "source", "problem", "sample_id", "image_id", "detail")


@dataclass(frozen=True)
class Case:
    """One line of the table of ids."""

    split: str
    source: str
    problem: str
    sample_id: str
    image_id: str
    finding: Finding


@dataclass(frozen=True)
class Count:
    """One line of the table of counts; `reason` is empty in the line of the whole problem."""

    split: str
    source: str
    unit: str
    problem: str
    reason: str
    count: int
    of: int

    @property
    def share(self) -> float | None:
        """Share, 0-1; None of an empty split."""
        return self.count / self.of if self.of else None


def check_images(splits: Mapping[str, Sequence[Sample]], images: Mapping[str, ImageRow]) -> None:
    """Check that samples and manifest are of one corpus.

    Raises:
        DataError: the image of a sample is not in the manifest.
    """
    for split, samples in splits.items():
        for sample in samples:
            if sample.image_id not in images:
                raise DataError(
                    f"{split}: image {sample.image_id!r} of sample {sample.id!r} is not in "
                    "images.tsv. Give the samples and the images.tsv of one run of `dataset`."
                )


def find_cases(splits: Mapping[str, Sequence[Sample]], sources: Sequence[Source]) -> list[Case]:
    """Return all cases: by split, source and problem as given, then by sample id and row."""
    cases = []
    for split, samples in splits.items():
        for source in sources:
            order = {problem.name: place for place, problem in enumerate(source.problems)}
            found = [
                Case(split, source.name, finding.problem, sample.id, sample.image_id, finding)
                for sample in samples
                for finding in source.find(sample)
            ]
            found.sort(key=lambda case: (order[case.problem], case.sample_id, case.finding.row))
            cases += found
    return cases


def count_cases(
    splits: Mapping[str, Sequence[Sample]], sources: Sequence[Source], cases: Iterable[Case]
) -> list[Count]:
    """Return a count for every split, source, problem and unit, and for every reason seen."""
    by_problem: dict[tuple[str, str, str], list[Case]] = defaultdict(list)
    for case in cases:
        by_problem[case.split, case.source, case.problem].append(case)
    counts = []
    for split, samples in splits.items():
        for source in sources:
            totals = _totals(samples, source)
            for problem in source.problems:
                found = by_problem[split, source.name, problem.name]
                groups = {"": found} | (_by_reason(found) if problem.by_reason else {})
                counts += [
                    Count(split, source.name, unit, problem.name, reason,
                          len(affected(group, unit)), totals[unit])
                    for reason, group in groups.items()
                    for unit in problem.units
                ]  # fmt: skip
    return counts


def _totals(samples: Sequence[Sample], source: Source) -> dict[str, int]:
    image_ids = {sample.image_id for sample in samples}
    n_boxes = sum(source.boxes.get(image_id, 0) for image_id in image_ids)
    return {"tweets": len(samples), "images": len(image_ids), "boxes": n_boxes}


def affected(cases: Iterable[Case], unit: str) -> list[Case]:
    """Return the first case of each tweet, image or box."""
    keys = {
        "tweets": lambda case: case.sample_id,
        "images": lambda case: case.image_id,
        "boxes": lambda case: (case.image_id, case.finding.row),
    }
    first: dict[object, Case] = {}
    for case in cases:
        first.setdefault(keys[unit](case), case)
    return list(first.values())


def _by_reason(cases: Iterable[Case]) -> dict[str, list[Case]]:
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        groups[general_reason(case.finding)].append(case)
    return dict(sorted(groups.items()))


def general_reason(finding: Finding) -> str:
    """Return the reason without numbers of bytes, which would make every file its own reason."""
    reason = finding.reason or finding.detail or "no reason given"
    return re.sub(r"\d+(?= bytes?\b)", "N", reason)


def write_counts(path: Path, counts: Iterable[Count]) -> None:
    """Write the table of counts."""
    rows = (
        (*(getattr(count, name) for name in COUNT_COLUMNS[:-1]), _decimal(count.share))
        for count in counts
    )
    _write_table(path, COUNT_COLUMNS, rows)


def _decimal(share: float | None) -> str:
    return "" if share is None else f"{share:.6f}"


def write_cases(path: Path, cases: Iterable[Case]) -> None:
    """Write the table of ids."""
    rows = (
        (case.split, case.source, case.problem, case.sample_id, case.image_id, case.finding.detail)
        for case in cases
    )
    _write_table(path, ID_COLUMNS, rows)


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with atomic_path(path) as tmp, tmp.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
