"""Predicted tags as a CoNLL file: `IMGID:` line, `token TAB gold TAB pred` lines, a blank line."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from extract.core.errors import DataError, MissingFileError
from extract.core.files import write_text
from extract.tables.samples import Sample

HEADER = "IMGID:"


@dataclass
class TaggedText:
    """One sample of a predictions file."""

    image_id: str
    tokens: list[str] = field(default_factory=list)
    gold: list[str] = field(default_factory=list)
    pred: list[str] = field(default_factory=list)


def predictions_name(view: str, views: Sequence[str]) -> str:
    """Return the file name of a view: the first is the headline and needs no name."""
    return "predictions.conll" if view == views[0] else f"predictions_{view}.conll"


def write_predictions(path: Path, samples: Sequence[Sample], pred: Sequence[Sequence[str]]) -> None:
    """Write samples, gold and predicted tags, in sample order.

    Raises:
        DataError: an image id or a token has a line break, which the format cannot hold.
    """
    blocks = []
    for sample, tags in zip(samples, pred, strict=True):
        if any("\n" in text for text in (sample.image_id, *sample.tokens)):
            raise DataError(f"sample {sample.id}: its image id or a token has a line break")
        rows = zip(sample.tokens, sample.tags or [], tags, strict=True)
        lines = [f"{HEADER}{sample.image_id}", *("\t".join(row) for row in rows)]
        blocks.append("\n".join(lines) + "\n")
    write_text(path, "\n".join(blocks))


def read_predictions(path: Path) -> list[TaggedText]:
    """Read what `write_predictions` wrote.

    Raises:
        MissingFileError: no such file.
        DataError: a line is not of the format.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such file; `python -m train evaluate` writes it.")
    texts: list[TaggedText] = []
    # Only "\n" ends a line: tweets hold "\r", U+2028 and other breaks that text files end lines at.
    lines, before = Path(path).read_bytes().decode("utf-8").split("\n"), ""
    for number, line in enumerate(lines, start=1):
        fields = line.rsplit("\t", 2)
        # A blank line stands before a header and nowhere else: image ids may hold tabs, too.
        is_header, before = line.startswith(HEADER) and not before, line
        if is_header:
            texts.append(TaggedText(line.removeprefix(HEADER)))
        elif len(fields) == 3 and texts:
            for column, value in zip(
                (texts[-1].tokens, texts[-1].gold, texts[-1].pred), fields, strict=True
            ):
                column.append(value)
        elif line:
            raise DataError(f"{path}:{number}: expected token TAB gold TAB pred, got {line[:40]!r}")
    return texts
