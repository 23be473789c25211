"""How fast the phrase backends are on real tweets, and how far they agree.

Run it on one core: `taskset -c 1 python tests/bench/phrases.py`; times are CPU time. The corpora
are looked for in `$MNER_SHARED`, else in `../shared/data` beside the project; nltk's tagger along
`$NLTK_DATA`, else in `nltk_data` beside the corpora. The bare loop is the library's tagger over the
corpus's tokens and nltk.RegexpParser over its tags, with no rule for tweets and no offsets.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from extract.commands.phrases import load_backend  # noqa: E402
from extract.core.errors import MnerError  # noqa: E402
from extract.corpora.readers.base import TextSettings  # noqa: E402
from extract.corpora.readers.conll_imgid import iter_samples  # noqa: E402
from extract.phrases import tweets  # noqa: E402
from extract.phrases.chunking import GRAMMAR  # noqa: E402
from extract.tables.rows import Phrase  # noqa: E402
from extract.tables.samples import SPLITS  # noqa: E402

BACKENDS = ("nltk", "textblob")
BATCH = 256
COLUMNS = (
    ("backend", 9),
    ("tweets", 7),
    ("cpu s", 8),
    ("tweets/s", 9),
    ("bare/s", 8),
    ("ratio", 6),
    ("phrases/tweet", 14),
    ("without", 8),
)


class Result(NamedTuple):
    """The timings of one backend and what it found."""

    seconds: float
    bare_seconds: float
    found: list[list[Phrase]]


def main() -> int:
    """Print the table, the agreement and, if asked for, examples; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each loop; the best counts")
    parser.add_argument("--show", type=int, default=0, help="random tweets to print")
    parser.add_argument("--seed", type=int, default=0, help="of the random tweets")
    args = parser.parse_args()
    folder = Path(os.environ.get("MNER_SHARED", ROOT.parent / "shared" / "data"))
    os.environ.setdefault("NLTK_DATA", str(folder / "nltk_data"))
    try:
        tokens = [
            sample.tokens
            for corpus in ("twitter2015", "twitter2017")
            for split in SPLITS
            for sample in iter_samples(folder / corpus, split, TextSettings())
        ]
        results = {name: measure(name, tokens, args.repeat) for name in BACKENDS}
    except MnerError as error:
        print(f"bench phrases: {error}", file=sys.stderr)
        return 2
    print_table(results, len(tokens))
    print_agreement(results)
    print_examples(results, tokens, random.Random(args.seed), args.show)
    return 0


def measure(name: str, tokens: Sequence[list[str]], repeat: int) -> Result:
    """Time our path and the bare loop in turn, each from an empty cache; keep the best of each."""
    backend = load_backend(name)
    backend.load(None)
    bare = bare_loop(name)
    bare(tokens[:1])
    seconds, bare_seconds, found = [], [], []
    for _ in range(repeat):
        tweets._look.cache_clear()
        started = time.process_time()
        found = []
        for first in range(0, len(tokens), BATCH):
            batch = tokens[first : first + BATCH]
            found += backend.phrases_of_many(batch, [""] * len(batch))
        seconds.append(time.process_time() - started)
        started = time.process_time()
        bare(tokens)
        bare_seconds.append(time.process_time() - started)
    return Result(min(seconds), min(bare_seconds), found)


def bare_loop(name: str) -> Callable[[Sequence[list[str]]], None]:
    """Return a loop of the library's tagger and of nltk.RegexpParser."""
    from nltk import RegexpParser

    parse = RegexpParser(GRAMMAR).parse
    if name == "nltk":
        from nltk.tag.perceptron import PerceptronTagger

        tag = PerceptronTagger(lang="eng").tag
    else:
        from textblob.en import parser

        def tag(words: list[str]) -> list[tuple[str, str]]:
            return [(word, tag) for word, tag in parser.find_tags(words)]

    def run(tokens: Sequence[list[str]]) -> None:
        for words in tokens:
            parse(tag(words))

    return run


def print_table(results: dict[str, Result], n_tweets: int) -> None:
    """Print a line a backend."""
    print("".join(f"{name:>{width}}" for name, width in COLUMNS))
    for name, (seconds, bare_seconds, found) in results.items():
        row = (
            name,
            n_tweets,
            f"{seconds:.2f}",
            f"{n_tweets / seconds:.0f}",
            f"{n_tweets / bare_seconds:.0f}",
            f"{bare_seconds / seconds:.2f}",
            f"{sum(map(len, found)) / n_tweets:.2f}",
            f"{sum(not phrases for phrases in found) / n_tweets:.2%}",
        )
        print("".join(f"{cell:>{width}}" for cell, (_, width) in zip(row, COLUMNS, strict=True)))


def print_agreement(results: dict[str, Result]) -> None:
    """Print which share of the spans of each backend the other found too."""
    first, second = (_spans(results[name].found) for name in BACKENDS)
    both = len(first & second)
    print(
        f"\nsame span: {both / len(first):.1%} of {BACKENDS[0]}'s phrases are {BACKENDS[1]}'s, "
        f"{both / len(second):.1%} the other way, Jaccard {both / len(first | second):.3f}"
    )


def _spans(found: Sequence[Sequence[Phrase]]) -> set[tuple[int, int, int]]:
    return {(i, phrase.start, phrase.end) for i, row in enumerate(found) for phrase in row}


def print_examples(
    results: dict[str, Result], tokens: Sequence[list[str]], rng: random.Random, count: int
) -> None:
    """Print random tweets with what each backend found."""
    for i in sorted(rng.sample(range(len(tokens)), count)):
        print(f"\n{' '.join(tokens[i])}")
        for name, result in results.items():
            texts = " | ".join(f"{p.text} [{p.start}:{p.end}]" for p in result.found[i])
            print(f"  {name:>8}: {texts}")


if __name__ == "__main__":
    sys.exit(main())
