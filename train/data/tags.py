"""Tag schemes inside models: BIOES and the tag list; entities come from extract/tables/tags.py."""

from collections.abc import Sequence

from extract.tables.tags import Span, entity_spans, split_tag

__all__ = ["Span", "bio_to_bioes", "bioes_to_bio", "entity_spans", "split_tag", "tag_set"]


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
