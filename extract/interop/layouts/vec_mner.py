"""VEC-MNER's folder: DeepKE's, on whose code it is built; the paths are the same.

Source: the loader of github.com/wpfnlp/VEC-MNER (Wei et al. 2024, VEC-MNER: Hybrid Transformer with
Visual-Enhanced Cross-Modal Multi-level Interaction for Multimodal NER, ICMR).
"""

from pathlib import Path
from typing import Any

from extract.interop.layouts import deepke, hvpnet
from extract.interop.layouts.base import Corpus
from extract.interop.layouts.hvpnet import Options, Places

HELP = "VEC-MNER: the same folder as DeepKE's; for example/ner/multimodal."
NEEDS = deepke.NEEDS
TAKES = deepke.TAKES
NAMES = deepke.NAMES


def places(name: str) -> Places:
    """Return VEC-MNER's places of a corpus."""
    return deepke.one_folder(name, "VEC-MNER")


def export(corpus: Corpus, out: Path, options: Options) -> dict[str, Any]:
    """Write the folder; return counts."""
    return hvpnet.export_family(corpus, out, options, places(corpus.name))
