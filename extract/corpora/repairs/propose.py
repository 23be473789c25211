"""From a corpus to a repair file: orphan `I-` tags and duplicates with conflicting labels."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from extract.corpora.audit.fingerprint import fingerprint, texts_of, tweet_digest
from extract.corpora.repairs.apply import apply_repairs
from extract.corpora.repairs.format import Correction, Header, Repairs, SplitIdentity
from extract.corpora.repairs.majority import REASON, resolve_groups
from extract.corpora.repairs.orphans import Change, repair_orphans
from extract.tables.samples import Sample

KINDS = ("orphans", "duplicates")
"""What can be proposed; without any, the file is a header to write corrections under."""

_DESCRIPTIONS = {
    "orphans": "orphan I- tags made valid",
    "duplicates": "conflicting labels of duplicate tweets by majority",
}


def propose_repairs(
    splits: Mapping[str, Sequence[Sample]],
    *,
    dataset: str,
    reader: str,
    kinds: Collection[str] = KINDS,
) -> Repairs:
    """Return the corrections that the rules find, in order of split, tweet and token.

    Args:
        splits: split -> samples in file order, with tags.
        dataset: name for people.
        reader: file in extract/corpora/readers/.
        kinds: of `KINDS`.

    Raises:
        DataError: duplicates are corrected without the orphans beside them, which leaves an
            invalid sequence.
    """
    orphans = {s.id: repair_orphans(s) for samples in splits.values() for s in samples}
    valid = {
        split: [replace(s, tags=_changed(s.tags, orphans[s.id])) for s in samples]
        for split, samples in splits.items()
    }
    by_majority, undecided = resolve_groups(valid) if "duplicates" in kinds else ({}, [])
    if "orphans" not in kinds:
        orphans = {}
    corrections = [
        _correction(split, position, sample, change)
        for split, samples in splits.items()
        for position, sample in enumerate(samples)
        for change in _joined(orphans.get(sample.id, []), by_majority.get(sample.id, []))
    ]
    header = Header(
        dataset=dataset,
        reader=reader,
        description="; ".join(_DESCRIPTIONS[kind] for kind in KINDS if kind in kinds),
        splits={s: SplitIdentity(len(found), fingerprint(found)) for s, found in splits.items()},
        undecided=tuple(undecided),
    )
    repairs = Repairs(header, tuple(corrections))
    apply_repairs(repairs, splits)
    return repairs


def _changed(tags: Sequence[str] | None, changes: Sequence[Change]) -> list[str] | None:
    if tags is None:
        return None
    tags = list(tags)
    for change in changes:
        tags[change.start : change.end] = change.after
    return tags


def _joined(orphans: Sequence[Change], later: Sequence[Change]) -> list[Change]:
    """Return both kinds in order of tokens; `later` ones were made on the repaired orphans.

    Where they meet, one change covers both and has the reason of the later one.
    """
    joined: list[Change] = []
    for change in sorted([*orphans, *later], key=lambda change: (change.start, change.end)):
        if not joined or change.start >= joined[-1].end:
            joined.append(change)
            continue
        last = joined.pop()
        winner, base = (change, last) if change.reason == REASON else (last, change)
        joined.append(_over(base, winner))
    return joined


def _over(base: Change, winner: Change) -> Change:
    """Return one change for the tokens of both; where both have a tag, the winner's."""
    start, end = min(base.start, winner.start), max(base.end, winner.end)
    tags = dict(zip(range(base.start, base.end), base.after, strict=True))
    tags |= dict(zip(range(winner.start, winner.end), winner.after, strict=True))
    return replace(winner, start=start, after=tuple(tags[i] for i in range(start, end)))


def _correction(split: str, position: int, sample: Sample, change: Change) -> Correction:
    return Correction(
        split=split,
        position=position,
        image_id=sample.image_id,
        text=texts_of([tweet_digest(sample)])[0],
        start=change.start,
        end=change.end,
        before=tuple(sample.tags[change.start : change.end]),
        after=change.after,
        reason=change.reason,
        note=change.note,
    )
