"""A repair file on the corpus that it was made for: every check, then the corrected tags."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from extract.core.errors import DataError
from extract.corpora.audit.fingerprint import fingerprint, texts_of, tweet_digest
from extract.corpora.repairs.format import Correction, Repairs
from extract.tables.samples import Sample
from extract.tables.tags import is_orphan

Placed = tuple[str, Correction]
"""(`file:line`, correction)"""


def apply_repairs(
    repairs: Repairs, corpus: Mapping[str, Sequence[Sample]]
) -> dict[str, list[Sample]]:
    """Return the corpus with `repaired_tags` on the tweets that a correction changes.

    Args:
        repairs: of this corpus.
        corpus: split -> samples in file order, with their original tags.

    Raises:
        DataError: the corpus is another one, or a correction does not fit its tweet; the message
            names file and line of the correction.
    """
    check_corpus(repairs, corpus)
    by_tweet: dict[tuple[str, int], list[Placed]] = defaultdict(list)
    for where, correction in repairs.placed():
        by_tweet[correction.tweet].append((where, correction))
    return {
        split: [
            replace(sample, repaired_tags=repaired_tags(sample, by_tweet.get((split, position))))
            for position, sample in enumerate(samples)
        ]
        for split, samples in corpus.items()
    }


def check_corpus(repairs: Repairs, corpus: Mapping[str, Sequence[Sample]]) -> None:
    """See that the splits are those that the file was made for.

    Raises:
        DataError: a split is not in the header or has other tweets or labels.
    """
    known = repairs.header.splits
    for split, samples in corpus.items():
        where = f"{repairs.path}:1: made for {repairs.header.dataset}"
        if split not in known:
            raise DataError(f"{where}, splits {', '.join(known) or 'none'}; got '{split}'")
        if fingerprint(samples) != known[split].fingerprint:
            raise DataError(
                f"{where}: its {split} has {known[split].tweets} tweets and another fingerprint "
                f"than this one with {len(samples)}: another copy, other labels or another "
                "type_map. `python -m extract audit` names the copy; `python -m extract repairs "
                "propose` makes a file for it."
            )


def repaired_tags(sample: Sample, placed: Sequence[Placed] | None) -> list[str] | None:
    """Return the tags of one tweet with its corrections, or None where there is none.

    Raises:
        DataError: a correction does not fit, or leaves an orphan `I-`.
    """
    if not placed:
        return None
    tags = list(sample.tags or ())
    for where, correction in placed:
        _check_tweet(sample, correction, where)
        tags[correction.start : correction.end] = correction.after
    for where, correction in placed:
        _refuse_orphans(tags, correction, where)
    return tags


def _check_tweet(sample: Sample, correction: Correction, where: str) -> None:
    tweet = f"{correction.split} tweet {correction.position}"
    if sample.image_id != correction.image_id:
        raise DataError(
            f"{where}: {tweet} has the image id '{sample.image_id}', expected "
            f"'{correction.image_id}'"
        )
    text = texts_of([tweet_digest(sample)])[0]
    if text != correction.text:
        raise DataError(
            f"{where}: {tweet} has other tokens: their digest is {text}, expected {correction.text}"
        )
    if correction.end > len(sample.tokens):
        raise DataError(
            f"{where}: {tweet} has {len(sample.tokens)} tokens, the correction ends at "
            f"{correction.end}"
        )
    found = tuple((sample.tags or ())[correction.start : correction.end])
    if found != correction.before:
        raise DataError(
            f"{where}: {tweet}, tokens [{correction.start}, {correction.end}) have the tags "
            f"{' '.join(found)}, expected {' '.join(correction.before)}"
        )


def _refuse_orphans(tags: Sequence[str], correction: Correction, where: str) -> None:
    """Look at the corrected span and the token after it, once all corrections are in."""
    for position in range(correction.start, min(correction.end + 1, len(tags))):
        previous = tags[position - 1] if position else "O"
        if is_orphan(previous, tags[position]):
            raise DataError(
                f"{where}: leaves {tags[position]} after {previous} at token {position} of "
                f"{correction.split} tweet {correction.position}: an I- continues an entity of its "
                "type. Begin the entity with B-."
            )
