"""Caption lists as they circulate with the Twitter corpora: one `name.jpg :caption` a line."""

import re
from pathlib import Path

from extract.core.errors import DataError, MissingFileError
from extract.tables.text_lines import iter_text_lines

_LINE_BREAK = re.compile(r"\r\n|\r|\n")

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp")


def read_caption_list(path: Path) -> dict[str, list[str]]:
    """Read a caption list.

    The name ends at the first ` :`, so a caption may hold colons. Blank lines are skipped.

    Returns:
        Image name without its image extension -> captions in file order. Dots that do not begin
        an image extension belong to the name.

    Raises:
        MissingFileError: no such file.
        DataError: a line without ` :`, without a name, or one that is no text.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: no such caption list. Check `captions` of the dataset.")
    captions: dict[str, list[str]] = {}
    for number, text in iter_text_lines(path):
        line = text.strip()
        if not line:
            continue
        name, separator, caption = line.partition(" :")
        if not separator or not name.strip():
            raise DataError(
                f"{path}:{number}: expected `name.jpg :caption`, got {line[:60]!r}. "
                "Correct or remove the line."
            )
        captions.setdefault(strip_image_suffix(name.strip()), []).append(caption.strip())
    return captions


def caption_line(name: str, caption: str) -> str:
    """Return the line of one caption; line breaks inside it become spaces.

    Raises:
        DataError: the name would be read as another one.
    """
    if name != name.strip() or " :" in name or "\n" in name or not name:
        raise DataError(
            f"image name {name!r} cannot stand in a caption list: it is empty, holds ' :' or a "
            "line break, or begins or ends with white space. Rename the image."
        )
    return f"{name} :{' '.join(re.split(_LINE_BREAK, caption))}\n"


def strip_image_suffix(name: str) -> str:
    """Return a file name without its image extension, in whatever case; else the whole name."""
    for suffix in IMAGE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name
