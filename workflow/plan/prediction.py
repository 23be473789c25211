"""What the keys `predict_*` of the config ask for: new tweets, as one more dataset, and a run.

The dataset has one split and no tags, so the rules of a training corpus serve it unchanged. Its id
is made of the names of its files: other texts or images are another folder below results/predict/.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.core.digests import digest
from extract.core.errors import ConfigError
from workflow.plan.catalogue import Catalogue, existing

READER = "untagged"

FILES = {
    "predict_text": "CoNLL text: `IMGID:<image id>`, then one token a line, a blank line between "
    "tweets",
    "predict_images": "the image folder of the new tweets",
    "predict_captions": "a caption list of the new images, `name.jpg :caption` a line",
    "predict_annotations": "boxes on the new images: a VOC XML folder, a COCO .json or a .jsonl",
}
"""Keys that name a file or folder -> what it holds."""

RUN_FOLDER = re.compile(r"results/(?P<dataset>[^/]+)/runs/(?P<run>[^/]+)/seed(?P<seed>[0-9]+)")


@dataclass(frozen=True)
class Prediction:
    """New tweets, and the run that is to tag them."""

    dataset: str
    """Corpus of the run."""
    run: str
    """Name in `models:`."""
    seed: int
    tweets: str
    """Dataset id of the new tweets, `predict/<name>`."""
    tweets_entry: dict[str, Any]
    """What `datasets:` says of them."""

    @property
    def folder(self) -> str:
        """Where the predictions go."""
        parts = ("results", self.tweets, "predictions", self.dataset, self.run, f"seed{self.seed}")
        return "/".join(parts)


def read_prediction(catalogue: Catalogue) -> Prediction | None:
    """Return what the keys `predict_*` ask for, None where they are not set.

    Raises:
        ConfigError: an unknown run, one that reads what is not given, or a file or folder that is
            not there.
    """
    config = catalogue.config
    given = {key: config[key] for key in ("predict_run", *FILES) if config[key]}
    if not given:
        return None
    for key in ("predict_run", "predict_text"):
        if key not in given:
            raise ConfigError(
                f"{key}: not set, but {next(iter(given))} is. Prediction needs a run and a text: "
                "--config predict_run=results/sample/runs/text_crf/seed1 predict_text=new.txt"
            )
    dataset, run, seed = find_run(given["predict_run"], catalogue)
    check_needs(run, catalogue)
    for key in FILES:
        if key in given:
            existing(given[key], f"{key} names it; expected {FILES[key]}.")
    return Prediction(dataset, run, seed, tweets_id(given), tweets_entry(config))


def find_run(value: str, catalogue: Catalogue) -> tuple[str, str, int]:
    """Return dataset, model entry and seed of a run folder or of a model entry alone.

    Raises:
        ConfigError: it is neither, names what the config does not have, or could be several.
    """
    path = os.path.relpath(value)
    found = RUN_FOLDER.fullmatch(path)
    is_folder = os.sep in path or os.path.isdir(path)
    if not found and is_folder and path not in catalogue.config["models"]:
        raise ConfigError(
            f"predict_run: {value} is not a run folder of this workflow, expected "
            "results/<dataset>/runs/<run>/seed<n>. For a run from elsewhere make the features with "
            "a run of its kind here and call `python -m train predict --run FOLDER`."
        )
    name = found["run"] if found else path
    catalogue.entry("models", name, "predict_run")
    catalogue.check_model(name)
    if not found:
        dataset, seed = _only_choice(name, catalogue)
        return dataset, name, seed
    catalogue.entry("datasets", found["dataset"], f"predict_run: {value}")
    return found["dataset"], name, int(found["seed"])


def _only_choice(name: str, catalogue: Catalogue) -> tuple[str, int]:
    """Return the only selected dataset and the first seed."""
    datasets = catalogue.run["datasets"]
    seeds = {dataset: catalogue.seeds(name, dataset) for dataset in datasets}
    if len(datasets) != 1 or not seeds[datasets[0]]:
        raise ConfigError(
            f"predict_run: '{name}' alone says too little: run.datasets selects "
            f"{', '.join(datasets) or 'none'}; its seeds are {seeds}. Give the run folder, "
            f"predict_run=results/{next(iter(datasets), '<dataset>')}/runs/{name}/seed1"
        )
    return datasets[0], seeds[datasets[0]][0]


def check_needs(run: str, catalogue: Catalogue) -> None:
    """See that everything that the features of a run are made from is given.

    Raises:
        ConfigError: it is not, or a feature set is imported from a file of the corpus.
    """
    config = catalogue.config
    for name in catalogue.closure(catalogue.model_features(run).values()):
        if name in config["imports"]:
            raise ConfigError(
                f"predict_run: {run} reads imports.{name}, whose files are of its corpus alone. "
                "Import the same of the new images (python -m extract import) and call "
                "`python -m train predict --store role=path`."
            )
        needs = catalogue.needs(name)
        asked = {f"predict_{what}" for what in needs & {"captions", "annotations"}}
        if needs != {"captions"}:
            asked.add("predict_images")
        for key in sorted(asked):
            if not config[key]:
                extractor = config["feature_sets"][name]["extractor"]
                raise ConfigError(
                    f"{key}: not set, but {run} reads feature_sets.{name} ({extractor}). Add "
                    f"{key}=PATH after --config: {FILES[key]}."
                )
        catalogue.fingerprint(name)


def tweets_id(given: Mapping[str, str]) -> str:
    """Return `predict/<name of the text>_<checksum of all given file names>`."""
    stem = re.sub(r"[^a-z0-9]+", "_", Path(given["predict_text"]).stem.lower()).strip("_")
    names = {key: os.path.relpath(path) for key, path in given.items() if key in FILES}
    return f"predict/{stem or 'text'}_{digest(names)[:6]}"


def tweets_entry(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of `datasets:`; paths are as given, from the working directory."""
    return {
        "reader": READER,
        "root": ".",
        "images": config["predict_images"],
        "captions": config["predict_captions"],
        "annotations": config["predict_annotations"],
        "evidence": None,
        "max_bad_images": config["predict_max_bad_images"],
        "check_counts": False,
        "text": {"labels": False, "files": {"predict": os.path.normpath(config["predict_text"])}},
    }
