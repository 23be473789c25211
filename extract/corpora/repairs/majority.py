"""Tweets of one text with conflicting labels: the majority's, or nobody's.

The groups are those of extract/corpora/audit/duplicates.py. What a tweet votes for is the whole
labelling of the words that the group shares: the entities without a user handle, placed by these
words (handles, URLs and punctuation may differ). A labelling that more than half of a group's
tweets have, of at least three, is the group's, and the others are rewritten to it, in whatever
split they stand. Where no labelling has that, or the words cannot be laid side by side, the group
is listed as undecided. With two tweets that disagree there is no majority: train never overrules
test, nor test train.

Orphan `I-` tags are read as their repair (orphans.py), so that only labels conflict, not prefixes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from extract.corpora.audit.duplicates import Group, find_groups
from extract.corpora.audit.overlap import near_key
from extract.corpora.handles import handle_positions, is_url
from extract.corpora.repairs.format import Labelling, Undecided
from extract.corpora.repairs.orphans import Change
from extract.tables.samples import Sample
from extract.tables.tags import Span, entity_spans

REASON = "conflicting_duplicate"


@dataclass(frozen=True)
class Ballot:
    """One tweet of a group."""

    split: str
    sample: Sample
    """With orphans repaired."""
    words: tuple[int, ...]
    """Positions of the tokens that duplicates share: no handle, URL or punctuation."""
    spans: dict[Span, Span]
    """Entity by words of `words` -> entity by tokens; handles are left out."""

    @property
    def key(self) -> tuple[str, ...]:
        """The shared words, as near-duplicates are compared."""
        return tuple(near_key([self.sample.tokens[position]]) for position in self.words)

    @property
    def choice(self) -> frozenset[Span]:
        """What the tweet votes for."""
        return frozenset(self.spans)


def resolve_groups(
    splits: Mapping[str, Sequence[Sample]],
) -> tuple[dict[str, list[Change]], list[Undecided]]:
    """Return the changes that majorities make and the groups without one.

    Args:
        splits: split -> samples, orphans repaired.

    Returns:
        Sample id -> changes of its tags as given; undecided groups in order of their first tweet.
    """
    positions = {s.id: i for samples in splits.values() for i, s in enumerate(samples)}
    changes: dict[str, list[Change]] = {}
    undecided = []
    for group in find_groups(splits):
        if not group.conflicts():
            continue
        ballots = [_ballot(split, sample) for split, sample in group.members]
        winner, note = _majority(ballots)
        rewritten = None
        if winner is not None:
            losers = [ballot for ballot in ballots if ballot.choice != winner]
            note = f"{len(ballots) - len(losers)} of {len(ballots)} tweets"
            rewritten = {b.sample.id: _rewrite(b, winner, note) for b in losers}
            if not all(rewritten.values()):
                rewritten, note = None, "an entity with a user handle is in the way"
        if rewritten is None:
            undecided.append(_listed(group, ballots, positions, note))
        else:
            changes |= rewritten
    return changes, undecided


def _ballot(split: str, sample: Sample) -> Ballot:
    handles = set(handle_positions(sample.tokens))
    words = [
        position
        for position, token in enumerate(sample.tokens)
        if position not in handles and not is_url(token) and any(map(str.isalnum, token))
    ]
    spans = {}
    for entity in entity_spans(sample.tags or ()):
        entity_type, start, end = entity
        inside = [index for index, position in enumerate(words) if start <= position < end]
        if inside and handles.isdisjoint(range(start, end)):
            spans[entity_type, inside[0], inside[-1] + 1] = entity
    return Ballot(split, sample, tuple(words), spans)


def _majority(ballots: Sequence[Ballot]) -> tuple[frozenset[Span] | None, str]:
    """Return (labelling of more than half, or None) and why there is none."""
    if len({ballot.key for ballot in ballots}) > 1:
        return None, "words differ"
    (choice, votes), *_ = Counter(ballot.choice for ballot in ballots).most_common()
    if 2 * votes <= len(ballots):
        return None, f"no majority among {len(ballots)} tweets"
    return choice, ""


def _rewrite(ballot: Ballot, winner: frozenset[Span], note: str) -> list[Change] | None:
    """Return the changes that give a tweet the labelling, or None if a handle's is in the way."""
    tags = list(ballot.sample.tags)
    for span in ballot.choice - winner:
        _, start, end = ballot.spans[span]
        tags[start:end] = ["O"] * (end - start)
    for entity_type, first, last in winner - ballot.choice:
        start, end = ballot.words[first], ballot.words[last - 1] + 1
        if any(tag != "O" for tag in tags[start:end]):
            return None
        tags[start:end] = [f"B-{entity_type}", *[f"I-{entity_type}"] * (end - start - 1)]
    return [replace(change, note=note) for change in tag_changes(ballot.sample.tags, tags, REASON)]


def tag_changes(before: Sequence[str], after: Sequence[str], reason: str) -> list[Change]:
    """Return one change for each run of tokens whose tags differ."""
    differs = [old != new for old, new in zip(before, after, strict=True)]
    changes, start = [], None
    for position, is_other in enumerate([*differs, False]):
        if is_other and start is None:
            start = position
        elif not is_other and start is not None:
            changes.append(Change(start, tuple(after[start:position]), reason))
            start = None
    return changes


def _listed(
    group: Group, ballots: Sequence[Ballot], positions: Mapping[str, int], note: str
) -> Undecided:
    """Return the group with the entities of each tweet that not all have."""
    common = frozenset.intersection(*(ballot.choice for ballot in ballots))
    aligned = len({ballot.key for ballot in ballots}) == 1
    tweets = [
        Labelling(
            split=ballot.split,
            position=positions[ballot.sample.id],
            image_id=ballot.sample.image_id,
            entities=tuple(
                entity for span, entity in ballot.spans.items() if not aligned or span not in common
            ),
        )
        for ballot in ballots
    ]
    return Undecided(tuple(tweets), note)
