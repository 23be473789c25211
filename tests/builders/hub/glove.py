"""Files of word vectors: Stanford's GloVe, and word2vec's text.

Forms: nlp.stanford.edu/projects/glove: UTF-8 text, one word and its numbers a line, separated by
blanks, no header; `glove.twitter.27B` has `<user>`, `<url>`, `<number>` and, among others, a
no-break space and U+0085 as words; in `glove.840B.300d` some words hold blanks (`. . .`,
`at name@domain.com`). word2vec's text (also gensim's and fastText's `.vec`) begins with a line of
count and width.

Seen in reports of readers that failed on them, not in the files themselves.
"""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

FORMS = ("twitter", "840B", "word2vec", "gzip")
WIDTHS = {"twitter": 200, "840B": 300, "word2vec": 300, "gzip": 200}
_WORDS = {
    "twitter": ("<user>", ".", ":", "rt", "<url>", "<number>", "\xa0", "\x85", "日本", "7", "#"),
    "840B": (",", ".", "the", ". . .", "at name@domain.com", "Killerseats.com", "1/2", "-0.5"),
    "word2vec": ("</s>", "in", "for", "New_York"),
    "gzip": ("<user>", ".", "the"),
}


def write_vectors(
    path: Path, form: str = "twitter", size: str = "tiny", words: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Write a file; return word -> vector.

    Args:
        path: to write.
        form: one of `FORMS`.
        size: `published` gives the vectors their published width, `tiny` 4 numbers.
        words: to be in it besides those that make the form.
    """
    dim = WIDTHS[form] if size == "published" else 4
    all_words = dict.fromkeys([*_WORDS[form], *words])
    # Four decimals of numbers below 10 are five digits, which the file keeps.
    values = np.random.default_rng(0).normal(size=(len(all_words), dim)).round(4)
    lines = [
        " ".join([word, *(f"{value:.5g}" for value in row)])
        for word, row in zip(all_words, values, strict=True)
    ]
    if form == "word2vec":
        lines.insert(0, f"{len(all_words)} {dim}")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text) if form == "gzip" else text)
    return dict(zip(all_words, values.astype(np.float32), strict=True))
