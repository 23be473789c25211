"""Each extractor's rate against the loop that people write, and against what the machine can do.

    python tests/bench/extractors.py [NAME ...]

Networks have published sizes and random weights. Rows are written as they come. Columns:

- precision: what ours computes in, bfloat16 where the case can use it and this processor has it;
- one by one: images/s of decode, resize and one float32 forward an image (for `vgg16` a plain
  torchvision loop), imports and weights not counted;
- ours: images/s of `python -m extract features`, files to store, imports and weights not counted;
- whole: the same two as whole processes, imports and all, as a ratio;
- forward: GFLOP/s of the network on decoded batches, and its share of the best matrix product of
  this machine in the same precision.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import loops
import photos
from rows import Rows

from extract.core.files import write_json, write_text
from extract.features.spec import complete_spec
from extract.grounding.yolo_world import _prepare_environment as prepare_environment
from extract.networks.precision import resolve_precision
from extract.networks.random_weights import write_random_weights
from extract.tables.images_table import ImageRow, read_images, write_images
from extract.tables.samples import Sample, write_samples

HERE = Path(__file__).parent
REPEATS = 2
CLIP_B32 = {
    "kind": "clip",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
    "projection_dim": 512,
}
BLIP_BASE = {"kind": "blip", "vision": {"image_size": 384}, "text": {}}


TOWER = {key: CLIP_B32[key] for key in list(CLIP_B32)[1:-1]}
TEXT = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
}
CLIP_TEXT = {"kind": "clip_text", **TEXT, "projection_dim": 512}
CLIP_FULL = {"kind": "clip_full", "vision": TOWER, "text": TEXT, "projection_dim": 512}
RCNN = {"kind": "faster_rcnn", "architecture": "fasterrcnn_resnet50_fpn"}
BEAMS = {"num_captions": 5, "num_beams": 5, "max_new_tokens": 20}


@dataclass(frozen=True)
class Case:
    """One extractor at a published size."""

    extractor: str
    weights: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Role -> config of random weights."""
    options: dict[str, Any] = field(default_factory=dict)
    has_bfloat16: bool = False
    """Whether ours computes in bfloat16 where that is faster; the loop is in float32."""
    images: int = 60
    batch_size: int = 16
    phrases: bool = False
    """Whether it grounds phrases."""

    @property
    def precision(self) -> str:
        """What ours computes in on this machine."""
        asked = "auto" if self.has_bfloat16 else "fp32"
        return {"fp32": "float32", "bf16": "bfloat16"}[resolve_precision(asked, "cpu")]

    def options_in(self, precision: str) -> dict[str, Any]:
        """Return the options of the extractor in one precision."""
        return self.options | ({"compute": precision} if self.has_bfloat16 else {})


CASES = {
    "vgg16": Case(
        "vgg", {"vision": {"kind": "vgg", "layers": "vgg16"}}, has_bfloat16=True, images=32
    ),
    "clip_vit_b32": Case("clip", {"vision": CLIP_B32}, has_bfloat16=True),
    "pixels_224": Case("pixels"),
    "ocr": Case("ocr", images=20),
    "caption_blip_base": Case(
        "caption",
        {"captioner": BLIP_BASE},
        BEAMS,
        has_bfloat16=True,
        images=8,
        batch_size=8,
    ),
    "yolo_world_s": Case(
        "yolo_world",
        {"detector": {"kind": "yolov8s-worldv2"}, "text": CLIP_TEXT},
        images=32,
        phrases=True,
    ),
    "grounding_dino_t": Case(
        "grounding_dino", {"detector": {"kind": "grounding_dino"}}, images=2, phrases=True
    ),
    "faster_rcnn_r50": Case("faster_rcnn", {"detector": RCNN}, has_bfloat16=True, images=4),
    "regions_r50": Case(
        "regions",
        {"detector": RCNN, "trunk": {"kind": "resnet"}, "clip": CLIP_FULL},
        has_bfloat16=True,
        images=4,
    ),
}


def write_spec(name: str, case: Case, options: dict[str, Any], folder: Path) -> Path:
    """Write weights, where they are not there yet, and the spec of a case."""
    weights = {}
    for role, config in case.weights.items():
        path = folder / "weights" / name / role
        if config["kind"].startswith("yolo"):
            path = path.with_suffix(".pt")
        if not path.exists():
            write_weights(config, path)
        weights[role] = {"name": role, "path": str(path)}
    spec = complete_spec(
        {"name": name, "extractor": case.extractor, "options": options, "weights": weights}
    )
    path = folder / f"{name}.{spec.fingerprint[:8]}.json"
    write_json(path, {**vars(spec), "fingerprint": spec.fingerprint})
    return path


