"""AdaSeq's corpora (MoRe, PGIM): as ITA's, with a tab between columns and the mark `X`.

Split files are `train.txt`, `dev.txt`, `test.txt`; name those of the folder with `_doc_` in the
YAML, or those of the other folder for a model of text alone.

Source: Wang et al. 2022, Named Entity and Relation Extraction with Multi-Modal Retrieval, Findings
of EMNLP (MoRe); Li et al. 2023, Prompting ChatGPT in MNER, Findings of EMNLP (PGIM);
github.com/modelscope/AdaSeq.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.interop.layouts.base import Corpus
from extract.interop.text_views import Form, ViewOptions, export_views

HELP = "AdaSeq (MoRe, PGIM): tweets with captions, objects and OCR, and without."
NEEDS = ()
TAKES = ("captions", "objects", "ocr", "context")
NAMES = ()


@dataclass(frozen=True)
class Options(ViewOptions):
    """The words of an image."""


def export(corpus: Corpus, out: Path, options: Options) -> dict[str, Any]:
    """Write both folders; return counts."""
    return export_views(corpus, out, options, Form("X", "\t"))
