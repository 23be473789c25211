"""Recipes of workflow/config/published.yaml, as the runs of a corpus get them."""

from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from extract.core.options import options_from
from train.training.recipe import Recipe

CONFIGS = Path(__file__).resolve().parents[3] / "workflow/config"


def published_config(corpus: str = "twitter2015") -> dict[str, Any]:
    """Return published.yaml with the config of a corpus over it."""
    config: dict[str, Any] = {}
    for name in ("published", corpus):
        text = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")
        update_config(config, yaml.safe_load(text))
    return config


def published_recipe(run: str, corpus: str = "twitter2015") -> Recipe:
    """Return the recipe of a run."""
    return options_from(Recipe, published_config(corpus)["models"][run]["recipe"], run)
