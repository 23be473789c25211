"""What the image buys in the bundled sample: each system against itself with shuffled images."""

import json
from pathlib import Path

import pytest
import yaml

from extract.networks.precision import bfloat16_cost
from tests.workflow.workspace import Workspace

BOUNDS = {"acn": 8, "ita": 15, "vec_mner_tiny": 8, "co_mipn_tiny": 8, "rpi_hmif_tiny": 8}
"""Run -> points of test F1 that it must gain over its control `shuffled`, in every seed."""

SEEDS = (1, 2, 3)


@pytest.mark.slow
@pytest.mark.bounds
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_system_needs_its_image(tmp_path: Path, repo_root: Path, precision: str) -> None:
    if precision == "bf16" and bfloat16_cost("cpu") > 3:
        pytest.skip(f"bfloat16 takes {bfloat16_cost('cpu'):.0f} times as long as float32 here")
    recipes = {run: {"recipe": {"precision": precision}} for run in ("text_crf", *BOUNDS)}
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({"run": {"seeds": list(SEEDS)}, "models": recipes}))
    folder = tmp_path / "work"
    folder.mkdir()
    done = Workspace(folder, repo_root, [overlay]).snakemake(
        "results/summary.tsv", "--cores", "2", timeout=5400
    )
    assert done.returncode == 0, done.output[-4000:]
    gains = {
        run: [_gain(folder / "results/sample/runs", run, seed) for seed in SEEDS] for run in BOUNDS
    }
    shown = {run: [round(gain, 1) for gain in found] for run, found in gains.items()}
    print(f"\n{precision}: points of F1 over shuffled images, seeds {SEEDS}: {shown}")
    short = {run: found for run, found in shown.items() if min(found) < BOUNDS[run]}
    assert not short, f"{precision}: expected at least {BOUNDS} in every seed, got {short}"


def _gain(runs: Path, run: str, seed: int) -> float:
    """Return the points of F1 of a run over its control."""
    main, shuffled = (_f1(runs / name / f"seed{seed}") for name in (run, f"{run}-shuffled"))
    return main - shuffled


def _f1(folder: Path) -> float:
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return metrics["views"][metrics["headline_view"]]["all"]["f1"]
