"""Sealing a feature file again: HDF5 takes the seal away when it opens a file for writing."""

import os
from pathlib import Path

from extract.core.errors import StoreError
from extract.core.files import only_process
from extract.core.system import named_system_errors
from extract.store.allowed_content import read_root_attribute, row_extents
from extract.store.checksums import changed_datasets, iter_texts
from extract.store.format import digest_ids, reading
from extract.store.opening import open_checked
from extract.store.seal import check_seal, write_seal


def seal_again(path: Path) -> bool:
    """Seal a feature file that lost its seal, when every dataset still matches its checksum.

    The checksums do not cover the attributes: that these are as they were is the caller's word.

    Returns:
        Whether it was without a seal.

    Raises:
        MissingFileError: no such file.
        StoreError: it is of format 1.0, which has no seal, or its content changed.
        BusyError: another process is making the file.
    """
    path = Path(path)
    with only_process(path):
        with reading(path), open_checked(path, needs_seal=False) as file:
            if check_seal(path):
                return False
            findings = changed_datasets(file)
            if read_root_attribute(file, "format_version") == "1.0":
                findings = ["format 1.0 has no seal"]
            elif digest_ids(
                iter_texts(file["ids"]), iter_texts(file["items/input_sha256"])
            ) != read_root_attribute(file, "ids_sha256"):
                findings.append("ids_sha256 is not that of /ids and /items/input_sha256")
            extents = row_extents(file)
        if findings:
            raise StoreError(
                f"{path}: not sealed: {'; '.join(findings[:3])}. Delete the file and rerun the "
                "rule that makes it."
            )
        with named_system_errors(path), path.open("r+b") as binary:
            write_seal(binary, extents)
            binary.flush()
            os.fsync(binary.fileno())
    return True
