"""The report as titled tables of words, for the terminal and for the page."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """A table with its title and what must be known to read it."""

    title: str
    columns: Row
    rows: Sequence[Row]
    remark: str = ""
    numbers: Row = ()
    """The columns that hold numbers."""
    is_list: bool = False
    """Whether the rows are cases, of which a few may be shown."""


def make_sections(report: Mapping[str, Any]) -> list[Section]:
    """Return the tables of a report (see `report.py`) that have a row."""
    makers = (
        _problems, _identity, _counts, _types, _invalid, _set_aside, _invisible, _overlap, _twins,
        _duplicates, _mentions, _handles, _images, _bad_images,
    )  # fmt: skip
    return [section for make in makers for section in [make(report)] if section.rows]


def printable(text: str) -> str:
    """Return text with control, format and lone white-space characters as `\\uXXXX`.

    So a token can neither steer a terminal nor hide in a line.
    """
    return "".join(
        char if char == " " or unicodedata.category(char)[0] not in "CZ" else _escaped(char)
        for char in text
    )


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _share(count: int, of: int) -> str:
    return f"{count:,} ({count / of:.1%})" if of else f"{count:,}"


def _problems(report: Mapping[str, Any]) -> Section:
    rows = [(p["severity"], p["check"], printable(p["message"])) for p in report["problems"]]
    return Section("Problems", ("severity", "see", "what"), rows)


def _identity(report: Mapping[str, Any]) -> Section:
    found = report["identity"]
    name = f"{found['copy']} ({found['title']})" if found["copy"] else "no known copy"
    nearest = f" Compared with {found['nearest']}:" if found["nearest"] else ""
    remark = f"{found['verdict']}: {name}. It rests on: {found['rests_on']}.{nearest}"
    rows = [
        (
            split,
            c["with"],
            "the same tweets in another order"
            if not c["differ"] and not c["same_order"]
            else c["is"],
            f"{c['tweets']:,}",
            f"{c['known_tweets']:,}",
            f"{c['differ']:,}",
            f"{c['differ_in_labels_only']:,}",
            f"{c['not_in_known']:,}",
        )
        for split, c in found["splits"].items()
    ] or [(split, *[""] * 7) for split in report["counts"]]
    columns = ("split", "its split", "is", "tweets", "its tweets", "differ",
               "in labels only", "not in its split")  # fmt: skip
    return Section("Known copy", columns, rows, remark, numbers=columns[3:])


def _counts(report: Mapping[str, Any]) -> Section:
    rows = []
    for split, c in report["counts"].items():
        labels = ("", "", "", "")
        if "entities" in c:
            without = _share(c["without_entity"], c["tweets"])
            labels = (f"{c['entities']:,}", f"{c['b_tags']:,}", f"{c['orphan_i']:,}", without)
        rows.append((split, f"{c['tweets']:,}", f"{c['tokens']:,}", f"{c['longest']:,}", *labels))
    columns = ("split", "tweets", "tokens", "longest", "entities", "B- only", "invalid I-",
               "tweets without entity")  # fmt: skip
    remark = "Entities in conlleval's reading."
    return Section("Counts", columns, rows, remark, numbers=columns[1:])


def _types(report: Mapping[str, Any]) -> Section:
    labelled = {split: c for split, c in report["counts"].items() if "types" in c}
    names = sorted({name for c in labelled.values() for name in c["types"]})
    rows = [
        (split, *(_both(c["types"].get(n, 0), c["b_tags_by_type"].get(n, 0)) for n in names))
        for split, c in labelled.items()
    ]
    remark = "Entities in conlleval's reading; in brackets B- tags, where their number differs."
    return Section("Types", ("split", *names), rows, remark, numbers=tuple(names))


def _both(entities: int, b_tags: int) -> str:
    return f"{entities:,}" if entities == b_tags else f"{entities:,} ({b_tags:,})"


def _invalid(report: Mapping[str, Any]) -> Section:
    rows = [
        (split, *(f"{c['invalid'][key]:,}" for key in ("after_o", "after_dot", "type_switch")))
        for split, c in report["counts"].items()
        if any(c.get("invalid", {}).values())
    ]
    columns = ("split", "after O", "of these after a split-off dot", "after another type")
    return Section("I- tags that continue no entity", columns, rows, numbers=columns[1:])


def _set_aside(report: Mapping[str, Any]) -> Section:
    rows = [
        (f["kind"].replace("_", " "), f["split"], printable(f["where"]), printable(f["value"]))
        for f in report["set_aside"]
    ]
    columns = ("what", "split", "where", "label or image id")
    return Section("Set aside", columns, rows, is_list=True)


def _invisible(report: Mapping[str, Any]) -> Section:
    rows = [
        (points, split, str(found["tokens"]), str(found["labelled"]), _some(found["samples"]))
        for split, of_split in report["invisible"].items()
        for points, found in of_split.items()
    ]
    columns = ("token", "split", "tokens", "labelled", "samples")
    return Section("Invisible tokens", columns, rows, numbers=columns[2:4], is_list=True)


def _some(ids: Sequence[str]) -> str:
    """Return the first four ids and the number of the others."""
    more = f" and {len(ids) - 4} more" if len(ids) > 4 else ""
    return printable(", ".join(ids[:4])) + more


def _overlap(report: Mapping[str, Any]) -> Section:
    rows = [
        (f"{f['split']} in {f['other']}", str(f["tweets"]), str(f["exact"]), f"{f['of']:,}",
         f"{f['share']:.2%}")
        for f in report["overlap"]
    ]  # fmt: skip
    remark = "Duplicates but for case, URLs, user handles and punctuation; exact: the same tokens."
    columns = ("tweets of", "found", "exact", "of", "share")
    return Section("Overlap of splits", columns, rows, remark, numbers=columns[1:])


def _twins(report: Mapping[str, Any]) -> Section:
    rows = [
        (f["split"], f["other"], printable(sample_id), _some(others))
        for f in report["overlap"]
        for sample_id, others in f["twins"].items()
    ]
    columns = ("split", "also in", "sample", "there")
    return Section("Tweets in two splits", columns, rows, is_list=True)


def _duplicates(report: Mapping[str, Any]) -> Section:
    found = report["duplicates"]
    remark = (
        f"{found['groups']} groups, {found['exact']} with word-for-word duplicates, "
        f"{found['across']} across splits, {found['conflicting']} with conflicting gold (listed)."
    )
    rows = [row for group in found["list"] for row in _conflicts(group)]
    columns = ("mention", "sample", "gold", "text")
    return Section("Duplicates with conflicting gold", columns, rows, remark, is_list=True)


def _conflicts(group: Mapping[str, Any]) -> Iterator[Row]:
    for surface, types in group["conflicts"].items():
        for sample_id, names in types.items():
            text = printable(group["samples"][sample_id])
            yield printable(surface), printable(sample_id), "+".join(names) or "none", text


def _mentions(report: Mapping[str, Any]) -> Section:
    rows = [
        (split, f"{c['entities']:,}", _share(c["seen"], c["entities"]),
         _share(c["seen_same_case"], c["entities"]))
        for split, c in report["mentions"].items()
    ]  # fmt: skip
    columns = ("split", "entities", "seen in train", "seen in the same case")
    remark = "Entities whose surface stands in train with the same type."
    return Section("Seen mentions", columns, rows, remark, numbers=columns[1:])


def _handles(report: Mapping[str, Any]) -> Section:
    found = report["handles"]
    total = Counter()
    for counts in found.values():
        total.update(counts)
    is_labelled = any("entities" in counts for counts in report["counts"].values())
    rows = [
        (
            split,
            f"{c['handles']:,}",
            _share(c["handles_labelled"], c["handles"]) if is_labelled else "",
            _share(c["entities_with_handle"], c["entities"]) if is_labelled else "",
            _share(c["tweets_with_url"], c["tweets"]),
        )
        for split, c in [*found.items(), ("all", total)]
    ]
    columns = ("split", "handles", "labelled", "entities with one", "tweets with URL")
    return Section("User handles and URLs", columns, rows, numbers=columns[1:])


def _images(report: Mapping[str, Any]) -> Section:
    found = report["images"]
    names = sorted({name for counts in found.get("status", {}).values() for name in counts})
    rows = [
        (split, *(str(counts.get(name, 0)) for name in names))
        for split, counts in found.get("status", {}).items()
    ]
    remark = "By status, as images.tsv has it."
    return Section("Images", ("split", *names), rows, remark, numbers=tuple(names))


def _bad_images(report: Mapping[str, Any]) -> Section:
    found = report["images"]
    rows = [
        (printable(image_id), split, printable(why))
        for split, bad in found.get("bad", {}).items()
        for image_id, why in bad.items()
    ]
    rows += [
        (printable(image_id), ", ".join(splits), "id in two splits")
        for image_id, splits in found["shared_ids"].items()
    ]
    rows += [
        (_some([i for ids in by_split.values() for i in ids]), ", ".join(by_split), "the same file")
        for by_split in found.get("shared_files", {}).values()
    ]
    rows += [(printable(i), "", "not in images.tsv") for i in found.get("not_listed", [])]
    return Section("Images to look at", ("image", "split", "what"), rows, is_list=True)
