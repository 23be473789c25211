"""Read tensors from a checkpoint file or folder, and see that every one of them is used."""

import inspect
import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.errors import DataError, MissingFileError
from extract.torch_files import BROKEN, first_line, load_plain, raise_unless_broken
from extract.whole_files import check_whole

if TYPE_CHECKING:
    import torch
    from torch import nn

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def find_checkpoint(path: Path) -> Path:
    """Return the one checkpoint file that a path is, or that a folder holds.

    Raises:
        MissingFileError: no such path, or no checkpoint in the folder.
        DataError: several checkpoints; none of them is the obvious one.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise MissingFileError(f"{path}: no such checkpoint file or folder.")
    preferred = path / "model.safetensors"
    if preferred.is_file():
        return preferred
    found = sorted(
        file for file in path.iterdir() if file.suffix in SUFFIXES and not file.name.startswith(".")
    )
    if not found:
        raise MissingFileError(
            f"{path}: no checkpoint in this folder (one of *{' *'.join(SUFFIXES)})."
        )
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise DataError(f"{path}: {len(found)} checkpoints ({names}). Give the path of one file.")
    return found[0]


def read_tensors(path: Path) -> dict[str, "torch.Tensor"]:
    """Read a flat name -> tensor mapping without running any code from the file.

    Args:
        path: a `.safetensors` file, or a torch file that the weights-only loader accepts.

    Raises:
        DataError: the file is damaged, holds other objects, or is no flat mapping of tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix != ".safetensors":
        tensors = load_plain(path)
    else:
        check_whole(path)
        try:
            return load_file(path)
        except (SafetensorError, *BROKEN) as error:
            raise_unless_broken(error, path)
            raise DataError(
                f"{path}: not a checkpoint of plain tensors ({first_line(error)}). "
                "Compare its checksum with the source's."
            ) from error
    if not isinstance(tensors, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in tensors.values()
    ):
        raise DataError(f"{path}: expected a mapping of names to tensors.")
    return dict(tensors)


def fill_network(network: "nn.Module", tensors: Mapping[str, "torch.Tensor"], path: Path) -> None:
    """Put the tensors of a checkpoint into a network; each tensor of either has its counterpart.

    The network's own `load_state_dict` decides what that is: layers know the names that they had
    in older versions, and batch norms do without the count of training steps, which evaluation
    does not read and files from before 2018 lack.

    Args:
        network: with fresh weights.
        tensors: by the network's names, of any version.
        path: of the checkpoint, for the message.

    Raises:
        DataError: a name is missing or unexpected, or a shape differs.
    """
    try:
        # A plain mapping: one with versions in it would keep layers from mending older names.
        found = network.load_state_dict(dict(tensors), strict=False)
    except RuntimeError as error:
        # The first line names the class, each of the others a tensor of another shape.
        _raise_if([line.strip().rstrip(".") for line in str(error).splitlines()[1:]], path)
        raise
    problems = [f"missing {name}" for name in sorted(found.missing_keys)]
    _raise_if(problems + [f"unexpected {name}" for name in sorted(found.unexpected_keys)], path)


def from_folder(load: Callable[..., Any], folder: Path, **options: Any) -> Any:
    """Call a `from_pretrained` of transformers on a folder that may bring data but no code.

    Args:
        load: e.g. `AutoTokenizer.from_pretrained`.
        folder: of the checkpoint; nothing outside it is read, nothing is downloaded.
        options: further arguments of `load`.

    Raises:
        DataError: the folder wants code of its own to be run, its index names files elsewhere, or
            its weights hold more than tensors.
    """
    _check_indices(folder)
    try:
        return load(folder, local_files_only=True, trust_remote_code=False, **options)
    except (ValueError, ImportError) as error:
        if "trust_remote_code" not in str(error):
            raise
        raise DataError(
            f"{folder}: this checkpoint brings Python code of its own (`auto_map` in one of its "
            "JSON files), which is never run. Use a checkpoint of an architecture that is part of "
            "transformers."
        ) from error
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{folder}: its weights hold more than tensors ({first_line(error)}). Other pickles "
            "can run code and are not opened. Get the checkpoint as safetensors."
        ) from error


def _check_indices(folder: Path) -> None:
    """See that the parts of a checkpoint in several files are files of its folder."""
    for index in sorted(Path(folder).glob("*.index.json")):
        try:
            content = json.loads(index.read_bytes())
        except (ValueError, RecursionError) as error:
            raise DataError(f"{index}: not JSON ({first_line(error)}).") from error
        parts = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(parts, dict):
            raise DataError(f"{index}: expected an object with `weight_map`.")
        for name in parts.values():
            if not isinstance(name, str) or "\0" in name or Path(name).name != name or name == "..":
                raise DataError(
                    f"{index}: the part {name!r:.80} is not a file name in its folder. Get the "
                    "checkpoint again."
                )


def load_pretrained(
    model_class: Any, path: Path, *, may_be_unused: Iterable[str] = (), **options: Any
) -> Any:
    """Load a transformers checkpoint folder in float32, in evaluation mode, from disk only.

    Args:
        model_class: with `from_pretrained`, e.g. `CLIPVisionModel`.
        path: the folder.
        may_be_unused: as in `check_loading_info`.
        options: of the model's constructor.

    Raises:
        DataError: the tensors are not those of the model, or as `from_folder`.
    """
    import torch

    with quiet_transformers():
        # Without an explicit dtype a half-precision file would be computed in half precision.
        model, info = from_folder(
            model_class.from_pretrained,
            path,
            dtype=torch.float32,
            output_loading_info=True,
            # Reported in `info` rather than raised, so that the message can name the tensor.
            ignore_mismatched_sizes=True,
            **options,
        )
    check_loading_info(info, path, may_be_unused=may_be_unused)
    return model.eval()


def without_pooler(config: Any) -> dict[str, bool]:
    """Return the constructor's argument that leaves the pooler out, where a family has one."""
    from transformers import MODEL_MAPPING

    parameters = inspect.signature(MODEL_MAPPING[type(config)].__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in parameters else {}


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence progress bars and the report of unused tensors, which `check_loading_info` judges."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    has_bar = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bar:
            logging.enable_progress_bar()


def check_loading_info(
    info: Mapping[str, Any], path: Path, *, may_be_unused: Iterable[str] = ()
) -> None:
    """See that transformers left no tensor at random and skipped none that belongs to the model.

    Args:
        info: what `from_pretrained(..., output_loading_info=True)` returns beside the model.
        path: the checkpoint folder, for the message.
        may_be_unused: prefixes of tensors that the file may hold besides, e.g. `text_model.`.

    Raises:
        DataError: a tensor is missing, unexpected or of another shape.
    """
    allowed = tuple(may_be_unused)
    problems = [f"missing {name}" for name in sorted(info["missing_keys"])]
    problems += [
        f"unexpected {name}"
        for name in sorted(info["unexpected_keys"])
        # Old checkpoints store this buffer of counting numbers.
        if not name.startswith(allowed) and not name.endswith("position_ids")
    ]
    problems += [
        f"other shape: {mismatch}" for mismatch in sorted(info["mismatched_keys"], key=str)
    ]
    problems += list(info.get("error_msgs", ()))
    _raise_if(problems, path)


def _raise_if(problems: list[str], path: Path) -> None:
    if problems:
        shown = "; ".join(problems[:4])
        more = f"; and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise DataError(
            f"{path}: the tensors are not those of the model: {shown}{more}. "
            "Check that the weights entry names the right checkpoint."
        )
