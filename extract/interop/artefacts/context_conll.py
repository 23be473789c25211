"""Tweets with ready-made context, as ITA, MoRe and PGIM keep them: CoNLL text with marked words.

Two columns, or four, separated by tabs or spaces; a blank line ends a sentence. The words of the
image (or of retrieved text) follow those of the tweet and have a mark for a tag: `B-X` (ITA; `S-X`
once converted to BIOES) or `X` (AdaSeq). A marked `<EOS>` separates segments. There are no image
ids: sentences go by their order.

`import` makes a text store of it, one row a segment, whose ids are those of the samples; ITA takes
it in the role `context`.

Source: the corpora of github.com/Alibaba-NLP/KB-NER (ITA, Wang et al. 2022) and of
github.com/modelscope/AdaSeq (MoRe, Wang et al. 2022).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.interop.base import Imported
from extract.tables.rows import ItemFeatures, Outputs, nothing_found
from extract.tables.samples import SPLITS, Sample
from extract.tables.text_lines import iter_text_lines

HELP = "ready-made context of tweets (CoNLL with B-X, S-X or X): text rows of samples"
VERSION = 1
GIVES = "context"
ID_KIND = "sample"

SEPARATOR = "<EOS>"
# What a separator is written as where it is a word of the tweet.
ESCAPED_SEPARATOR = "&lt;EOS&gt;"

# Tags of context words.
_MARKS = frozenset({"B-X", "S-X", "X"})
_COLUMN_GAP = re.compile(r"[\t ]+")
_TAG = re.compile(r"O|[BIESLU]-\S+")
_MAX_LINE = 100_000
# Parts of file names, the surest first: `testa` is a validation split.
_SPLIT_NAMES = {"train": ("train",), "valid": ("dev", "testa"), "test": ("testb", "test")}


@dataclass(frozen=True)
class Options:
    """There is nothing to choose."""


@dataclass(frozen=True)
class ContextSentence:
    """A tweet and the words of its image."""

    tokens: list[str]
    tags: list[str]
    """As in the file, one a token."""
    context: list[list[str]] = field(default_factory=list)
    """Segments, none of them empty."""
    line: int = field(default=1, compare=False)
    """Of the first token."""


def read_context_conll(path: Path) -> list[ContextSentence]:
    """Read such a file; LF and CRLF, tabs and spaces are the same.

    Raises:
        DataError: a line breaks the format, or a marked word stands before one that is not.
        MissingFileError: no such file.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file. Check --source.")
    sentences = []
    current = _Builder()
    for number, line in iter_text_lines(path, max_bytes=_MAX_LINE):
        if line.strip("\t "):
            current.add(*_split_line(line, path, number), path, number)
        elif current.first_line:
            sentences.append(current.finish(path))
            current = _Builder()
    if current.first_line:
        sentences.append(current.finish(path))
    if not sentences:
        raise DataError(f"{path}: holds no sentence. Was it downloaded whole?")
    return sentences


class _Builder:
    """The sentence that is being read."""

    def __init__(self) -> None:
        self.first_line = 0
        self.tokens: list[str] = []
        self.tags: list[str] = []
        self.segments: list[list[str]] = []
        self._first_mark = 0

    def add(self, word: str, tag: str, path: Path, number: int) -> None:
        self.first_line = self.first_line or number
        if tag not in _MARKS:
            if self._first_mark:
                raise DataError(
                    f"{path}:{number}: word {word!r:.40} of the tweet stands after the context "
                    f"word in line {self._first_mark}. Context must be the end of a sentence."
                )
            if not _TAG.fullmatch(tag):
                raise DataError(f"{path}:{number}: '{tag:.40}' is neither a tag nor a mark")
            self.tokens.append(word)
            self.tags.append(tag)
            return
        self._first_mark = self._first_mark or number
        if word == SEPARATOR or not self.segments:
            self.segments.append([])
        if word != SEPARATOR:
            self.segments[-1].append(word)

    def finish(self, path: Path) -> ContextSentence:
        if not self.tokens:
            raise DataError(f"{path}:{self.first_line}: a sentence has context words only")
        segments = [segment for segment in self.segments if segment]
        return ContextSentence(self.tokens, self.tags, segments, self.first_line)


def _split_line(line: str, path: Path, number: int) -> tuple[str, str]:
    """Return the first and the last column."""
    columns = _COLUMN_GAP.split(line.strip("\t "))
    if len(columns) < 2:
        raise DataError(f"{path}:{number}: expected a word and its tag, got {line[:40]!r}")
    return columns[0], columns[-1]


def find_split_file(folder: Path, split: str) -> Path:
    """Return the file of a split, found by a part of its name as the field's readers do.

    Raises:
        DataError: several files could be it.
        MissingFileError: none is; `valid.txt` is not found by those readers either.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    for part in _SPLIT_NAMES[split]:
        # `testa` is no test file.
        found = [p for p in files if part in p.name and not (part == "test" and "testa" in p.name)]
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise DataError(f"{folder}: several files with '{part}' in their name: {names}")
        if found:
            return found[0]
    parts = "' or '".join(_SPLIT_NAMES[split])
    raise MissingFileError(f"{folder}: no file with '{parts}' in its name, for split '{split}'")


def read(source: Sequence[Path], samples: Sequence[Sequence[Sample]], options: Options) -> Imported:
    """Read the segments of samples, whose order the files have.

    Args:
        source: a file for each samples file, in the same order; or one folder, whose splits then
            are the samples files', in the order train, valid, test as far as they go.
        samples: of each samples file.
        options: none.

    Raises:
        ConfigError: the numbers of files differ.
        DataError: sentences and samples differ in number or words.
    """
    paths = list(source)
    if len(paths) == 1 and paths[0].is_dir():
        paths = [find_split_file(paths[0], split) for split in SPLITS[: len(samples)]]
    if len(paths) != len(samples):
        raise ConfigError(
            f"context_conll: {len(paths)} files but {len(samples)} samples files; give one for each"
        )
    contexts: list[list[list[str]]] = []
    for path, of_split in zip(paths, samples, strict=True):
        sentences = read_context_conll(path)
        for sentence, sample in zip(sentences, of_split, strict=False):
            _check_sample(sentence, sample, path)
        if len(sentences) != len(of_split):
            raise DataError(f"{path}: {len(sentences)} sentences, but {len(of_split)} samples")
        contexts += [sentence.context for sentence in sentences]
    outputs = Outputs(text=True)
    items = (
        ItemFeatures(text=[" ".join(segment) for segment in context])
        if context
        else nothing_found("no context in the file", outputs)
        for context in contexts
    )
    return Imported(outputs, items, {"segments": sum(map(len, contexts))})


def _check_sample(sentence: ContextSentence, sample: Sample, path: Path) -> None:
    """See that a sentence is the sample, or the sample as an export of ours writes it."""
    if sentence.tokens not in (sample.tokens, list(map(written_token, sample.tokens))):
        raise DataError(
            f"{path}:{sentence.line}: the words are not those of sample '{sample.id}': "
            f"{sentence.tokens!r:.80} and {sample.tokens!r:.80}"
        )


def written_token(token: str) -> str:
    """Return a token as it can stand in such a file.

    A `<EOS>` in it would be read as the separator, and white space of any kind (a no-break space
    is a token once in Twitter-2015) as the gap between columns.
    """
    return re.sub(r"\s", "_", token.replace(SEPARATOR, ESCAPED_SEPARATOR))
