"""What is counted in the labels and tokens of one split."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from extract.corpora.statistics import describe_split
from extract.tables.samples import Sample
from extract.tables.tags import is_orphan

_COMBINING = ("Mn", "Me")


def count_split(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the counts of `extract.corpora.statistics.describe_split` but its images, and, with
    labels:

    Returns:
        `b_tags_by_type` (entities as tables that count B- tags print them) and `invalid`: the
        orphan I- tags split in `after_o` and `type_switch` (B-LOC I-ORG); of those after O
        `after_dot` are the "St . Louis" pattern, whose B- was on a split-off dot's word.
    """
    counts = describe_split(samples)
    if "entities" not in counts:
        return counts
    b_tags, found = Counter(), Counter()
    for sample in samples:
        b_tags.update(tag[2:] for tag in sample.tags or () if tag.startswith("B-"))
        found.update(kind for kind, _ in invalid_transitions(sample))
    counts["b_tags_by_type"] = dict(sorted(b_tags.items()))
    counts["invalid"] = {
        "after_o": found["after_o"] + found["after_dot"],
        "after_dot": found["after_dot"],
        "type_switch": found["type_switch"],
    }
    return counts


def invalid_transitions(sample: Sample) -> list[tuple[str, int]]:
    """Return (kind, token) of each I- that continues no entity of its type.

    The kind is `type_switch`, `after_dot` (O on the token ".") or `after_o`.
    """
    found = []
    before = "O"
    for position, tag in enumerate(sample.tags or ()):
        if is_orphan(before, tag):
            if before != "O":
                kind = "type_switch"
            elif position and sample.tokens[position - 1] == ".":
                kind = "after_dot"
            else:
                kind = "after_o"
            found.append((kind, position))
        before = tag
    return found


def is_invisible(token: str) -> bool:
    """True where no character of a token can be seen or read.

    Such are control and format characters, spaces, combining marks without a base, private and
    unassigned code points and U+FFFD: what BERT's uncased tokenizer drops, so that the word gets
    no word piece. `str.split` besides takes U+00A0 for a gap and loses the token.
    """
    return all(
        char == "\ufffd"
        or unicodedata.category(char)[0] in "CZ"
        or unicodedata.category(char) in _COMBINING
        for char in token
    )


def find_invisible(samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Return code points ("U+200D U+FE0F") -> `tokens`, `labelled` (not O), `samples` (ids)."""
    found: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"tokens": 0, "labelled": 0, "samples": []}
    )
    for sample in samples:
        tags = sample.tags or ["O"] * len(sample.tokens)
        for token, tag in zip(sample.tokens, tags, strict=True):
            if is_invisible(token):
                entry = found[" ".join(f"U+{ord(char):04X}" for char in token)]
                entry["tokens"] += 1
                entry["labelled"] += tag != "O"
                if sample.id not in entry["samples"]:
                    entry["samples"].append(sample.id)
    return dict(sorted(found.items(), key=lambda item: (-item[1]["tokens"], item[0])))
