"""Torch files with code at a random place, in every format and in damaged ones."""

import os
import random
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from extract.core.errors import MnerError
from extract.interop.artefacts import vgg_pt
from extract.interop.crop_archives import load_dictionary
from extract.networks.checkpoints.reading import read_tensors
from tests.builders.extract.evil_pickles import FORMATS, Evil
from tests.fuzz.memory import peak_mb
from tests.fuzz.mutations import mutate
from train.systems.ita import released_checkpoint
from train.training.run_folder.conversion import read_state

NAME = "pickles"

# The libraries take half of it; the files have some kilobytes.
MAX_RSS_MB = 1500

_LOADERS: tuple[Callable[[Path], Any], ...] = (
    read_tensors, load_dictionary, read_state, vgg_pt._load, released_checkpoint.read_checkpoint,
)  # fmt: skip


def fuzz(folder: Path, rng: random.Random) -> str | None:
    """Read one file with every loader: its code must not run, nor may it take much memory."""
    marker, path = folder / "pwned", folder / "foreign.pth"
    form = rng.choice(sorted(FORMATS))
    FORMATS[form](path, _content(rng, Evil(marker)))
    damaged = rng.random() < 0.5
    if damaged:
        path.write_bytes(mutate(path.read_bytes(), rng))
    for load in rng.sample(_LOADERS, len(_LOADERS)):
        try:
            load(path)
        except MnerError as error:
            if path.name not in str(error):
                return f"{load.__name__}: the error does not name the file: {error}"
        else:
            if not damaged:
                return f"{load.__name__} took a {form} with code in it"
        if marker.exists():
            return f"{load.__name__}: the code of a {form} ran"
        if peak_mb(os.getpid()) > MAX_RSS_MB:
            return f"{load.__name__}: took {peak_mb(os.getpid())} MB for a {form}"
    return None


def _content(rng: random.Random, evil: Evil) -> Any:
    """Return what a checkpoint holds, with the evil object somewhere in it."""
    value: Any = evil
    for _ in range(rng.randint(0, 4)):
        value = rng.choice((
            lambda v: {"x": v}, lambda v: [1, v], lambda v: (v,), lambda v: OrderedDict(x=v),
        ))(value)  # fmt: skip
    state = {"a": torch.zeros(rng.randint(0, 3)), "evil": value}
    if rng.random() < 0.3:
        return {"state_dict": state, "tag_dictionary": value}
    return state
