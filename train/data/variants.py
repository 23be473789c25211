"""Variants of a run: the system as it is, and its controls, trained anew on less.

- `main`: every sample with what the stores hold for its own image;
- `shuffled`: with another sample's, the same one in every store;
- `blank`: with nothing of the image;
- `without_<role>`: without what the store of one role holds (captions, ocr, objects, crops, ...).
"""

from collections.abc import Iterable

from extract.core.errors import ConfigError, near_match

VARIANTS = ("main", "shuffled", "blank")
"""Variants of any system; those without a role follow from its roles."""

WITHOUT = "without_"


def absent_roles(variant: str, roles: Iterable[str]) -> tuple[str, ...]:
    """Return those of the roles of a system that a variant gives no rows."""
    return tuple(role for role in roles if variant in ("blank", WITHOUT + role))


def legal_variants(roles: Iterable[str]) -> tuple[str, ...]:
    """Return the variants of a system that reads these roles."""
    return (*VARIANTS, *(WITHOUT + role for role in roles))


def check_variant(variant: str, roles: Iterable[str], where: str) -> None:
    """See that a variant is one of a system that reads these roles.

    Raises:
        ConfigError: it is not; the message lists the legal ones and the nearest.
    """
    legal = legal_variants(roles)
    if variant not in legal:
        raise ConfigError(
            f"{where}: no variant '{variant}' of a system with these roles."
            f"{near_match(variant, legal)} Known: {', '.join(legal)}."
        )
