"""The findings that somebody should act on, worst first.

`error`: results on this corpus mean nothing until it is repaired. `warning`: results are biased, or
not comparable with others, by as much as the message says. `note`: good to know.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Problem:
    """One line of the summary."""

    severity: str
    check: str
    """Key of the report that has the details."""
    message: str


def find_problems(report: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of a report (see `report.py`), worst first."""
    checks = (
        _set_aside, _overlap, _identity, _invalid, _duplicates, _images, _invisible, _handles,
        _absent,
    )  # fmt: skip
    found = [problem for check in checks for problem in check(report)]
    return sorted(found, key=lambda problem: SEVERITIES.index(problem.severity))


def _set_aside(report: Mapping[str, Any]) -> Iterator[Problem]:
    found = report["set_aside"]
    labels = Counter(f["value"] for f in found if f["kind"] == "odd_label")
    if labels:
        named = ", ".join(f"{label!r} ({count})" for label, count in labels.most_common(5))
        more = ", ..." if len(labels) > 5 else ""
        message = f"labels outside the tag set, read as O: {labels.total()}: {named}{more}"
        yield Problem("error", "set_aside", message)
    n_empty = sum(f["kind"] == "empty_tweet" for f in found)
    if n_empty:
        yield Problem("error", "set_aside", f"tweets without a token, left out: {n_empty}")


def _overlap(report: Mapping[str, Any]) -> Iterator[Problem]:
    for found in report["overlap"]:
        split, other = found["split"], found["other"]
        if found["equal"]:
            message = f"{split} and {other} hold the same {found['of']} tweets: nothing is held out"
            yield Problem("error", "overlap", message)
        elif found["tweets"]:
            message = (
                f"{found['tweets']} of {found['of']} tweets of {split} ({found['share']:.2%}) "
                f"stand in {other}, {found['exact']} of them word for word"
            )
            yield Problem("warning", "overlap", message)


def _identity(report: Mapping[str, Any]) -> Iterator[Problem]:
    found = report["identity"]
    if found["verdict"] == "replaced":
        message = f"{found['copy']} with the text of another split: {found['rests_on']}"
        yield Problem("error", "identity", message)
    elif found["verdict"] == "truncated":
        message = f"{found['nearest']} without last tweets: {found['rests_on']}"
        yield Problem("warning", "identity", message)
    elif found["verdict"] == "unknown":
        message = "no known copy"
        if found["nearest"]:
            differ = ", ".join(f"{c['differ']} of {s}" for s, c in found["splits"].items())
            message += f"; the nearest is {found['nearest']}, tweets that differ: {differ}"
        yield Problem("note", "identity", message)


def _invalid(report: Mapping[str, Any]) -> Iterator[Problem]:
    found = [counts for counts in report["counts"].values() if "invalid" in counts]
    total = sum(counts["orphan_i"] for counts in found)
    if total:
        kinds = Counter()
        for counts in found:
            kinds.update(counts["invalid"])
        entities, b_tags = (sum(counts[key] for counts in found) for key in ("entities", "b_tags"))
        message = (
            f"{total} I- tags continue no entity: {kinds['after_o']} after O (of these "
            f"{kinds['after_dot']} after a split-off dot), {kinds['type_switch']} after another "
            f"type; conlleval counts {entities} entities, B- tags alone {b_tags}"
        )
        yield Problem("warning", "counts", message)


def _duplicates(report: Mapping[str, Any]) -> Iterator[Problem]:
    found = report["duplicates"]
    if found["conflicting"]:
        message = (
            f"{found['conflicting']} of {found['groups']} groups of duplicate tweets carry "
            "conflicting gold"
        )
        yield Problem("warning", "duplicates", message)
    elif found["groups"]:
        yield Problem("note", "duplicates", f"{found['groups']} groups of duplicate tweets")


def _images(report: Mapping[str, Any]) -> Iterator[Problem]:
    found = report["images"]
    for key, what in (("shared_ids", "image ids"), ("shared_files", "image files")):
        if found.get(key):
            yield Problem("warning", "images", f"{what} in two splits: {len(found[key])}")
    if found.get("not_listed"):
        message = f"image ids that are not in images.tsv: {len(found['not_listed'])}"
        yield Problem("error", "images", message)
    n_bad = {split: len(bad) for split, bad in found.get("bad", {}).items() if bad}
    if n_bad:
        named = ", ".join(f"{n} of {split}" for split, n in n_bad.items())
        yield Problem("warning", "images", f"images are missing or unreadable: {named}")


def _invisible(report: Mapping[str, Any]) -> Iterator[Problem]:
    found = [entry for of_split in report["invisible"].values() for entry in of_split.values()]
    total = sum(entry["tokens"] for entry in found)
    if total:
        labelled = sum(entry["labelled"] for entry in found)
        message = (
            f"invisible tokens: {total}, of these labelled: {labelled}; they get no word piece, "
            "and a reader that splits at any white space loses some"
        )
        yield Problem("note", "invisible", message)


def _handles(report: Mapping[str, Any]) -> Iterator[Problem]:
    found = report["handles"].values()
    handles, labelled = (sum(c[key] for c in found) for key in ("handles", "handles_labelled"))
    if handles and any("entities" in counts for counts in report["counts"].values()):
        message = (
            f"{labelled} of {handles} user handles ({labelled / handles:.1%}) are labelled; "
            "corpora differ in this"
        )
        yield Problem("note", "handles", message)


def _absent(report: Mapping[str, Any]) -> Iterator[Problem]:
    if report["corpus"]["absent"]:
        absent = ", ".join(report["corpus"]["absent"])
        yield Problem("note", "corpus", f"no file of {absent}: not audited")
