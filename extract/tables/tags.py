"""BIO tags and their entities, in conlleval's reading and in strict IOB2."""

from collections.abc import Sequence

Span = tuple[str, int, int]
"""(entity type, first token, last token + 1)."""


def split_tag(tag: str) -> tuple[str, str]:
    """Return (prefix, type): `B-PER` -> ("B", "PER"), `O` -> ("O", "")."""
    prefix, _, entity_type = tag.partition("-")
    return prefix, entity_type


def entity_spans(tags: Sequence[str], *, strict: bool = False) -> list[Span]:
    """Return the entities of a BIO sequence, in order.

    Args:
        tags: BIO tags of one sentence.
        strict: False reads as conlleval and seqeval's default mode do: an `I-X` after `O`, after
            another type or at the start opens an entity. True is strict IOB2: such an `I-X` and
            what continues it are ignored.

    Source: Tjong Kim Sang and De Meulder 2003, conlleval (lenient); Ramshaw and Marcus 1999 (IOB2).
    """
    spans: list[Span] = []
    start, current = 0, ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, entity_type = split_tag(tag)
        if prefix == "I" and current and entity_type == current:
            continue
        if current:
            spans.append((current, start, position))
        opens = prefix == "B" or (prefix == "I" and not strict)
        start, current = position, entity_type if opens else ""
    return spans


def is_orphan(previous: str, tag: str) -> bool:
    """True for an `I-X` that continues no `X`: invalid in IOB2 (`previous` is `O` at the start)."""
    prefix, entity_type = split_tag(tag)
    return prefix == "I" and split_tag(previous)[1] != entity_type
