"""Which known copy a corpus is, and on what the answer rests.

Verdicts: `known` (each split is, by its fingerprint, the same split of one copy), `truncated`
(the same but for last tweets that are not there), `replaced` (the same, but a split holds the text
of another one, as where valid.txt is test.txt), `counts` (counts of a copy whose text was not at
hand), `unknown` (with the nearest copy). Only the splits that are there are compared.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from extract.corpora.audit.fingerprint import (
    fingerprint,
    n_different,
    n_shared,
    texts_of,
    tweet_digest,
)
from extract.corpora.audit.known_copies import KnownCopy, known_copies
from extract.tables.samples import Sample

IDENTICAL, TRUNCATED, DIFFERENT = "identical", "without the last tweet", "different"


def identify(
    splits: Mapping[str, Sequence[Sample]], counts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the verdict on a corpus.

    Args:
        splits: split -> its samples.
        counts: split -> `labels.count_split`.

    Returns:
        `verdict`, `copy` (name; None if unknown), `title`, `rests_on` (in words), `nearest` (the
        copy whose text is nearest; None where no tweet is shared), `splits` (split -> comparison
        with the nearest copy, see `compare_split`) and `fingerprints` (split -> SHA-256).
    """
    prints = {split: fingerprint(samples) for split, samples in splits.items()}
    digests = {split: tuple(map(tweet_digest, samples)) for split, samples in splits.items()}
    nearest, copy = _nearest(digests), _by_counts(counts)
    compared = _compare(nearest, prints, digests) if nearest else {}
    found = _by_fingerprint(compared)
    if found is not None:
        verdict, rests_on = found
        if copy is None:
            copy = nearest
        else:
            rests_on += f"; the counts are those of {copy.name}"
    elif copy is not None:
        names = ", ".join(_known_counts(copy))
        verdict = "counts"
        rests_on = f"counts only ({names} of each split): its text was not at hand to compare"
    else:
        verdict, rests_on = "unknown", "no fingerprint and no counts agree"
    return {
        "verdict": verdict,
        "copy": copy.name if copy else None,
        "title": copy.title if copy else None,
        "rests_on": rests_on,
        "nearest": nearest.name if nearest else None,
        "splits": compared,
        "fingerprints": prints,
    }


def _nearest(digests: Mapping[str, Sequence[str]]) -> KnownCopy | None:
    """Return the copy that shares most texts with the corpus, splits pooled."""
    texts = {text for found in digests.values() for text in texts_of(found)}
    shared = {
        copy.name: len(texts.intersection(texts_of(d for s in copy.digests.values() for d in s)))
        for copy in known_copies()
    }
    best = max(known_copies(), key=lambda copy: shared[copy.name])
    return best if shared[best.name] else None


def _compare(
    copy: KnownCopy, prints: Mapping[str, str], digests: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """Compare each split with the split of the copy that it shares most tweets with."""
    compared = {}
    for split, found in digests.items():
        # Of equals the one of the same name.
        names = sorted(copy.digests, key=lambda name: name != split)
        shared = {name: n_shared(found, copy.digests[name]) for name in names}
        other = max(names, key=lambda name: shared[name])
        is_same = prints[split] == copy.splits[other]["sha256"]
        compared[split] = compare_split(found, copy.digests[other], is_same=is_same, other=other)
    return compared


def compare_split(
    found: Sequence[str], known: Sequence[str], *, is_same: bool, other: str
) -> dict[str, Any]:
    """Compare the digests of a split with those of a split of a copy.

    Returns:
        `with` (the copy's split), `is` (`identical`, `without the last tweet`, `different`),
        `tweets`, `known_tweets`, `differ` (tweets changed, added or left out) and of these
        `differ_in_labels_only`, `not_in_known` (tweets of the corpus that the copy's split has
        not), `same_order`.
    """
    differ = n_different(found, known)
    in_text = n_different(texts_of(found), texts_of(known))
    is_cut = list(found) == list(known[:-1])
    return {
        "with": other,
        "is": IDENTICAL if is_same else TRUNCATED if is_cut else DIFFERENT,
        "tweets": len(found),
        "known_tweets": len(known),
        "differ": differ,
        "differ_in_labels_only": differ - in_text,
        "not_in_known": len(found) - n_shared(found, known),
        "same_order": list(found) == list(known),
    }


def _by_fingerprint(compared: Mapping[str, Mapping[str, Any]]) -> tuple[str, str] | None:
    """Return (verdict, what it rests on) where every split is a whole or cut known one."""
    kinds = {found["is"] for found in compared.values()}
    if not kinds or DIFFERENT in kinds:
        return None
    moved = [f"{split} is its {c['with']}" for split, c in compared.items() if split != c["with"]]
    cut = [split for split, found in compared.items() if found["is"] == TRUNCATED]
    whole = [split for split in compared if split not in cut]
    rests_on = [f"fingerprint of {', '.join(whole)}"] if whole else []
    if cut:
        rests_on.append(f"digests of the tweets of {', '.join(cut)}: all but the last")
    verdict = "replaced" if moved else "truncated" if cut else "known"
    return verdict, "; ".join(rests_on + moved)


def _known_counts(copy: KnownCopy) -> list[str]:
    return list(dict.fromkeys(key for entry in copy.splits.values() for key in entry))


def _by_counts(counts: Mapping[str, Mapping[str, Any]]) -> KnownCopy | None:
    """Return the copy without text, all of whose counts the corpus has."""
    for copy in known_copies():
        if not copy.digests and set(counts) == set(copy.splits):
            agree = (
                counts[split].get(key) == value
                for split, entry in copy.splits.items()
                for key, value in entry.items()
            )
            if all(agree):
                return copy
    return None
