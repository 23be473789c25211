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


def bio_to_bioes(tags: Sequence[str]) -> list[str]:
    """Return BIOES tags of the same entities; an orphan `I-X` becomes a begin (lenient reading)."""
    out = ["O"] * len(tags)
    for entity_type, start, end in entity_spans(tags):
        if end - start == 1:
            out[start] = f"S-{entity_type}"
            continue
        out[start], out[end - 1] = f"B-{entity_type}", f"E-{entity_type}"
        out[start + 1 : end - 1] = [f"I-{entity_type}"] * (end - start - 2)
    return out


def bioes_to_bio(tags: Sequence[str]) -> list[str]:
    """Return BIO tags: B and S open an entity, I and E continue one of the same type or open it."""
    out: list[str] = []
    open_type = ""
    for tag in tags:
        prefix, entity_type = split_tag(tag)
        if prefix == "O":
            out.append("O")
            open_type = ""
            continue
        continues = prefix in "IE" and open_type == entity_type
        out.append(f"{'I' if continues else 'B'}-{entity_type}")
        open_type = "" if prefix in "SE" else entity_type
    return out


def tag_set(entity_types: Sequence[str], scheme: str = "bio") -> list[str]:
    """Return `O` and then every prefixed tag, types in the given order."""
    prefixes = {"bio": "BI", "bioes": "BIES"}[scheme]
    return ["O", *(f"{prefix}-{name}" for name in entity_types for prefix in prefixes)]
