"""Tweets written as `word/TAG`, and repair files over them, for the tests of label corrections."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from extract.corpora.repairs.format import Repairs
from extract.corpora.repairs.orphans import Change
from extract.corpora.repairs.propose import propose_repairs
from extract.tables.samples import Sample


def tweet(text: str, sample_id: str = "train-00000", image_id: str = "1") -> Sample:
    """Make a sample of words, each `word` (O) or `word/TAG`."""
    pairs = [word.rpartition("/") if "-" in word else (word, "", "O") for word in text.split()]
    return Sample(sample_id, image_id, [w for w, _, _ in pairs], [t for _, _, t in pairs])


def corpus(**texts: list[str]) -> dict[str, list[Sample]]:
    """Make split -> samples of texts."""
    return {
        split: [tweet(t, f"{split}-{i:05d}", f"{split}_{i}") for i, t in enumerate(found)]
        for split, found in texts.items()
    }


def propose(splits: dict[str, list[Sample]], **kinds: Any) -> Repairs:
    """Propose corrections for a corpus of the tests."""
    return propose_repairs(splits, dataset="toy", reader="conll_imgid", **kinds)


def changed(sample: Sample, changes: list[Change]) -> str:
    """Return the tags of a tweet after changes, joined with spaces."""
    tags = list(sample.tags)
    for change in changes:
        tags[change.start : change.end] = change.after
    return " ".join(tags)


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    """Write records as JSON lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines as plain records."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def bare(samples: list[Sample]) -> list[Sample]:
    """Return the samples without their repaired tags."""
    return [replace(sample, repaired_tags=None) for sample in samples]
