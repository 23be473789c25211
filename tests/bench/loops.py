"""The loop that people write: decode, resize, one float32 forward an image, no batches.

Each runs in a process of its own and prints one JSON object; imports and loading of weights are
not counted in `seconds`.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image

from extract.extractors.base import Extractor
from extract.features.engine import make_extractor
from extract.features.spec import FeatureSpec, read_spec
from extract.images.decode import load_image
from extract.networks.weights import resolve_weights
from extract.tables.images_table import ImageRow, read_images
from extract.tables.rows import Item, Phrase

PHRASES = ("a man", "the red car", "a crowd of people", "stage")


def plain_vgg(rows: list[ImageRow], weights: Path) -> dict[str, Any]:
    """Loop over torchvision's VGG-16, without any code of this project."""
    import torch
    from safetensors.torch import load_file
    from torchvision import transforms
    from torchvision.models import vgg16

    network = vgg16().features.eval()
    tensors = load_file(weights / "model.safetensors")
    network.load_state_dict({k.removeprefix("features."): v for k, v in tensors.items()})
    transform = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    started, kept = time.perf_counter(), []
    with torch.no_grad():
        for row in rows:
            image = Image.open(row.path).convert("RGB")
            kept.append(network(transform(image)[None])[0].flatten(1).T.numpy())
    return {"seconds": time.perf_counter() - started}


def load_extractor(spec: FeatureSpec) -> Extractor:
    """Return the extractor of a spec with its weights."""
    extractor, _ = make_extractor(spec)
    paths = {role: resolve_weights(entry, role) for role, entry in spec.weights.items()}
    extractor.load(paths, "cpu")
    return extractor


def make_items(rows: list[ImageRow]) -> list[Item]:
    """Return decoded images with the same phrases each."""
    phrases = tuple(Phrase(text, i, i + 1) for i, text in enumerate(PHRASES))
    return [Item(row.image_id, load_image(Path(row.path)), phrases=phrases) for row in rows]


def one_by_one(rows: list[ImageRow], spec: FeatureSpec) -> dict[str, Any]:
    """Loop over one of our extractors, image by image."""
    extractor = load_extractor(spec)
    started = time.perf_counter()
    for row in rows:
        extractor.extract(make_items([row]))
    return {"seconds": time.perf_counter() - started}


def forward_only(rows: list[ImageRow], spec: FeatureSpec, batch_size: int) -> dict[str, Any]:
    """Time `extract` on batches that are already decoded and resized; count its operations."""
    from dataclasses import replace

    from torch.utils.flop_counter import FlopCounterMode

    from extract.core.system import keep_freed_memory

    keep_freed_memory()
    extractor = load_extractor(spec)
    items = make_items(rows)
    items = [replace(item, prepared=extractor.prepare(item)) for item in items]
    batches = [items[i : i + batch_size] for i in range(0, len(items), batch_size)]
    with FlopCounterMode(display=False) as counter:
        extractor.extract(batches[0])
    per_image = counter.get_total_flops() / len(batches[0])
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        for batch in batches:
            extractor.extract(batch)
        seconds.append(time.perf_counter() - started)
    return {"seconds": min(seconds), "gflop_per_image": per_image / 1e9}


def matmul_peak(precision: str) -> dict[str, Any]:
    """Return the best rate of a matrix product in `bfloat16` or `float32`, GFLOP/s."""
    import torch

    rates = []
    for size in (1024, 2048, 4096):
        a, b = (torch.randn(size, size).to(getattr(torch, precision)) for _ in range(2))
        for _ in range(6):
            started = time.perf_counter()
            a @ b
            rates.append(2 * size**3 / (time.perf_counter() - started) / 1e9)
    return {"gflops": max(rates)}


def main() -> None:
    """Run the loop that the arguments name."""
    kind, *args = sys.argv[1:]
    if kind == "matmul_peak":
        result = matmul_peak(args[0])
    else:
        rows = read_images(Path(args[0]))[: int(args[1])]
        if kind == "plain_vgg":
            result = plain_vgg(rows, Path(args[2]))
        elif kind == "one_by_one":
            result = one_by_one(rows, read_spec(Path(args[2])))
        else:
            result = forward_only(rows, read_spec(Path(args[2])), int(args[3]))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
