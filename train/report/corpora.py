"""What is known of each corpus: counts of the splits, and a link to the audit of its texts."""

import html
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from extract.core.errors import MissingFileError
from extract.tables.samples import SPLITS
from train.report.tables import Table, table_html

AUDIT = "audit.html"
"""Page of `python -m extract audit` in the folder of a dataset."""

LINK = "Audit of the texts: labels, duplicates, overlap of the splits"

COUNTS = ("tweets", "tokens", "entities")


def corpora_html(folders: Mapping[str, Path], out: Path) -> str:
    """Return the tables of counts and the links.

    Args:
        folders: dataset -> its folder of results, with stats.json; an audit in it is linked.
        out: folder of the page, from which links start.

    Raises:
        MissingFileError: a folder has no stats.json.
    """
    return "\n".join(_corpus(name, folder, out) for name, folder in folders.items())


def _corpus(name: str, folder: Path, out: Path) -> str:
    path = folder / "stats.json"
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file. `python -m extract dataset` writes it.")
    table = _counts(json.loads(path.read_text(encoding="utf-8")))
    parts = [f"<h3>{html.escape(name)}</h3>", table_html(table, f"Counts of {name}")]
    if (folder / AUDIT).is_file():
        target = quote(os.path.relpath(folder / AUDIT, out))
        parts.append(f'<p><a href="{target}">{LINK}</a></p>')
    return "\n".join(parts)


def _counts(stats: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a line a split: tweets, tokens, entities, entities of each type, images by status."""
    lines = []
    for split in sorted(stats, key=lambda name: SPLITS.index(name) if name in SPLITS else 9):
        found = stats[split]
        line = {"split": split, **{name: str(found[name]) for name in COUNTS}}
        line |= {name: str(count) for name, count in sorted(found["types"].items())}
        images = sorted(found["images"].items())
        line |= {f"images {name.replace('_', ' ')}": str(count) for name, count in images}
        lines.append(line)
    columns = tuple(dict.fromkeys(name for line in lines for name in line))
    return Table(columns, [{name: line.get(name, "0") for name in columns} for line in lines])
