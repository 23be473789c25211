"""Words for models without a subword tokenizer: normal form, vocabularies, word-vector files."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from extract.errors import DataError, MissingFileError

PAD, UNK = "[pad]", "[unk]"
PAD_ID, UNK_ID = 0, 1
NUMBER, URL = "<number>", "<url>"
SPREAD = 0.25
"""Rows without a pretrained vector are drawn from U(-SPREAD, SPREAD)."""

# The four tests are those of GloVe-Twitter's preprocessing: public vectors know both spellings.
_NUMBER = re.compile(r"[-+]?[.\d]*\d[:,.\d]*")
_URL = re.compile(r"https?://\S+\b|www\.(?:\w+\.)+\S*")
_HASHTAG = re.compile(r"#\S")
_HANDLE = re.compile(r"@\w")


def normalize_word(token: str, *, number_test: str = "full") -> str:
    """Return the spelling under which a token is looked up.

    Args:
        token: as it stands in the text.
        number_test: `full` asks the whole token to be a number, `prefix` only its start (so that
            `1st` and `2nite` are numbers, too).

    Returns:
        `<number>`, `<url>`, or the token in lower case without one leading `#` or `@`.

    Source: upstream's rules in its order (the order of the tests matters: `#2015` is no number).
    """
    is_number = _NUMBER.fullmatch if number_test == "full" else _NUMBER.match
    if is_number(token):
        return NUMBER
    if _URL.match(token):
        return URL
    if _HASHTAG.match(token) or _HANDLE.match(token):
        return token[1:].lower()
    return token.lower()


def rank_symbols(symbols: Iterable[str]) -> list[str]:
    """Return `[pad]`, `[unk]`, then distinct symbols by falling frequency, ties as first seen."""
    return [PAD, UNK, *(symbol for symbol, _ in Counter(symbols).most_common())]


def read_word_vectors(path: Path, dim: int, *, limit: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (word, vector) of a text file: a word and its numbers on each line.

    A first line of two fields (count and width, word2vec's header) is skipped; of a word that
    occurs twice the first vector counts.

    Args:
        path: UTF-8 text; fields separated by blanks or tabs.
        dim: numbers a line.
        limit: read only so many words; 0 reads all.

    Yields:
        The word and its vector, shape (dim,), float32.

    Raises:
        MissingFileError: no such file.
        DataError: a line has another number of numbers.
    """
    if not path.is_file():
        raise MissingFileError(
            f"{path}: no such file of word vectors. Give one (a word and {dim} numbers a line, "
            "e.g. GloVe-Twitter 200-d) or set word_vectors to null."
        )
    vectors = _read_all_vectors(path, dim)
    yield from islice(vectors, limit) if limit else vectors


def _read_all_vectors(path: Path, dim: int) -> Iterator[tuple[str, np.ndarray]]:
    seen: set[str] = set()
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            # Only blanks and tabs separate: a word may be a no-break space.
            word, *fields = line.strip(" \t\r\n").replace("\t", " ").split(" ")
            if number == 1 and len(fields) == 1 and dim != 1:
                continue
            vector = _parse_vector(fields)
            if vector is None or len(vector) != dim:
                got = f"{len(fields)} fields" if vector is None else f"{len(vector)} numbers"
                raise DataError(f"{path}:{number}: expected {dim} numbers after a word, got {got}")
            if word not in seen:
                seen.add(word)
                yield word, vector


def _parse_vector(fields: Sequence[str]) -> np.ndarray | None:
    try:
        vector = np.array([field for field in fields if field], dtype=np.float32)
    except ValueError:
        return None
    return vector if np.isfinite(vector).all() else None


def build_word_vocabulary(
    sentences: Iterable[Sequence[str]],
    with_vector: Iterable[str] = (),
    *,
    number_test: str = "full",
    char_text: str = "raw",
) -> dict[str, list]:
    """Return what a word-based model remembers of its training text.

    Args:
        sentences: tokens of each sentence of the training split. Fed with all three splits (and
            `prefix`, `normalized`) this is the published vocabulary, which reads the test text.
        with_vector: the words of the vector file.
        number_test: see `normalize_word`.
        char_text: `raw` takes characters from tokens, `normalized` from their normal forms.

    Returns:
        `words` (`[pad]`, `[unk]`, those of the text by falling frequency, then those only the
        vector file has), `chars` (of the text), and `singletons`, the rows of the words that the
        text has once and the file has not. JSON-able.

    Source: upstream's vocabulary, but of the training split alone.
    """
    tokens = [token for sentence in sentences for token in sentence]
    normal = [normalize_word(token, number_test=number_test) for token in tokens]
    words, with_vector = rank_symbols(normal), set(with_vector)
    once = {word for word, count in Counter(normal).items() if count == 1} - with_vector
    # Sorted, because the order of a set differs from run to run.
    words += sorted(with_vector.difference(words))
    spellings = tokens if char_text == "raw" else normal
    return {
        "words": words,
        "chars": rank_symbols(character for text in spellings for character in text),
        "singletons": [row for row, word in enumerate(words) if word in once],
    }


def hashed_vector(word: str, dim: int) -> np.ndarray:
    """Return the vector U(-0.25, 0.25) that belongs to a spelling, on every machine the same.

    Stands in for the random, frozen rows that upstream gives to words of the test split, without
    reading that split. # shape: (dim,), float32
    """
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).uniform(-SPREAD, SPREAD, dim).astype(np.float32)
