"""Recipes of released code, which published.yaml and the optimizer's groups are held against."""

from typing import Any

from train.systems.ita.options import Options
from train.training.recipe import Recipe

CO_MIPN_RECIPE = Recipe(
    epochs=30,
    batch_size=8,
    eval_batch_size=8,
    lr={"encoder": 3e-5, "fusion": 3e-5, "head": 0.05, "crf": 0.05},
    weight_decay=0.01,
    decay_vectors=True,
    warmup=0.01,
    length_buckets=False,
    ties="last",
    precision="fp32",
)
"""The released training scripts: AdamW, betas 0.9 and 0.999, linear schedule, seed 1234.

One thing differs: Co-MIPN's code rounds F1 to four decimals before it compares epochs.
"""


VEC_MNER_RECIPE = Recipe(
    epochs=40,
    batch_size=32,
    lr={"encoder": 3e-5, "vision": 3e-5, "fusion": 3e-5, "head": 5e-2, "crf": 5e-2},
    weight_decay=1e-3,
    schedule="cosine",
    warmup=0.05,
    clip=1.0,
    length_buckets=False,
    ties="last",
    precision="fp32",
)
"""The published values (Twitter-2015; nothing separate is known of Twitter-2017)."""


def ita_recipe(options: Options) -> Recipe:
    """Return the published recipe: four samples an update, linear layer as slow as the encoder.

    With alignment a tweet is two samples, one a view. Not expressed: the released optimizer adds
    epsilon before Adam's bias correction, torch behind it; and released code selects by the
    rounded score of `rounded_f1`.

    Source: Wang et al. 2022, ITA; the released code's configs.
    """
    return Recipe(
        epochs=10,
        batch_size=1,
        accumulation=2 if options.cva else 4,
        lr={"encoder": 5e-6, "head": 5e-6, "crf": 5e-2},
        eps=1e-6,
        clip=5.0,
        length_buckets=False,
        selection_view="mean" if options.cva else "mm",
        ties="last",
        precision="fp32",
    )


_SHARED = {
    **{"epochs": 30, "batch_size": 32, "optimizer": "adamw", "precision": "fp32"},
    **{"schedule": "linear", "warmup": 0.06, "clip": 1.0, "length_buckets": False},
}
_RATES = {
    **{"encoder": 5e-5, "vision": 1e-5, "question": 1e-5, "prompts": 1e-4},
    **{"head": 5e-2, "crf": 5e-2},
}

RPI_HMIF_RECIPES: dict[str, dict[str, Any]] = {
    "twitter2015": {
        **_SHARED,
        "lr": {**_RATES, "him": 1e-5, "fusion": 5e-4},
        "weight_decay": {"default": 1e-2, "him": 5e-3, "fusion": 5e-3},
    },
    "twitter2017": {
        **_SHARED,
        "lr": {**_RATES, "him": 5e-5, "fusion": 1e-3},
        "weight_decay": {"default": 1e-2, "him": 5e-4, "fusion": 5e-4},
    },
}
"""Fields of `train.training.recipe.Recipe` by corpus. From released code: epochs, batch,
schedule, rates and weight decays of its best runs. Ours: the rate of the prompts. From a sister
system: clipping, and no decay of biases and norms. Nothing is confirmed for the published run."""
