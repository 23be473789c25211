"""Co-MIPN's folder: HVPNeT's files at the paths that its code has (its README names others).

Source: the loader of github.com/Lidaiyi-lab/Co-MIPN.
"""

from pathlib import Path
from typing import Any

from extract.interop.layouts import hvpnet
from extract.interop.layouts.base import Corpus
from extract.interop.layouts.hvpnet import Options, Places

HELP = "Co-MIPN: as HVPNeT, at its own paths; run its run.py in the folder."
NEEDS = hvpnet.NEEDS
TAKES = hvpnet.TAKES
NAMES = hvpnet.NAMES

_BASES = {
    "twitter2015": "data/twitter15_data/twitter15_data",
    "twitter2017": "data/twitter17_data/data",
}


def places(name: str) -> Places:
    """Return Co-MIPN's places of a corpus."""
    hvpnet.check_name(name, "Co-MIPN")
    return Places("Co-MIPN", name, text=f"{_BASES[name]}/{name}", beside=_BASES[name])


def export(corpus: Corpus, out: Path, options: Options) -> dict[str, Any]:
    """Write the folder; return counts."""
    return hvpnet.export_family(corpus, out, options, places(corpus.name))
