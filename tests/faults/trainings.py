"""Small trainings: the system `dummy` of the unit tests, and the words-only baseline."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.builders.train.dummy_system import write_corpus, write_store
from tests.faults.checks import contents, expect_success
from tests.faults.processes import Command, extract, run_to_end, train
from tests.workflow.workspace import write_tiny_bert

EPOCHS = 6
FILES = ("model.safetensors", "run.json", "metrics.jsonl", "assets/**/*", "epochs/*")


@dataclass(frozen=True)
class Training:
    """One training on a corpus of 24 tweets."""

    name: str
    folder: Path
    """With samples, spec, store and encoder."""
    flags: tuple[object, ...] = ()
    checkpoint_every: int = 1
    """Epochs between full states."""

    def command(self, out: Path, *flags: object) -> Command:
        """Return the `fit` that writes into a run folder."""
        return train(
            "fit", "--spec", self.folder / f"{self.name}.json",
            "--samples-dir", self.folder / "samples", "--overlap", self.folder / "overlap.json",
            "--seed", 3, "--device", "cpu", "--out", out,
            "--checkpoint-every", self.checkpoint_every, *self.flags, *flags,
        )  # fmt: skip

    @staticmethod
    def results(out: Path) -> dict[str, bytes]:
        """Return what the training decides: weights, kept epochs, run.json, history, assets."""
        return contents(out, *FILES)


def make_trainings(folder: Path) -> list[Training]:
    """Write corpus, store, encoder and specs; return the trainings.

    They are by words, by images, text_crf, by words until patience ends it, and by words with
    accumulation: once with the weights of every epoch kept, once also with a state after every
    second epoch alone.
    """
    samples = folder / "samples"
    corpus = write_corpus(samples, splits=("train", "valid", "test"), is_distinct=True)
    ids = sorted({sample.image_id for split in corpus.values() for sample in split})
    write_store(folder / "grid.h5", ids, missing=ids[:3])
    write_tiny_bert(folder / "bert")
    audit = run_to_end(extract("audit", folder, "--json"), folder / "audit.json")
    expect_success(audit)
    text = audit.log[audit.log.index("{") : audit.log.rindex("}") + 1]
    (folder / "audit.json").write_text(text, encoding="utf-8")
    flags = ("--audit", folder / "audit.json", "--out", folder / "overlap.json", "--max-overlap", 1)
    expect_success(run_to_end(extract("check-overlap", *flags), folder / "overlap.log"))
    recipe = {"epochs": EPOCHS, "batch_size": 5, "lr": {"default": 0.05}}
    _write_spec(folder / "words.json", system="dummy", recipe=recipe)
    _write_spec(
        folder / "images.json",
        system="dummy",
        recipe={**recipe, "ema": 0.9},
        options={"use_image": True},
        features={"grid": "grid"},
    )
    _write_spec(
        folder / "text_crf.json",
        system="text_crf",
        recipe={**recipe, "epochs": 4, "lr": {"encoder": 1e-4, "head": 1e-2, "crf": 1e-2}},
        weights={"encoder": {"name": "bert", "path": str(folder / "bert")}},
    )
    _write_spec(
        folder / "patience.json",
        system="dummy",
        recipe={**recipe, "epochs": 40, "patience": 2},
    )
    for name in ("kept", "sparse"):
        settings = {**recipe, "accumulation": 2}
        _write_spec(folder / f"{name}.json", system="dummy", recipe=settings)
    store = ("--store", f"grid={folder / 'grid.h5'}")
    return [
        Training("words", folder),
        Training("images", folder, store),
        Training("text_crf", folder),
        Training("patience", folder),
        Training("kept", folder, ("--keep-epochs", "all")),
        Training("sparse", folder, ("--keep-epochs", "all"), checkpoint_every=2),
    ]


def _write_spec(path: Path, **spec: Any) -> None:
    path.write_text(json.dumps({"run": path.stem, **spec}), encoding="utf-8")
