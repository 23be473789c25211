"""`export`: a corpus and what was made of it -> the folder, or one file, that others read."""

import argparse
import json
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from extract.interop.layouts.base import Corpus, CropFolder
    from extract.tables.images_table import ImageRow
    from extract.tables.samples import Sample

HELP = "Write the folder that another project reads unmodified, or one artefact of a store."
EXAMPLE = (
    "python -m extract export --layout hvpnet --name twitter2017 "
    "--samples results/x/samples/train.jsonl results/x/samples/valid.jsonl "
    "results/x/samples/test.jsonl --images results/x/images.tsv "
    "--crops results/x/crops/yolo_world --out results/x/exports/hvpnet"
)

LAYOUTS = "extract.interop.layouts"

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the layout or artefact, what it may write, and where."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--layout", help="project whose folder is written: a file of interop/layouts")
    what.add_argument(
        "--artefact",
        metavar="KIND",
        help="one store as a file: a file of interop/artefacts/ that writes",
    )
    parser.add_argument(
        "--name", default="twitter2015", help="what the project calls the corpus (twitter2015)"
    )
    parser.add_argument(
        "--samples", type=Path, nargs="+", default=[], help="{train,valid,test}.jsonl"
    )
    parser.add_argument("--images", type=Path, required=True, help="images.tsv of the dataset")
    parser.add_argument("--crops", type=Path, help="folder of `crops`, of the noun phrases")
    parser.add_argument("--detector-crops", type=Path, help="folder of `crops`, of a detector")
    parser.add_argument(
        "--store",
        nargs="+",
        default=[],
        metavar="ROLE=FILE",
        help="feature files, e.g. captions=x.h5; of an artefact: one file, without role",
    )
    parser.add_argument(
        "--options", default="{}", metavar="JSON", help="options of the layout or artefact"
    )
    parser.add_argument(
        "--link",
        choices=["copy", "hardlink", "symlink"],
        default="copy",
        help="how images and crops get there (default copy)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder; an earlier export there is replaced"
    )


def run(args: argparse.Namespace) -> None:
    """Export a layout or an artefact."""
    if args.layout is not None:
        export_layout(args)
    else:
        export_artefact(args)


def export_artefact(args: argparse.Namespace) -> None:
    """Write one store as the file of another project: the other direction of `import`."""
    from extract.core.cli import json_value
    from extract.core.errors import ConfigError
    from extract.core.options import options_from
    from extract.interop.stores import load_artefact
    from extract.store import open_whole
    from extract.tables.images_table import read_images

    if len(args.store) != 1:
        raise ConfigError(f"--artefact {args.artefact} needs --store with one feature file.")
    module = load_artefact(args.artefact, "write")
    mapping = json_value(args.options, "--options")
    options = options_from(module.Options, mapping, f"{args.artefact} options")
    images = read_images(args.images)
    with open_whole(Path(args.store[0])) as store:
        counts = module.write(store, images, args.out, options)
    logger.info(json.dumps({"export": args.artefact, **counts}))


def export_layout(args: argparse.Namespace) -> None:
    """Read the inputs, build the folder beside `--out`, move it there."""
    from extract.core.cli import json_value
    from extract.core.errors import ConfigError
    from extract.core.options import options_from
    from extract.core.registry import load_module
    from extract.interop.exports import fresh_folder, write_manifest

    if not args.samples:
        raise ConfigError(f"--layout {args.layout} needs --samples.")
    layout = load_module(LAYOUTS, args.layout)
    options = options_from(layout.Options, json_value(args.options, "--options"), "--options")
    check_name(layout, args)
    with ExitStack() as stack:
        corpus = read_corpus(args, stack)
        check_inputs(layout, corpus, args.layout)
        manifest = describe(args, corpus, options)
        with fresh_folder(args.out) as folder:
            manifest["counts"] = layout.export(corpus, folder, options)
            write_manifest(folder, manifest)
    counts = {**manifest["counts"], "missing_images": len(manifest["missing_images"])}
    logger.info(json.dumps(counts))


def check_name(layout: "ModuleType", args: argparse.Namespace) -> None:
    """Refuse a corpus name that the project does not know, or that is no folder name."""
    from extract.core.errors import ConfigError, near_match

    names = getattr(layout, "NAMES", ())
    if names and args.name not in names:
        raise ConfigError(
            f"--name: {args.layout} knows {', '.join(names)}; got '{args.name}'."
            f"{near_match(args.name, names)}"
        )
    if not args.name or args.name.startswith(".") or set(args.name) & set("/\\\0"):
        raise ConfigError(f"--name: expected a plain folder name, got {args.name!r}")


