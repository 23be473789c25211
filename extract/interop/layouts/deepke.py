"""DeepKE's multimodal NER example (IFAformer): HVPNeT's files, and the crops of a detector.

The detector's dictionary is one for all splits; its keys are image ids up to their first dot, and
its values paths from the folder of the texts. Without detector crops it is empty, and the loader
fills up with zeros. RPI-HMIF is built on the same code.

Source: the loader of github.com/zjunlp/DeepKE, example/ner/multimodal (Zhang et al. 2022, DeepKE:
A Deep Learning Based Knowledge Extraction Toolkit, EMNLP demos).
"""

from pathlib import Path
from typing import Any

from extract.interop.layouts import hvpnet
from extract.interop.layouts.base import Corpus
from extract.interop.layouts.hvpnet import Options, Places

HELP = "DeepKE (IFAformer): as HVPNeT, with a detector's crops; for example/ner/multimodal."
NEEDS = ("crops",)
TAKES = ("detector_crops",)
NAMES = hvpnet.NAMES


def places(name: str) -> Places:
    """Return DeepKE's places of a corpus: all of it in one folder."""
    return one_folder(name, "DeepKE")


def export(corpus: Corpus, out: Path, options: Options) -> dict[str, Any]:
    """Write the folder; return counts."""
    return hvpnet.export_family(corpus, out, options, places(corpus.name))


def one_folder(name: str, project: str) -> Places:
    """Return the places of DeepKE and what is built on its code."""
    hvpnet.check_name(name, project)
    return Places(project, name, text=f"data/{name}", beside=f"data/{name}", has_detector=True)
