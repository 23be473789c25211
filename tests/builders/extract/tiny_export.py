"""The tiny corpus, prepared and cropped, for the tests of exports and crop archives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from extract.__main__ import main
from extract.corpora.prepare import prepare_dataset
from extract.corpora.readers.base import TextSettings
from extract.store import FeatureWriter, Header, merge_shards
from extract.tables.images_table import ImageRow, read_images
from extract.tables.rows import ItemFeatures, Outputs, nothing_found
from extract.tables.samples import Sample, read_samples, write_samples

TINY = Path("tests/data/tiny")
SPLITS = ("train", "valid", "test")
OUTPUTS = Outputs(text=True, boxes=True, scores=True)

# More than three for one image; none for others; one outside the frame's edge.
PHRASE_BOXES = {
    "17_06_1": [(2, 2, 14, 30), (16, 8, 40, 28), (0, 0, 48, 32), (5, 5, 9, 9), (30, 1, 47, 12)],
    "O_3993": [(1, 2, 20, 11)],
    "img.v2": [(-5, -5, 60, 40.5), (90, 3, 400, 200)],
    "240": [(0, 10, 32, 24)],
    "dev_1": [(4, 4, 20, 20), (0, 0, 7, 23), (1, 1, 24, 3)],
    "test_3": [(8, 4, 24, 28), (0, 0, 5, 5)],
}
DETECTOR_BOXES = {
    "img.v2": [(10, 10, 50, 50)],
    "dev_1": [(0, 0, 12, 12), (3, 3, 24, 24)],
    "test_1": [(1, 1, 12, 22), (6, 14, 30, 23)],
}
# The shared image of two splits, which the corpus itself has not.
SHARED = Sample("valid-shared", "17_06_1", ["Ada", "again"], ["B-PER", "O"])


@dataclass(frozen=True)
class Tiny:
    """Where everything of the prepared corpus is."""

    folder: Path

    @property
    def images(self) -> dict[str, ImageRow]:
        return {row.image_id: row for row in read_images(self.folder / "images.tsv")}

    def samples(self, split: str) -> list[Sample]:
        return read_samples(self.folder / "samples" / f"{split}.jsonl")

    def command(self, layout: str, out: Path, *more: str) -> list[str]:
        """Return the arguments of an export with the crops of the noun phrases."""
        samples = [str(self.folder / "samples" / f"{split}.jsonl") for split in SPLITS]
        return [
            *("export", "--layout", layout, "--samples", *samples),
            *("--images", str(self.folder / "images.tsv")),
            *("--crops", str(self.folder / "phrase_crops"), "--out", str(out), *more),
        ]  # fmt: skip


def prepare(root: Path, folder: Path) -> Tiny:
    """Prepare the corpus, with an image that two splits share, and cut both kinds of crops."""
    prepare_dataset(
        "conll_imgid",
        root / TINY,
        folder,
        settings=TextSettings(),
        splits=SPLITS,
        image_folder=root / TINY / "images",
        evidence=None,
        max_bad_images=1.0,
        check_counts=False,
        workers=1,
    )
    tiny = Tiny(folder)
    write_samples(folder / "samples" / "valid.jsonl", [*tiny.samples("valid"), SHARED])
    for name, boxes in (("phrase", PHRASE_BOXES), ("detector", DETECTOR_BOXES)):
        cut(tiny, boxes, folder / f"{name}_crops")
    return tiny


def cut(tiny: Tiny, boxes: Mapping[str, Sequence], out: Path, phrases: Sequence[str] = ()) -> Path:
    """Write a grounding store of boxes, best first, and cut it; return the store."""
    rows = list(tiny.images.values())
    store = write_store(rows, boxes, out.with_suffix(".h5"), phrases)
    images = str(tiny.folder / "images.tsv")
    assert main(["crops", "--store", str(store), "--images", images, "--out", str(out)]) == 0
    return store


def write_store(
    rows: Sequence[ImageRow], boxes: Mapping[str, Sequence], path: Path, phrases: Sequence[str] = ()
) -> Path:
    """Write a merged grounding store; row j has the j-th phrase where phrases are given."""
    header = Header(
        fingerprint="f" * 64,
        outputs=OUTPUTS,
        ids=tuple(row.image_id for row in rows),
        input_sha256=tuple(row.sha256 for row in rows),
        image_size=np.array([(row.height, row.width) for row in rows], np.int32),
    )
    shard = path.with_suffix(".shard")
    writer = FeatureWriter(path.with_suffix(".partial"), header)
    writer.append([_item(boxes.get(row.image_id, ()), phrases) for row in rows])
    writer.finish(shard, {})
    merge_shards([shard], path, ids=list(header.ids))
    return path


def _item(boxes: Sequence, phrases: Sequence[str]) -> ItemFeatures:
    if not len(boxes):
        return nothing_found("no box", OUTPUTS)
    empty = nothing_found("", OUTPUTS)
    return replace(
        empty,
        text=list(phrases[: len(boxes)]) if phrases else [f"phrase {i}" for i in range(len(boxes))],
        boxes=np.array(boxes, np.float32),
        scores=np.linspace(0.9, 0.1, len(boxes), dtype=np.float32),
        status=0,
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Return relative path -> bytes of every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