def read_corpus(args: argparse.Namespace, stack: ExitStack) -> "Corpus":
    """Read everything that was given; stores stay open as long as `stack`."""
    from extract.core.errors import ConfigError
    from extract.interop.layouts.base import Corpus
    from extract.store import open_whole
    from extract.tables.images_table import ImageRows, read_images

    images = ImageRows(read_images(args.images))
    samples = read_splits(args.samples, images)
    used = {sample.image_id for split in samples.values() for sample in split}
    stores = {}
    for pair in args.store:
        role, gap, path = pair.partition("=")
        if not gap or not role or not path or role in stores:
            raise ConfigError(f"--store: expected ROLE=FILE, each role once, got '{pair}'")
        stores[role] = stack.enter_context(open_whole(Path(path)))
    return Corpus(
        name=args.name,
        samples=samples,
        images=images,
        crops=read_crops(args.crops, images, used),
        detector_crops=read_crops(args.detector_crops, images, used),
        stores=stores,
        link=args.link,
    )


def read_splits(paths: list[Path], images: Mapping[str, "ImageRow"]) -> dict[str, list["Sample"]]:
    """Return split -> samples, splits in their usual order, each named by its file.

    Raises:
        ConfigError: a file is not named like a split, or two are.
        DataError: a sample's image is not in images.tsv.
    """
    from extract.core.errors import ConfigError, DataError
    from extract.tables.samples import SPLITS, read_samples

    by_split = {path.stem: path for path in paths}
    if len(by_split) < len(paths) or not by_split.keys() <= set(SPLITS):
        shown = ", ".join(map(str, paths))
        raise ConfigError(
            f"--samples: expected files named {', '.join(SPLITS)} (.jsonl), got {shown}"
        )
    samples = {split: read_samples(by_split[split]) for split in SPLITS if split in by_split}
    for split, of_split in samples.items():
        for sample in of_split:
            if sample.image_id not in images:
                raise DataError(
                    f"{by_split[split]}: image {sample.image_id!r} of sample {sample.id!r} is not "
                    "in --images. Give the images.tsv of the same dataset."
                )
    return samples


def read_crops(
    folder: Path | None, images: Mapping[str, "ImageRow"], used: set[str]
) -> "CropFolder | None":
    """Read a folder of crops and check that they were cut from these images.

    Raises:
        DataError: a crop is of another file than images.tsv says, or none is of this corpus.
    """
    from extract.core.errors import DataError
    from extract.crops.plan import MANIFEST, read_manifest
    from extract.interop.layouts.base import CropFolder

    if folder is None:
        return None
    crops = read_manifest(folder / MANIFEST)
    for crop in crops:
        image = images.get(crop.image_id)
        if image is not None and crop.source_sha256 != image.sha256:
            raise DataError(
                f"{folder / MANIFEST}: crops of {crop.image_id!r} were cut from another file than "
                "images.tsv describes. Cut them anew."
            )
    if crops and not any(crop.image_id in used for crop in crops):
        raise DataError(f"{folder / MANIFEST}: no crop is of an image of --samples.")
    return CropFolder(folder, crops)


def check_inputs(layout: "ModuleType", corpus: "Corpus", name: str) -> None:
    """Refuse inputs that the layout misses, and ones that it would not use.

    Raises:
        ConfigError: the message names the option.
    """
    from extract.core.errors import ConfigError, near_match

    folders = {"crops", "detector_crops"}
    given = set(corpus.stores) | {role for role in folders if getattr(corpus, role) is not None}
    usable = [*layout.NEEDS, *layout.TAKES]

    def flag(role: str) -> str:
        return f"--{role.replace('_', '-')}" if role in folders else f"--store {role}=FILE"

    for role in layout.NEEDS:
        if role not in given:
            raise ConfigError(f"--layout {name} needs {flag(role)}.")
    for role in sorted(given):
        if role not in usable:
            known = ", ".join(map(flag, usable)) or "neither crops nor stores"
            raise ConfigError(
                f"--layout {name} does not use {flag(role)}; it uses {known}."
                f"{near_match(role, usable)}"
            )


def describe(args: argparse.Namespace, corpus: "Corpus", options: Any) -> dict[str, Any]:
    """Return what `EXPORT.json` says of the inputs: no time, host or path."""
    from dataclasses import asdict

    from extract.core.digests import file_sha256
    from extract.core.provenance import code_version, package_versions
    from extract.crops.plan import MANIFEST

    inputs = {f"samples/{path.stem}": file_sha256(path) for path in args.samples}
    inputs["images"] = file_sha256(args.images)
    for role, folder in (("crops", args.crops), ("detector_crops", args.detector_crops)):
        if folder is not None:
            inputs[role] = file_sha256(folder / MANIFEST)
    rows = [corpus.images[image_id] for image_id in corpus.image_ids]
    return {
        "layout": args.layout,
        "name": args.name,
        "options": asdict(options),
        "code": code_version(),
        "packages": package_versions(),
        "input_sha256": inputs,
        "store_fingerprints": {role: store.fingerprint for role, store in corpus.stores.items()},
        "missing_images": [
            {"image_id": row.image_id, "status": row.status, "reason": row.reason}
            for row in rows
            if row.status != "ok"
        ],
    }
