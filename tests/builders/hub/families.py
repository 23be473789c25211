"""Every family of checkpoint folders by name, each laid out once where tests share it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.builders.hub import (
    bert,
    bertweet,
    blip,
    clip,
    deberta,
    dino,
    distilbert,
    electra,
    florence,
    grounding_dino,
    minilm,
    roberta,
    xlm_roberta,
)

FAMILIES: dict[str, Callable[[Path], dict[str, torch.Tensor]]] = {
    "bert": bert.build,
    "bertweet": bertweet.build,
    "blip": blip.build,
    "clip": clip.build,
    "deberta": deberta.build,
    "dino": dino.build,
    "distilbert": distilbert.build,
    "electra": electra.build,
    "florence": florence.build,
    "grounding_dino": grounding_dino.build,
    "minilm": minilm.build,
    "roberta": roberta.build,
    "xlm_roberta": xlm_roberta.build,
}
"""Name -> what builds a tiny one in a folder and returns the tensors of its file."""

Published = Callable[[str], tuple[Path, dict[str, torch.Tensor]]]
"""Name of a family -> its folder, and the tensors of its file by their names there."""


def lay_once(factory: pytest.TempPathFactory) -> Published:
    """Return what lays the folder of a family at its first use and gives the same one later."""
    made: dict[str, tuple[Path, dict[str, torch.Tensor]]] = {}

    def make(name: str) -> tuple[Path, dict[str, torch.Tensor]]:
        if name not in made:
            folder = factory.mktemp("hub") / name
            made[name] = folder, FAMILIES[name](folder)
        return made[name]

    return make
