"""A checkpoint folder made here: it appears whole, and replaces none that others put there."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from extract.core.errors import ConfigError
from extract.core.files import write_json


@contextmanager
def checkpoint_folder(out: Path, marker: str, record: Mapping[str, Any]) -> Iterator[Path]:
    """Yield an empty folder that becomes `out` when all went well.

    Args:
        out: replaced if it was made here, too.
        marker: file name that tells so.
        record: what the file says: where the weights come from.

    Raises:
        ConfigError: `out` is something that was not made here.
    """
    is_ours = (out / marker).is_file() or (out.is_dir() and not any(out.iterdir()))
    if out.exists() and not is_ours:
        raise ConfigError(
            f"{out}: exists and was not written by `weights` (no {marker}). Move it away or choose "
            "another --out."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as tmp:
        folder = Path(tmp) / out.name
        folder.mkdir()
        yield folder
        write_json(folder / marker, dict(record))
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)
