"""A corpus as two folders of CoNLL text: the tweets, and the tweets with the words of their images.

The sentences of both folders are the same in the same order, as their readers pair them by number.
A context word, and the separator `<EOS>` before it, has a mark for a tag. What could be read as
something else is changed in both folders alike: a `<EOS>` inside a token becomes `&lt;EOS&gt;`,
white space inside a token `_`; in context words a `<EOS>` is left out. The context is built as for
our own ITA, so a run there and here reads the same words where tokenizer and options are the same.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.interop.artefacts.context_conll import SEPARATOR, written_token
from extract.interop.layouts.base import Corpus, count_unlabelled, project_tags
from extract.networks.checkpoints.tokenizer_files import load_word_tokenizer
from extract.tables.samples import SPLITS, Sample
from extract.words.image_text import (
    GROUPS,
    ContextOptions,
    Segment,
    append_context,
    context_segments,
)

# Found by their names: readers take `dev`, not `valid`, and else a random tenth of train.
FILES = {"train": "train.txt", "valid": "dev.txt", "test": "test.txt"}


@dataclass(frozen=True)
class ViewOptions(ContextOptions):
    """How the words of an image are chosen, joined and counted."""

    use: tuple[str, ...] = tuple(GROUPS)
    """Groups of image words, in the order they are appended; one without a store is left out."""
    tokenizer: str | None = None
    """Checkpoint folder whose tokenizer counts the pieces of `max_subwords`; null: a word is one
    piece, and the readers cut what is too long for their encoder."""


@dataclass(frozen=True)
class Form:
    """How a project writes its lines."""

    mark: str
    """Tag of a context word."""
    gap: str
    """Between the columns."""


def export_views(corpus: Corpus, out: Path, options: ViewOptions, form: Form) -> dict[str, Any]:
    """Write `<name>/` and `<name>_doc_<groups>/` with a file a split; return counts.

    Raises:
        ConfigError: a split is missing, or no group has a store.
        DataError: a sample has no token.
    """
    missing = [split for split in SPLITS if split not in corpus.samples]
    if missing:
        raise ConfigError(
            f"--samples: {', '.join(missing)} not given. Without it the readers would take part of "
            "another split."
        )
    used = tuple(group for group in options.use if group in corpus.stores)
    if not used:
        raise ConfigError(
            f"--store: give at least one of {', '.join(f'{group}=FILE' for group in options.use)}"
        )
    unused = sorted(set(corpus.stores) - set(used))
    if unused:
        raise ConfigError(f"--store: {', '.join(unused)} given, but not in the option `use`")
    options = replace(options, use=used)
    count_subwords = subword_counter(options.tokenizer)
    folders = out / corpus.name, out / f"{corpus.name}_doc_{'_'.join(used)}"
    counts = {"sentences": {}, "with_context": {}, "context_words": 0, "changed_tokens": 0}
    for split in SPLITS:
        views = [_view(sample, corpus, options, count_subwords) for sample in corpus.samples[split]]
        for folder, with_context in zip(folders, (False, True), strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            blocks = [_block(view, form, with_context=with_context) for view in views]
            (folder / FILES[split]).write_bytes("".join(blocks).encode("utf-8"))
        counts["sentences"][split] = len(views)
        counts["with_context"][split] = sum(bool(view.context) for view in views)
        counts["context_words"] += sum(len(view.context) for view in views)
        counts["changed_tokens"] += sum(view.n_changed for view in views)
    return {**counts, "groups": list(used), "unlabelled": count_unlabelled(corpus)}


@dataclass(frozen=True)
class _View:
    tokens: list[str]
    tags: list[str]
    context: list[str]
    """With separators."""
    n_changed: int


def _view(
    sample: Sample,
    corpus: Corpus,
    options: ViewOptions,
    count_subwords: Callable[[Sequence[str]], int],
) -> _View:
    if not sample.tokens or not all(sample.tokens):
        raise DataError(f"sample {sample.id!r}: has no token, or an empty one. Correct the corpus.")
    tokens = [written_token(token) for token in sample.tokens]
    items = {}
    for group in options.use:
        store = corpus.stores[group]
        items[group] = store.item(sample.id if store.id_kind == "sample" else sample.image_id)
    segments = context_segments(items, options, f"image {sample.image_id!r}")
    words = append_context(
        tokens,
        [without_separator(segment) for segment in segments],
        options,
        separator=SEPARATOR,
        count_subwords=count_subwords,
    )
    changed = sum(old != new for old, new in zip(sample.tokens, tokens, strict=True))
    return _View(tokens, project_tags(sample, {}), words[len(tokens) :], changed)


def without_separator(segment: Segment) -> Segment:
    """Return a segment rid of the separator's literal, and of words that are nothing else."""
    words: list[str] = []
    kept = [0]
    for word in segment.words:
        rest = word
        # More than once: what is left of `<EO<EOS>S>` is a separator, too.
        while SEPARATOR in rest:
            rest = rest.replace(SEPARATOR, "")
        words += [rest] if rest else []
        kept.append(len(words))
    return Segment(words, tuple(kept[cut] for cut in segment.cuts))


def _block(view: _View, form: Form, *, with_context: bool) -> str:
    """Return the lines of a sentence and the blank line that ends it."""
    pairs = list(zip(view.tokens, view.tags, strict=True))
    if with_context:
        pairs += [(word, form.mark) for word in view.context]
    return "".join(f"{word}{form.gap}{tag}\n" for word, tag in pairs) + "\n"


def subword_counter(folder: str | None) -> Callable[[Iterable[str]], int]:
    """Return what counts the pieces of words, as the encoder here does: word by word.

    Args:
        folder: checkpoint folder with a tokenizer; None counts words.

    Raises:
        MissingFileError: no such folder, or no usable tokenizer in it.
    """
    if folder is None:
        return lambda words: sum(1 for _ in words)
    if not Path(folder).is_dir():
        raise MissingFileError(f"tokenizer: no folder {folder}")
    tokenizer = load_word_tokenizer(Path(folder))
    known: dict[str, int] = {}

    def count(words: Iterable[str]) -> int:
        total = 0
        for word in words:
            if word not in known:
                pieces = tokenizer(
                    [word],
                    is_split_into_words=True,
                    add_special_tokens=False,
                    # A tweet that spells "</s>" has no such piece.
                    split_special_tokens=True,
                )
                # A word without pieces is read as the unknown one.
                known[word] = len(pieces["input_ids"]) or 1
            total += known[word]
        return total

    return count
