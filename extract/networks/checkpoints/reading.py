"""Read tensors from a checkpoint file or folder, and see that every one of them is used."""

import inspect
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.core.errors import DataError, MissingFileError
from extract.networks.checkpoints.torch_files import (
    BROKEN,
    first_line,
    load_plain,
    raise_unless_broken,
)
from extract.networks.checkpoints.transformers_folder import (
    check_indices,
    check_weight_files,
    find_weights,
    own_code_remedy,
    raw_config,
    say_content,
    tensor_names,
)
from extract.networks.checkpoints.whole_files import check_whole

if TYPE_CHECKING:
    import torch
    from torch import nn

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

# Modules that files of whole networks hold although the network is built without them: poolers,
# and ELECTRA's projection where embeddings and layers have one width.
_NEEDLESS = ("pooler", "embeddings_project")


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
        load: e.g. `AutoConfig.from_pretrained`.
        folder: of the checkpoint; nothing outside it is read, nothing is downloaded.
        options: further arguments of `load`.

    Raises:
        DataError: the folder wants code of its own to be run, its index names files elsewhere, or
            its weights hold more than tensors.
    """
    check_indices(folder)
    try:
        return load(folder, local_files_only=True, trust_remote_code=False, **options)
    except (ValueError, ImportError) as error:
        if "trust_remote_code" not in str(error):
            raise
        raise DataError(f"{folder}: {own_code_remedy(folder)}") from error
    except pickle.UnpicklingError as error:
        # Torch's own text advises to load such files unsafely, so it is not repeated.
        raise DataError(
            f"{folder}: its weights are damaged or hold more than tensors. Other pickles can run "
            "code and are not opened. Compare their checksum with the source's, or get the "
            "checkpoint as safetensors."
        ) from error


def load_config(folder: Path) -> Any:
    """Return the config of a checkpoint folder in the transformers format.

    Raises:
        MissingFileError: no config.json.
        DataError: transformers knows no such network, or as `from_folder`.
    """
    from transformers import AutoConfig

    file = Path(folder) / "config.json"
    if not file.is_file():
        raise MissingFileError(
            f"{file}: no such file; expected the config of a checkpoint folder of transformers. "
            f"{say_content(folder)} Get the whole checkpoint."
        )
    try:
        return from_folder(AutoConfig.from_pretrained, folder)
    except (OSError, ValueError) as error:
        if "auto_map" in raw_config(folder):
            raise DataError(f"{folder}: {own_code_remedy(folder)}") from error
        raise DataError(
            f"{file}: not the config of a network that transformers knows ({first_line(error)}). "
            "Use a checkpoint of an architecture that is part of transformers."
        ) from error


def load_pretrained(
    model_class: Any,
    path: Path,
    *,
    is_part: bool = False,
    may_be_unused: Iterable[str] = (),
    **options: Any,
) -> Any:
    """Load a transformers checkpoint folder in float32, in evaluation mode, from disk only.

    Args:
        model_class: with `from_pretrained`, e.g. `CLIPVisionModel`.
        path: the folder.
        is_part: as in `check_loading_info`.
        may_be_unused: as in `check_loading_info`.
        options: of the model's constructor.

    Raises:
        MissingFileError: no weights in the folder.
        DataError: the weights cannot be read, are not those of the model, or as `from_folder`.
    """
    import torch
    from safetensors import SafetensorError

    check_indices(path)
    check_weight_files(path)
    try:
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
    except (SafetensorError, RuntimeError, EOFError) as error:
        file = find_weights(path)
        raise_unless_broken(error, file)
        raise DataError(
            f"{file}: the weights cannot be read ({first_line(error)}). Compare the checksum with "
            "the source's and get the file again."
        ) from error
    check_loading_info(info, model, path, is_part=is_part, may_be_unused=may_be_unused)
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
    info: Mapping[str, Any],
    model: Any,
    path: Path,
    *,
    is_part: bool = False,
    may_be_unused: Iterable[str] = (),
) -> None:
    """See that transformers left no tensor at random and skipped none that belongs to the model.

    Args:
        info: what `from_pretrained(..., output_loading_info=True)` returns beside the model.
        model: the model.
        path: the checkpoint folder, for the message.
        is_part: the file may also hold other parts of a whole network: heads of the task it was
            trained on, a pooler, another tower.
        may_be_unused: prefixes of further tensors that the file may hold.

    Raises:
        DataError: a tensor is missing, unexpected or of another shape.
    """
    allowed = tuple(may_be_unused)
    # Old checkpoints store the buffer `position_ids` of counting numbers.
    unknown = [
        name
        for name in sorted(info["unexpected_keys"])
        if not name.startswith(allowed) and not name.endswith("position_ids")
    ]
    if is_part and unknown:
        unknown = _without_other_parts(unknown, model, path)
    problems = [f"missing {name}" for name in sorted(info["missing_keys"])]
    problems += [f"unexpected {name}" for name in unknown]
    problems += [
        f"other shape: {mismatch}" for mismatch in sorted(info["mismatched_keys"], key=str)
    ]
    problems += list(info.get("error_msgs", ()))
    if problems and "auto_map" in raw_config(path):
        raise DataError(f"{path}: the tensors have names of their own: {own_code_remedy(path)}")
    _raise_if(problems, path)


def _without_other_parts(names: list[str], model: Any, path: Path) -> list[str]:
    """Return which of the tensors that a model does not know cannot belong to another part.

    A file of the bare network has its modules at the top. A file of a whole network has the bare
    one under a prefix (`bert.`, `vision_model.`); what stands beside that are heads and other
    towers. In both, a module of `_NEEDLESS` may be more than the network has.
    """
    base = model.base_model_prefix
    own = {name for name, _ in model.named_children()}
    top = {name.split(".")[0] for name in tensor_names(path)}
    is_bare = base not in own and bool(own & top)
    others = set() if is_bare else top - own - {base}
    needless = tuple(f"{at}{name}." for name in _NEEDLESS for at in ("", f"{base}."))
    return [n for n in names if n.split(".")[0] not in others and not n.startswith(needless)]


def _raise_if(problems: list[str], path: Path) -> None:
    if problems:
        shown = "; ".join(problems[:4])
        more = f"; and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise DataError(
            f"{path}: the tensors are not those of the model: {shown}{more}. "
            "Check that the weights entry names the right checkpoint."
        )
