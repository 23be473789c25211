"""ITA's corpora (KB-NER): the tweets in one folder, tweets with context in another.

Two columns, a space between them; the mark of context words and of the separator is `B-X`, which
the reader turns into `S-X` as it converts BIO to BIOES, and masks. Split files are `train.txt`,
`dev.txt`, `test.txt`. Name both folders in ITA's YAML, the one with `_doc_` as the corpus with
context.

Source: Wang et al. 2022, ITA: Image-Text Alignments for Multi-Modal Named Entity Recognition,
NAACL; the reader of github.com/Alibaba-NLP/KB-NER.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from extract.interop.layouts.base import Corpus
from extract.interop.text_views import Form, ViewOptions, export_views

HELP = "ITA (KB-NER): folders of the text view and of the view with captions, objects and OCR."
NEEDS = ()
TAKES = ("captions", "objects", "ocr", "context")
NAMES = ()

_GAPS = {"space": " ", "tab": "\t"}


@dataclass(frozen=True)
class Options(ViewOptions):
    """The words of an image, and the gap between columns."""

    column_gap: Literal["space", "tab"] = "space"
    """The reader takes either."""


def export(corpus: Corpus, out: Path, options: Options) -> dict[str, Any]:
    """Write both folders; return counts."""
    return export_views(corpus, out, options, Form("B-X", _GAPS[options.column_gap]))
