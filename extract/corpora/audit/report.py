"""The audit of a corpus as one structure, which the JSON output is and text and page are made of.

Version 1. Numbers are counts, shares are 0-1, lists of ids are in file order:

- `format` ("mner-audit"), `version` (1)
- `corpus`: `folder`, `kind`, `reader`, `splits` (names), `absent` (splits not found)
- `problems`: list of `severity` (`error`, `warning`, `note`), `check`, `message`; worst first
- `identity`: see `identity.identify`
- `counts`: split -> see `labels.count_split`
- `set_aside`: list of `kind` (`odd_label`, `empty_tweet`), `split`, `where`, `value`
- `invisible`: split -> code points -> see `labels.find_invisible`
- `overlap`: list of `split`, `other`, `of`, `tweets`, `exact`, `share`, `equal` (the same tweets),
  `twins` (sample id of `split` -> sample ids of `other`); see `overlap.py`
- `duplicates`: see `duplicates.describe_groups`
- `mentions`: held-out split -> see `mentions.count_seen`; without labels empty
- `handles`: split -> see `handles.count_handles`
- `images`: see `images.describe_images`
"""

from dataclasses import asdict
from typing import Any

from extract.corpora.audit.duplicates import describe_groups, find_groups
from extract.corpora.audit.identity import identify
from extract.corpora.audit.images import describe_images
from extract.corpora.audit.labels import count_split, find_invisible
from extract.corpora.audit.overlap import describe_overlaps
from extract.corpora.audit.problems import find_problems
from extract.corpora.audit.reading import Corpus
from extract.corpora.handles import count_handles
from extract.corpora.mentions import count_seen


def audit(corpus: Corpus) -> dict[str, Any]:
    """Return all findings on a corpus, structured as the head of this file says."""
    splits = corpus.splits
    counts = {split: count_split(samples) for split, samples in splits.items()}
    report = {
        "format": "mner-audit",
        "version": 1,
        "corpus": {
            "folder": corpus.folder.as_posix(),
            "kind": corpus.kind,
            "reader": corpus.reader,
            "splits": list(splits),
            "absent": corpus.absent,
        },
        "identity": identify(splits, counts),
        "counts": counts,
        "set_aside": [asdict(found) for found in corpus.set_aside],
        "invisible": {split: find_invisible(samples) for split, samples in splits.items()},
        "overlap": describe_overlaps(splits),
        "duplicates": describe_groups(find_groups(splits)),
        "mentions": {
            split: count_seen(samples, splits["train"])
            for split, samples in splits.items()
            if split != "train" and "train" in splits and "entities" in counts[split]
        },
        "handles": {split: count_handles(samples) for split, samples in splits.items()},
        "images": describe_images(splits, corpus.images),
    }
    return report | {"problems": [asdict(problem) for problem in find_problems(report)]}
