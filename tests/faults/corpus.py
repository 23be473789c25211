"""A corpus of drawn pictures with boxes, phrases and captions, and commands on it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.builders.extract.tiny_plugins import Workbench
from tests.faults.processes import Command, extract

N_IMAGES = 48
BATCH = 4


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus."""

    bench: Workbench

    def features(self, name: str, shard: Path, *flags: object) -> Command:
        """Return the command that computes a case of tiny_plugins as one shard."""
        return extract(*self.bench.arguments(name, shard, batch_size=BATCH), *flags)

    def merge(self, shards: list[Path], out: Path) -> Command:
        """Return the command that merges shards of the whole corpus."""
        return extract("merge", "--shards", *shards, "--images", self.bench.manifest, "--out", out)

    def verify(self, store: Path, out: Path) -> Command:
        """Return the command that verifies a merged store."""
        return extract("verify", store, "--images", self.bench.manifest, "--out", out)


def make_corpus(folder: Path, n_images: int = N_IMAGES) -> Corpus:
    """Draw the pictures (one broken, one absent) and prepare manifest, phrases and box store."""
    rng = np.random.default_rng(11)
    ids = [f"p{number}" for number in range(n_images)]
    folder.mkdir(parents=True, exist_ok=True)
    bench = Workbench(folder, ids)
    bench.images.mkdir()
    boxes = {}
    for number, image_id in enumerate(ids):
        blocks = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
        picture = blocks.resize((36 + number % 3, 34 + number % 2), Image.Resampling.BICUBIC)
        picture.save(bench.images / f"{image_id}.png")
        if number % 5:
            boxes[image_id] = [[0, 0, 20, 30], [number % 20, 3, number % 20 + 9, 20]]
    (bench.images / "p6.png").write_bytes(b"no picture")
    (bench.images / "p13.png").unlink()
    bench.prepare(boxes)
    return Corpus(bench)
