"""Files given on the command line under a name: `NAME=FILE`, `FILE` or `{split}.jsonl`."""

import re
from collections.abc import Sequence
from pathlib import Path

from extract.core.errors import ConfigError, DataError
from extract.tables.samples import Sample, read_samples

_NAME = re.compile(r"(?:[a-z]+/)?[\w.-]+")


def named_paths(texts: Sequence[str], flag: str) -> list[tuple[str, Path]]:
    """Return (name, path) of each `NAME=FILE` or plain `FILE`, in order.

    A name may begin with a kind: `grounding/yolo=FILE`. A plain file is named by its stem, a
    `crops.jsonl` by its folder.

    Args:
        texts: values of the flag.
        flag: for messages.

    Raises:
        ConfigError: a name occurs twice.
    """
    named: dict[str, Path] = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not separator or not _NAME.fullmatch(name):
            # A plain path, which may itself contain an equals sign.
            path = text
            name = Path(text).parent.name if Path(text).name == "crops.jsonl" else Path(text).stem
        if name in named:
            raise ConfigError(f"{flag}: two files have the name '{name}'. Give them as NAME=FILE.")
        named[name] = Path(path)
    return list(named.items())


def read_splits(paths: Sequence[Path]) -> dict[str, list[Sample]]:
    """Return split -> its samples; the split is the stem of the file's name.

    Raises:
        ConfigError: two files are of one split.
        DataError: a sample id occurs twice.
    """
    splits: dict[str, list[Sample]] = {}
    owner: dict[str, Path] = {}
    for path in paths:
        if path.stem in splits:
            raise ConfigError(f"--samples: two files of the split '{path.stem}', one is {path}")
        splits[path.stem] = read_samples(path)
        for sample in splits[path.stem]:
            if sample.id in owner:
                raise DataError(
                    f"{path}: sample id {sample.id!r} occurs twice (first in {owner[sample.id]})"
                )
            owner[sample.id] = path
    return splits
