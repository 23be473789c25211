"""Words for models without a subword tokenizer: normal form, vocabularies, word-vector files."""

import gzip
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from extract.core.errors import DataError, MissingFileError
from extract.networks.checkpoints.whole_files import damaged

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

    Source: the rules of ACN's PyTorch re-implementation in its order (the order of
        the tests matters: `#2015` is no number).
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

    The last `dim` fields are the vector: a word may hold blanks, as some of GloVe's do. A first
    line of two numbers (count and width, word2vec's header) is skipped; of a word that occurs
    twice the first vector counts.

    Args:
        path: UTF-8 text, gzipped or not; fields separated by blanks or tabs.
        dim: numbers a line.
        limit: read only so many words; 0 reads all.

    Yields:
        The word and its vector, shape (dim,), float32.

    Raises:
        MissingFileError: no such file.
        DataError: it is no such text, or a line has another number of numbers.
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
    for number, line in _numbered_lines(path):
        # Only blanks and tabs separate: a word may be a no-break space.
        fields = [field for field in line.replace("\t", " ").split(" ") if field]
        if number == 1 and len(fields) == 2 and all(map(str.isdecimal, fields)):
            if int(fields[1]) != dim:
                raise DataError(f"{path}: its vectors have {fields[1]} numbers, expected {dim}.")
            continue
        vector = _parse_vector(fields[-dim:]) if len(fields) > dim else None
        # A word that ends in a number would be one of wider vectors.
        if vector is None or (len(fields) > dim + 1 and _is_number(fields[-dim - 1])):
            raise DataError(
                f"{path}:{number}: expected a word and {dim} numbers, got {len(fields)} fields: "
                f"{line[:60]!r}. Set word_dim to the width of these vectors, or give others."
            )
        word = " ".join(fields[:-dim])
        if word not in seen:
            seen.add(word)
            yield word, vector
    if not seen:
        raise DataError(f"{path}: no word vector in it ({path.stat().st_size:,} bytes).")


def _numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line of a text file, gzipped or not.

    Raises:
        DataError: it is an archive, a pickle or other bytes, or a compressed file is cut off.
    """
    with path.open("rb") as file:
        start = file.read(2)
    if start[:1] == b"\x80" or start == b"PK":
        raise DataError(
            f"{path}: expected text, a word and its numbers a line; got a torch file, a pickle or "
            "a zip archive. Unpack an archive; write vectors of another kind as text."
        )
    number = 0
    try:
        with (gzip.open if start == b"\x1f\x8b" else open)(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.decode("utf-8").strip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{number}: not UTF-8 (byte 0x{error.object[error.start]:02x}). Convert text in "
            "Latin-1 with `iconv -f LATIN1 -t UTF-8`; write a binary word2vec file as text."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, str(error)) from error


def _parse_vector(fields: Sequence[str]) -> np.ndarray | None:
    try:
        vector = np.array(fields, dtype=np.float32)
    except ValueError:
        return None
    return vector if np.isfinite(vector).all() else None


def _is_number(field: str) -> bool:
    return _parse_vector([field]) is not None


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

    Source: the vocabulary of ACN's PyTorch re-implementation, but of the training split alone.
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

    Stands in for the random, frozen rows that ACN's PyTorch re-implementation gives to words of
    the test split, without reading that split. # shape: (dim,), float32
    """
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).uniform(-SPREAD, SPREAD, dim).astype(np.float32)
