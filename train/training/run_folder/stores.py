"""The feature stores of a finished run, found by the names that its run.json holds."""

from collections.abc import Mapping
from pathlib import Path

from extract.core.errors import MissingFileError
from train.training.run_folder.checkpoint import read_run_info


def stores_of_run(
    run: Path, folder: Path | None, named: Mapping[str, Path] | None = None
) -> dict[str, Path]:
    """Return role -> store of a run: the named ones, the others as `{folder}/{feature set}.h5`.

    Args:
        run: folder of a finished run.
        folder: of feature stores; None: there are only named ones.
        named: role -> store, before what the folder has.

    Raises:
        MissingFileError: the run's folder or a store in `folder` is not there.
    """
    stores = dict(named or {})
    features = read_run_info(run).features if folder else {}
    for role, name in features.items():
        if role in stores:
            continue
        stores[role] = Path(folder) / f"{name}.h5"
        if not stores[role].is_file():
            raise MissingFileError(
                f"{stores[role]}: no such file; it is the store of the role '{role}' (feature set "
                f"'{name}'). The rule merge_features makes it, for new text as part of `snakemake "
                f"predict`. Or name another store: --store {role}=PATH"
            )
    return stores
