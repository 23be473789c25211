"""Orphan `I-` tags and the one valid reading of each.

An orphan continues no entity of its type. conlleval reads it as the begin of an entity; strict IOB2
drops it. Three rules, each with its reason:

`type_switch` (B-LOC I-ORG) and `orphan_inside` (O I-ORG): the orphan becomes `B-`. The entities in
conlleval's reading stay as they are, and the strict reading now agrees with it.

`split_abbreviation` (O O I-PER on "J . Cole"): the tokenizer of Twitter-2015 cut the dot off an
abbreviation, and both halves lost their label; the entity began on what is O now. The abbreviation
and its dot become part of the entity: `B- I- I-`, or `I- I- I-` where an entity of the same type
ends right before them ("George W . Bush"). The rule takes the token before the dot for an
abbreviation where it is
  - an initial: one capital letter; initials go on to the left ("J . K . Rowling"), and a title or
    place word before them is taken in ("Dr . A . King"),
  - a title of a person (`TITLES`), if the entity is a person ("Dr . Seuss"; "Dr . Pepper" stays),
  - one of the words that names begin with (`NAME_WORDS`, "St . Louis"),
and is `O`, as its dot is. Otherwise the rule of `orphan_inside` holds. Evidence in Twitter-2015:
where no dot was cut off, titles belong to the name (25 of 33 titles right before a name).

Other split-off signs ("Levi ' s Stadium", "Washington , DC") lose labels too, but there the token
before the sign is often no part of the name; nothing is guessed.
"""

from dataclasses import dataclass

from extract.corpora.audit.labels import invalid_transitions
from extract.corpora.repairs.format import Reason
from extract.tables.samples import Sample
from extract.tables.tags import split_tag

TITLES = frozenset((
    "capt", "col", "dr", "fr", "gen", "gov", "lt", "mr", "mrs", "ms", "pres", "prof", "rev", "sen",
    "sgt",
))  # fmt: skip
"""Titles of persons, in lower case."""

NAME_WORDS = frozenset(("ft", "mt", "st", "univ"))
"""Words that names of every type begin with, in lower case."""

PERSON = "PER"


@dataclass(frozen=True)
class Change:
    """New tags for the tokens [start, start + len(after)) of one tweet."""

    start: int
    after: tuple[str, ...]
    reason: Reason
    note: str = ""

    @property
    def end(self) -> int:
        """Last token + 1."""
        return self.start + len(self.after)


def repair_orphans(sample: Sample) -> list[Change]:
    """Return one change for each orphan of a tweet, in order; they share no token."""
    changes = []
    for kind, position in invalid_transitions(sample):
        entity_type = split_tag(sample.tags[position])[1]
        start = _name_start(sample, position, entity_type) if kind == "after_dot" else position
        if start < position:
            continues = start > 0 and split_tag(sample.tags[start - 1])[1] == entity_type
            first = "I" if continues else "B"
            after = (f"{first}-{entity_type}", *[f"I-{entity_type}"] * (position - start))
            changes.append(Change(start, after, "split_abbreviation"))
        else:
            reason = "type_switch" if kind == "type_switch" else "orphan_inside"
            changes.append(Change(position, (f"B-{entity_type}",), reason))
    return changes


def _name_start(sample: Sample, position: int, entity_type: str) -> int:
    """Return the first token of the abbreviations that end right before `position`."""
    start = position
    while _is_cut_off(sample, start, entity_type):
        start -= 2
        if not _is_initial(sample.tokens[start]):
            break
    return start


def _is_cut_off(sample: Sample, start: int, entity_type: str) -> bool:
    """Whether an abbreviation and its dot, both O, stand right before `start`."""
    if start < 2 or sample.tokens[start - 1] != "." or sample.tags[start - 2 : start] != ["O", "O"]:
        return False
    word = sample.tokens[start - 2]
    if _is_initial(word):
        return True
    is_title = entity_type == PERSON and word.lower() in TITLES
    return word[:1].isupper() and (is_title or word.lower() in NAME_WORDS)


def _is_initial(word: str) -> bool:
    return len(word) == 1 and word.isupper()
