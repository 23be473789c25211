"""The lower layers of a text encoder as a checkpoint of their own, for trials on small machines."""

import logging
import shutil
from pathlib import Path

from extract.core.errors import ConfigError
from extract.networks.checkpoints.made_folder import checkpoint_folder
from extract.networks.checkpoints.reading import (
    load_config,
    load_pretrained,
    quiet_transformers,
    without_pooler,
)

logger = logging.getLogger(__name__)

MARKER = "cut.json"
NOT_COPIED = (
    "config.json", "*.safetensors", "*.bin", "*.index.json", "*.h5", "*.msgpack", "*.ot", "*.md",
)  # fmt: skip
"""Config and weights of the whole; what else a folder holds belongs to its tokenizer."""


def cut_weights(source: Path, layers: int, out: Path, *, sha256: str) -> None:
    """Write a checkpoint folder with the embeddings and the first layers of another.

    Args:
        source: folder of a BERT-type encoder (BERT, RoBERTa, XLM-R, MiniLM, ...) with its
            tokenizer.
        layers: how many of its layers to keep, from the embeddings up.
        out: folder to write; one that was written here before is replaced.
        sha256: checksum of `source`, for the record.

    Raises:
        MissingFileError: no config.json in `source`.
        ConfigError: it is no stack of layers, or has fewer; or `out` was not made here.
    """
    from transformers import AutoModel

    config = load_config(source)
    found = getattr(config, "num_hidden_layers", 0) if hasattr(config, "vocab_size") else 0
    if not 1 <= layers <= found:
        raise ConfigError(
            f"{source}: cut: expected 1 to {found} layers, got {layers}. Only text encoders with "
            "`num_hidden_layers` and `vocab_size` in config.json can be cut."
        )
    whole = load_pretrained(AutoModel, source, is_part=True, **without_pooler(config))
    config.num_hidden_layers = layers
    part = AutoModel.from_config(config, dtype=whole.dtype, **without_pooler(config))
    tensors = whole.state_dict()
    part.load_state_dict({name: tensors[name] for name in part.state_dict()})
    record = {"layers": layers, "of_layers": found, "of_sha256": sha256}
    with checkpoint_folder(out, MARKER, record) as folder:
        with quiet_transformers():
            part.save_pretrained(folder)
        for file in sorted(source.iterdir()):
            if file.is_file() and not any(file.match(pattern) for pattern in NOT_COPIED):
                shutil.copyfile(file, folder / file.name)
    logger.info("%s: the first %d of %d layers of %s", out, layers, found, source.name)
