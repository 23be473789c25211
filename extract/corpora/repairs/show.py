"""A repair file beside its corpus as a text diff, for a person; it is printed, never stored."""

from collections.abc import Iterator, Mapping, Sequence

from extract.corpora.audit.sections import printable
from extract.corpora.repairs.format import Correction, Repairs, Undecided
from extract.tables.samples import Sample

CONTEXT = 3  # unchanged tokens on either side


def show_corrections(
    repairs: Repairs, corpus: Mapping[str, Sequence[Sample]], reasons: Sequence[str] = ()
) -> Iterator[str]:
    """Yield the lines of a diff: `@@ ... @@`, then ` token tag`, `-token tag`, `+token tag`.

    Args:
        repairs: a file that fits the corpus.
        corpus: split -> samples.
        reasons: which corrections; none stands for all.
    """
    for where, correction in repairs.placed():
        if correction.split in corpus and (not reasons or correction.reason in reasons):
            sample = corpus[correction.split][correction.position]
            yield printable(f"@@ {where}: {correction.reason}, {sample.id}, {sample.image_id} @@")
            yield from _diff(sample, correction)


def _diff(sample: Sample, correction: Correction) -> Iterator[str]:
    start, end = correction.start, correction.end
    for position in range(max(0, start - CONTEXT), min(len(sample.tokens), end + CONTEXT)):
        token, old = printable(sample.tokens[position]), sample.tags[position]
        new = correction.after[position - start] if start <= position < end else old
        if new == old:
            yield f" {token}\t{old}"
        else:
            yield f"-{token}\t{old}"
            yield f"+{token}\t{new}"


def show_undecided(
    groups: Sequence[Undecided], corpus: Mapping[str, Sequence[Sample]]
) -> Iterator[str]:
    """Yield the groups of tweets whose conflict no rule decides, with their texts."""
    for group in groups:
        yield printable(f"@@ undecided: {group.note} @@")
        for tweet in group.tweets:
            if tweet.split not in corpus:
                continue
            sample = corpus[tweet.split][tweet.position]
            named = ", ".join(
                f"{entity_type} [{start}, {end}) {printable(' '.join(sample.tokens[start:end]))}"
                for entity_type, start, end in tweet.entities
            )
            yield printable(f" {sample.id}: {' '.join(sample.tokens)}")
            yield f"   {named or 'nothing'}"
