"""Every extractor and grounder with options and random weights that make it small and fast.

`CASES` is what tests run that must hold for all plug-ins; `assert_every_plugin_has_a_case` finds
the ones that it lacks.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from extract.__main__ import main
from extract.core.options import options_from
from extract.core.registry import available
from extract.features.spec import load_plugin
from extract.networks.random_weights import write_random_weights

PACKAGES = ("extract.extractors", "extract.grounding")
PHRASES = ("red ball", "old dog")

_TOWER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
_VISION = {**_TOWER, "patch_size": 8, "image_size": 32}

Writer = Callable[[Path], object]
"""Writes a checkpoint, a file or a folder, at the path given."""


def _random(**config: Any) -> Writer:
    return lambda path: write_random_weights(config, 0, path)


def _captioner(folder: Path) -> None:
    """A BLIP whose scores depend on the picture: fresh weights hardly let it through."""
    from safetensors.torch import load_file, save_file

    _random(kind="blip", vision=_VISION, text=_TOWER)(folder)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    for name, tensor in tensors.items():
        if tensor.ndim > 1:
            tensor *= 100 if "crossattention" in name or "vision" in name else 5
    save_file(tensors, file, metadata={"format": "pt"})


def _faster_rcnn(folder: Path) -> None:
    from tests.builders.extract.tiny_faster_rcnn import write_detector

    write_detector(folder)


def _grounding_dino(folder: Path) -> None:
    from tests.builders.extract.tiny_grounding_dino import write_tiny_grounding_dino

    write_tiny_grounding_dino(folder)


def _yolo_world(path: Path) -> None:
    from tests.builders.extract.tiny_yolo_world import write_tiny_detector

    write_tiny_detector(path)


@dataclass(frozen=True)
class Case:
    """One plug-in with one set of options."""

    plugin: str
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Writer] = field(default_factory=dict)
    """Role -> how its checkpoint is written."""
    package: str = ""
    """What must be installed beside torch and transformers."""
    program: str = ""
    """What must be on PATH."""

    @property
    def needs(self) -> frozenset[str]:
        """What an item must carry."""
        _, module = load_plugin(self.plugin)
        return module.Extractor(options_from(module.Options, self.options, self.plugin)).needs


CASES = {
    "annotations": Case("annotations"),
    "caption": Case(
        "caption",
        {"max_new_tokens": 4, "num_captions": 2},
        {"captioner": _captioner},
    ),
    "caption_list": Case("caption_list"),
    "clip": Case(
        "clip",
        {"image_size": 32, "patch_size": 8, "feature_dim": 16},
        {"vision": _random(kind="clip", projection_dim=12, **_VISION)},
    ),
    "faster_rcnn": Case(
        "faster_rcnn",
        {"threshold": 0.1, "min_size": 32, "max_size": 64},
        {"detector": _faster_rcnn},
    ),
    "grounding_dino": Case(
        "grounding_dino",
        {"threshold": 0.0, "shortest_edge": 72, "longest_edge": 120},
        {"detector": _grounding_dino},
    ),
    "ocr": Case("ocr", {"psm": 6}, program="tesseract"),
    "pixels": Case("pixels", {"size": 16}),
    "pixels_crops": Case("pixels", {"size": 16, "of": "crops"}),
    "random": Case("random"),
    "regions": Case(
        "regions",
        {
            "detector_min_size": 32,
            "detector_max_size": 64,
            "shorter_side": 32,
            "longer_side": 64,
            "max_regions": 12,
            "attribute_words": ["old", "red", "wooden"],
        },
        {
            "detector": _faster_rcnn,
            "trunk": _random(kind="resnet", layers=[1, 1, 1, 1], width_per_group=4),
            "clip": _random(kind="clip_full", vision=_VISION, text=_TOWER, projection_dim=12),
        },
    ),
    "vgg": Case(
        "vgg",
        {"feature_dim": 6, "stride_px": 4, "image_size": 32},
        {"vision": _random(kind="vgg", layers=[4, "M", 6, "M"])},
    ),
    "yolo_world": Case(
        "yolo_world",
        {"threshold": 0.0, "image_size": 96},
        {"detector": _yolo_world, "text": _random(kind="clip_text", projection_dim=512, **_TOWER)},
        package="ultralytics",
    ),
}


def assert_every_plugin_has_a_case() -> None:
    """Fail for a plug-in that no case runs."""
    found = {name for package in PACKAGES for name in available(package)}
    missing = sorted(found - {case.plugin for case in CASES.values()})
    assert not missing, (
        f"add {', '.join(missing)} to CASES in tests/builders/extract/tiny_plugins.py"
    )


class Workbench:
    """A small corpus in a folder, and the commands that work on it.

    Args:
        folder: whose `images/` holds the images.
        image_ids: in manifest order.
        caption: of each image.
    """

    def __init__(self, folder: Path, image_ids: list[str], caption: str = "a dog") -> None:
        self.folder, self.images, self.image_ids = folder, folder / "images", image_ids
        blocks = (f"IMGID:{name}\nhello\tO\n\n" for name in image_ids)
        (folder / "train.txt").write_text("".join(blocks))
        captions = "".join(f"{name}.jpg :{caption}\n" for name in image_ids)
        (folder / "captions.txt").write_text(captions)

    def run(self, *arguments: object) -> None:
        """Run one command of `python -m extract` in this process."""
        assert main([str(argument) for argument in arguments]) == 0, arguments[0]

    def prepare(self, boxes: Mapping[str, list[list[float]]]) -> None:
        """Make the manifest, the phrases and the store of annotated boxes.

        Args:
            boxes: image id -> `xyxy` of what is annotated in it.
        """
        folder = self.folder
        self.run(
            "dataset", "--reader", "conll_imgid", "--root", folder, "--images", self.images,
            "--splits", "train", "--max-bad-images", 1, "--out", folder,
        )  # fmt: skip
        self.run(
            "phrases", "--backend", "type_words", "--options", json.dumps({"words": PHRASES}),
            "--samples", folder / "samples/train.jsonl", "--out", folder / "phrases.jsonl",
        )  # fmt: skip
        records = (
            {"image_id": name, "boxes": [{"name": PHRASES[0], "xyxy": box} for box in found]}
            for name, found in boxes.items()
        )
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (folder / "annotations.jsonl").write_text(lines)
        self.store("annotations")

    def write_spec(self, name: str) -> Path:
        """Write the spec of a case, and its checkpoints when they are not there."""
        case, entries = CASES[name], {}
        if case.package:
            pytest.importorskip(case.package)
        if case.program and shutil.which(case.program) is None:
            pytest.skip(f"the program {case.program} is not installed")
        for role, write in case.weights.items():
            path = self.folder / "weights" / f"{name}_{role}.pt"
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                write(path)
            entries[role] = {"name": f"{name}_{role}", "path": str(path)}
        definition = {"name": name, "extractor": case.plugin, "options": dict(case.options)}
        spec = self.folder / "specs" / f"{name}.json"
        self.run("spec", "--definition", json.dumps({**definition, "weights": entries}),
                 "--out", spec)  # fmt: skip
        return spec

    def arguments(self, name: str, out: Path, *, batch_size: int) -> list[str]:
        """Return the command line that computes one case as one shard."""
        folder, needs = self.folder, CASES[name].needs
        given = {
            "phrases": ["--phrases", folder / "phrases.jsonl"],
            "annotations": ["--annotations", folder / "annotations.jsonl"],
            "captions": ["--captions", folder / "captions.txt"],
            "boxes": ["--boxes", folder / "features/annotations.h5"],
        }
        extra = [flag for need, flags in given.items() if need in needs for flag in flags]
        if "phrases" in needs:
            extra += ["--samples", folder / "samples/train.jsonl"]
        command = [
            "features", "--spec", folder / "specs" / f"{name}.json", "--images", self.manifest,
            "--out", out, "--device", "cpu", "--threads", 1, "--batch-size", batch_size, *extra,
        ]  # fmt: skip
        return [str(word) for word in command]

    def store(self, name: str, *, batch_size: int = 4) -> Path:
        """Compute, merge and verify the feature file of a case."""
        self.write_spec(name)
        shard = self.folder / "shards" / f"{name}.h5"
        shard.parent.mkdir(exist_ok=True)
        self.run(*self.arguments(name, shard, batch_size=batch_size))
        return self.merge(name, shard)

    def merge(self, name: str, shard: Path) -> Path:
        """Merge the one shard of a case and verify the file."""
        out = self.folder / "features" / f"{name}.h5"
        self.run("merge", "--shards", shard, "--images", self.manifest, "--out", out)
        report = self.folder / "qc.json"
        self.run("verify", out, "--images", self.manifest, "--out", report)
        return out

    @property
    def manifest(self) -> Path:
        """The images.tsv."""
        return self.folder / "images.tsv"
