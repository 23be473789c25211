"""A working directory with a changing corpus: what a run computed, and what a fresh one gives."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.faults.incremental_corpus import SPLITS, Corpus
from tests.workflow.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
CODE = ("Snakefile", "workflow", "envs", "extract", "train")

CONFIG = {
    "run": {
        "datasets": ["made"],
        "feature_sets": ["noise", "tower", "boxes", "cuts"],
        "models": [],
        "exports": [],
        "ablations": [],
        "seeds": [1],
    },
    "device": "cpu",
    "datasets": {
        "made": {
            "reader": "conll_imgid",
            "root": "data",
            "images": "data/images",
            "annotations": "data/annotations.jsonl",
        }
    },
    "weights": {
        "tower": {
            "random": {
                "config": {
                    "kind": "clip",
                    "hidden_size": 32,
                    "intermediate_size": 64,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "image_size": 32,
                    "patch_size": 8,
                    "projection_dim": 12,
                },
                "seed": 1,
            }
        }
    },
    "feature_sets": {
        "noise": {"extractor": "random", "options": {"dim": 8}},
        "tower": {
            "extractor": "clip",
            "weights": {"vision": "tower"},
            "options": {"image_size": 32, "patch_size": 8, "feature_dim": 32, "output": "grid"},
        },
        "boxes": {"extractor": "annotations", "phrases": "nouns", "options": {"mode": "all"}},
        "cuts": {
            "extractor": "pixels",
            "boxes": "boxes",
            "options": {"of": "crops", "size": 8},
        },
    },
    "phrases": {"nouns": {"extractor": "type_words"}},
}
FEATURE_SETS = tuple(CONFIG["feature_sets"])
DICTIONARIES = tuple(f"results/made/crops/boxes/{split}_dict.pth" for split in SPLITS)

# Runs commands one after another in one process: the imports are paid for once.
_COMMANDS = """
import json, sys
from extract.__main__ import main
for command in json.load(sys.stdin):
    if main(command):
        sys.exit(f"failed: {command}")
"""


class IncrementalWorkspace:
    """The corpus, its config, and Snakemake on it with a copy of the code that may be edited.

    Args:
        folder: is created.
        corpus: is written into it before each run.
    """

    def __init__(self, folder: Path, corpus: Corpus) -> None:
        self.folder, self.corpus = folder, corpus
        self.code = folder.with_name(f"{folder.name}_code")
        copy_code(self.code)
        self.workspace = Workspace(folder, self.code)
        folder.mkdir(parents=True, exist_ok=True)
        self.workspace.overlay(CONFIG)

    def run(self, *targets: str) -> str:
        """Write the corpus, run Snakemake and return its output.

        Raises:
            RuntimeError: it failed.
        """
        self.corpus.write()
        shutil.rmtree(self.folder / "logs", ignore_errors=True)
        names = targets or ("features", "crops", *DICTIONARIES)
        finished = self.workspace.snakemake(*names, "--cores", "2", "--rerun-incomplete")
        if finished.returncode:
            raise RuntimeError(f"{self.folder}: {finished.last_line}\n{finished.output}")
        return finished.output

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return (computed, copied) of each feature set that the last run made; crops as well."""
        logs = self.folder / "logs/made"
        found = {}
        for name in FEATURE_SETS:
            shards = [_summary(log) for log in logs.glob(f"extract_features.{name}.*.log")]
            if shards:
                sums = (sum(shard[key] for shard in shards) for key in ("computed", "copied"))
                found[name] = tuple(sums)
        for log in logs.glob("cut_crops.*.log"):
            summary = _summary(log)
            found["crops"] = summary["cut"], summary["kept"]
        return found

    def seconds(self) -> float:
        """Return how long the shards and the crops of the last run took together."""
        logs = self.folder / "logs/made"
        found = [*logs.glob("extract_features.*.log"), *logs.glob("cut_crops.*.log")]
        return sum(_summary(log)["seconds"] for log in found)

    def differences(self, fresh: Path) -> list[str]:
        """Compute everything anew elsewhere, in one shard, and name the files that differ."""
        fresh.mkdir(parents=True)
        results = self.folder / "results"
        process = subprocess.run(
            [sys.executable, "-c", _COMMANDS],
            input=json.dumps(_fresh_commands(results, fresh)),
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.code), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            return [f"the fresh run failed: {process.stderr[-500:]}"]
        pairs = [(results / "made/images.tsv", fresh / "dataset/images.tsv")]
        for name in FEATURE_SETS:
            pairs.append((results / f"made/features/{name}.h5", fresh / f"{name}.h5"))
        crops = results / "made/crops/boxes"
        names = {path.name for folder in (crops, fresh / "crops") for path in folder.iterdir()}
        pairs += [(crops / name, fresh / "crops" / name) for name in sorted(names)]
        return [str(ours.name) for ours, other in pairs if not _are_equal(ours, other)]


def copy_code(folder: Path) -> None:
    """Copy what a run needs of the repository."""
    folder.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            shutil.copy2(source, folder / name)


def _fresh_commands(results: Path, fresh: Path) -> list[list[str]]:
    dataset = fresh / "dataset"
    images = str(dataset / "images.tsv")
    corpus = ["--reader", "conll_imgid", "--root", "data", "--images", "data/images"]
    commands = [["dataset", *corpus, "--out", str(dataset)]]
    extra = {
        "boxes": ["--annotations", "data/annotations.jsonl"],
        "cuts": ["--boxes", str(fresh / "boxes.h5")],
    }
    for name in FEATURE_SETS:
        shard = str(fresh / f"{name}.shard")
        features = ["features", "--spec", str(results / f"specs/{name}.json"), "--images", images]
        commands.append([*features, *extra.get(name, []), "--device", "cpu", "--out", shard])
        out = str(fresh / f"{name}.h5")
        commands.append(["merge", "--shards", shard, "--images", images, "--out", out])
    crops = ["crops", "--store", str(fresh / "boxes.h5"), "--images", images]
    commands.append([*crops, "--out", str(fresh / "crops")])
    for split in SPLITS:
        samples = ["--samples", str(dataset / f"samples/{split}.jsonl")]
        listed = ["crop-dict", "--crops", str(fresh / "crops/crops.jsonl"), *samples]
        commands.append([*listed, "--out", str(fresh / f"crops/{split}_dict.pth")])
    return commands


def _summary(log: Path) -> dict:
    """Return the JSON object at the end of a command's log."""
    line = log.read_text(encoding="utf-8").rstrip().splitlines()[-1]
    return json.loads(line[line.index("{") :])


def _are_equal(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()