def write_weights(config: dict[str, Any], path: Path) -> None:
    """Write random weights of a published size."""
    if not config["kind"].startswith("yolo"):
        write_random_weights(config, 1, path)
        return
    # Sets the environment in which the package stays offline, before its first import.
    prepare_environment()
    from ultralytics import YOLOWorld

    path.parent.mkdir(parents=True)
    YOLOWorld(f"{config['kind']}.yaml").save(path)


def run(*command: Any) -> tuple[dict[str, Any], float]:
    """Run a command; return its last JSON object and the seconds of the whole process."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "HF_HUB_OFFLINE": "1"}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, env=environment
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    # The last line with an object: of the log on stderr, or all of stdout.
    lines = [line for line in (done.stderr + done.stdout).splitlines() if "{" in line]
    return json.loads(lines[-1][lines[-1].index("{") :]), seconds


def best(*command: Any, key: str) -> tuple[float, float]:
    """Return the least `key` and the least seconds of the whole process of some runs."""
    results = [run(*command) for _ in range(REPEATS)]
    return min(result[key] for result, _ in results), min(whole for _, whole in results)


def ours(case: Case, spec: Path, images: Path, folder: Path) -> tuple[float, float]:
    """Return seconds without imports and loading, and of the whole process, of the real command."""
    results = []
    for _ in range(REPEATS):
        out = folder / "out.h5"
        out.unlink(missing_ok=True)
        flags = ["--threads", os.cpu_count(), "--workers", os.cpu_count()]
        inputs = ["--phrases", folder / "phrases.jsonl", "--samples", folder / "all.jsonl"]
        result, whole = run(
            "-m", "extract", "features", "--spec", spec, "--images", images, "--device", "cpu",
            "--batch-size", case.batch_size, *flags, *(inputs if case.phrases else []),
            "--out", out,
        )  # fmt: skip
        results.append((result["seconds"] - result["loading_s"], whole))
    return min(seconds for seconds, _ in results), min(whole for _, whole in results)


@cache
def peak(precision: str) -> float:
    """Return the best rate of a matrix product in one precision, GFLOP/s."""
    return run(HERE / "loops.py", "matmul_peak", precision)[0]["gflops"]


def measure(name: str, case: Case, folder: Path) -> list[str]:
    """Return one row of the table."""
    rows = read_images(folder / "images.tsv")[: case.images]
    images = folder / f"images.{len(rows)}.tsv"
    write_images(images, rows)
    spec = write_spec(name, case, case.options_in(case.precision), folder)
    loop = HERE / "loops.py"
    if name == "vgg16":
        plain = ["plain_vgg", images, len(rows), folder / "weights" / name / "vision"]
    else:
        plain = [
            "one_by_one",
            images,
            len(rows),
            write_spec(name, case, case.options_in("float32"), folder),
        ]
    plain_s, plain_whole = best(loop, *plain, key="seconds")
    ours_s, ours_whole = ours(case, spec, images, folder)
    cells = [
        name,
        case.precision if case.weights else "",
        str(len(rows)),
        f"{len(rows) / plain_s:.2f}",
        f"{len(rows) / ours_s:.2f}",
        f"{plain_s / ours_s:.2f}",
        f"{plain_whole:.1f} / {ours_whole:.1f} = {plain_whole / ours_whole:.2f}",
    ]
    if not case.weights:
        return [*cells, "", ""]
    forward, _ = run(loop, "forward", images, len(rows), spec, case.batch_size)
    rate = forward["gflop_per_image"] * len(rows) / forward["seconds"]
    best_rate = peak(case.precision)
    return [*cells, f"{rate:.0f}", f"{rate / best_rate:.0%} of {best_rate:.0f}"]


def main() -> None:
    """Measure the cases that the arguments name, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CASES)}")
    names = parser.parse_args().names or list(CASES)
    sys.stdout.write(f"{os.cpu_count()} cores; one by one is in float32\n")
    table = Rows(
        "extractor", "precision", "images", "one by one /s", "ours /s", "ratio",
        "whole process s", "forward GFLOP/s", "of peak GFLOP/s",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        write_phrases(photos.lay_out_photos(folder), folder)
        for name in names:
            table.write(measure(name, CASES[name], folder))


def write_phrases(rows: Sequence[ImageRow], folder: Path) -> None:
    """Write the same phrases for each photo, as the command reads them."""
    samples = [Sample(row.image_id, row.image_id, list(loops.PHRASES)) for row in rows]
    write_samples(folder / "all.jsonl", samples)
    phrases = [{"text": text, "start": i, "end": i + 1} for i, text in enumerate(loops.PHRASES)]
    lines = [json.dumps({"id": row.image_id, "phrases": phrases}) + "\n" for row in rows]
    write_text(folder / "phrases.jsonl", "".join(lines))


if __name__ == "__main__":
    main()
