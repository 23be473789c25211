"""A corpus of 2,000 images: the first run, a rerun with nothing to do, a rerun with 1 % changed.

    python tests/bench/reruns.py [--images 2000]

Real Snakemake runs on drawn pictures: text, images.tsv, pixels and a small VGG with 224 px input.
The third run's computed rows come from the logs of its jobs: only changed images are computed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "run": {"datasets": ["bench"], "feature_sets": ["pixels", "tower"], "models": []},
    "device": "cpu",
    "datasets": {"bench": {"reader": "conll_imgid", "root": "corpus", "images": "corpus/images"}},
    "weights": {
        "small": {
            "random": {
                "config": {"kind": "vgg", "layers": [16, "M", 32, "M", 64, "M", 64, "M", 64, "M"]},
                "seed": 1,
            }
        }
    },
    "feature_sets": {
        "pixels": {"extractor": "pixels", "options": {"size": 64}},
        "tower": {
            "extractor": "vgg",
            "weights": {"vision": "small"},
            "options": {"feature_dim": 64},
        },
    },
}


def draw(path: Path, seed: int) -> None:
    """Write a JPEG of 320 x 240 px."""
    grid = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(grid).resize((320, 240), Image.Resampling.BICUBIC).save(path, quality=90)


def lay_out(folder: Path, n_images: int) -> None:
    """Write a corpus with one tweet an image, and the config."""
    images = folder / "corpus" / "images"
    images.mkdir(parents=True)
    splits: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for number in range(n_images):
        draw(images / f"p{number:05d}.jpg", number)
        split = ("train", "train", "train", "valid", "test")[number % 5]
        splits[split].append(f"IMGID:p{number:05d}\nParis\tB-LOC\nshines\tO\n\n")
    for split, tweets in splits.items():
        (folder / "corpus" / f"{split}.txt").write_text("".join(tweets))
    (folder / "config.yaml").write_text(yaml.safe_dump(SETTINGS))


def snakemake(folder: Path) -> tuple[float, dict[str, int]]:
    """Run the workflow; return seconds, and rows computed and copied by feature jobs."""
    logs = folder / "logs" / "bench"
    for log in logs.glob("extract_features.*.log"):
        log.unlink()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml")]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--cores", str(os.cpu_count()), "verify"], capture_output=True, text=True
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    counts = {"computed": 0, "copied": 0}
    for log in logs.glob("extract_features.*.log"):
        line = log.read_text().splitlines()[-1]
        summary = json.loads(line[line.index("{") :])
        counts = {key: counts[key] + summary[key] for key in counts}
    return seconds, counts


def main() -> None:
    """Print the three runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    n_images = parser.parse_args().images
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, n_images)
        runs = [("first run", *snakemake(folder)), ("nothing changed", *snakemake(folder))]
        changed = max(1, n_images // 100)
        for number in range(changed):
            draw(
                folder / "corpus" / "images" / f"p{number * 97 % n_images:05d}.jpg",
                n_images + number,
            )
        runs.append((f"{changed} images changed", *snakemake(folder)))
    for what, seconds, counts in runs:
        sys.stdout.write(f"{n_images} images, {what}: {seconds:.1f} s, rows {counts}\n")


if __name__ == "__main__":
    main()
