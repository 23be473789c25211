"""`crops`: a grounding store and the images -> one PNG a box, and `crops.jsonl`."""

import argparse
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extract.crops.record import CropRecord
    from extract.store import FeatureStore
    from extract.tables.images_table import ImageRow

HELP = "Cut the boxes of a grounding store out of the images."
EXAMPLE = (
    "python -m extract crops --store results/x/features/yolo_world.h5 "
    "--images results/x/images.tsv --out results/x/crops/yolo_world"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare store, images, output folder and smallest crop."""
    parser.add_argument("--store", type=Path, required=True, help="merged grounding store (.h5)")
    parser.add_argument("--images", type=Path, required=True, help="images.tsv of the dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder of crops and crops.jsonl")
    parser.add_argument(
        "--min-size", type=int, default=1, metavar="PX", help="smallest side of a crop (default 1)"
    )


def run(args: argparse.Namespace) -> None:
    """Write the crops, remove those of earlier runs that are not wanted, then `crops.jsonl`."""
    from extract.core.files import only_process

    with only_process(args.out):
        _cut(args)


def _cut(args: argparse.Namespace) -> None:
    from extract.core.errors import ConfigError
    from extract.crops import plan as crops
    from extract.crops.cutting import claim_folder, remove_old_crops
    from extract.crops.record import CropRecord
    from extract.store.verify import open_whole
    from extract.tables.images_table import ImageRows, read_images
    from extract.tables.lazy_table import pack

    if args.min_size < 1:
        raise ConfigError(f"--min-size: expected at least 1 px, got {args.min_size}")
    images = ImageRows(read_images(args.images))
    started = time.monotonic()
    claim_folder(args.out)
    manifest = args.out / crops.MANIFEST
    with open_whole(args.store) as store:
        _check_store(store, images, args)
        logger.info("crops: %d images of %s", len(store.ids), args.store)
        # From here to its rewriting the folder is not complete.
        manifest.unlink(missing_ok=True)
        counts, dropped = Counter(), Counter()
        record = CropRecord(args.out, crops.VERSION)
        with record.open():
            # Packed: a large corpus has millions of crops.
            lines = pack(_cut_images(store, images, args, record, counts, dropped), bytes)
    removed = remove_old_crops(args.out, record.names())
    record.rewrite()
    crops.write_manifest(manifest, lines)
    summary = {
        "images": len(store.ids),
        "images_with_crops": counts["images_with_crops"],
        "crops": counts["crops"],
        "cut": counts["cut"],
        "kept": counts["crops"] - counts["cut"],
        "dropped": dict(sorted(dropped.items())),
        "old_files_removed": removed,
        "seconds": round(time.monotonic() - started, 1),
    }
    logger.info(json.dumps(summary))


def _cut_images(
    store: "FeatureStore",
    images: Mapping[str, "ImageRow"],
    args: argparse.Namespace,
    record: "CropRecord",
    counts: Counter[str],
    dropped: Counter[str],
) -> Iterator[bytes]:
    """Cut the boxes of every image; yield their lines of the manifest.

    Args:
        store: of the boxes.
        images: image id -> line of images.tsv.
        args: of the command line.
        record: of the folder, open.
        counts: is added to: `images_with_crops`, `crops`, `cut`.
        dropped: is added to: why there is no crop -> boxes.
    """
    from extract.core.logs import Progress
    from extract.crops.cutting import cut_crops
    from extract.crops.names import CropStems
    from extract.crops.plan import manifest_line, plan_crops

    progress = Progress("crops", len(store.ids))
    stems = CropStems(store.ids)
    for image_id in store.ids:
        row, stem = images[image_id], stems[image_id]
        plan = plan_crops(store.item(image_id), row, stem=stem, min_size_px=args.min_size)
        counts["cut"] += cut_crops(plan, row, args.out, record)
        reasons = [crop.dropped for crop in plan if crop.dropped]
        dropped.update(reasons)
        counts["crops"] += len(plan) - len(reasons)
        counts["images_with_crops"] += len(plan) > len(reasons)
        yield from map(manifest_line, plan)
        progress.update(1)


def _check_store(
    store: "FeatureStore", images: Mapping[str, "ImageRow"], args: argparse.Namespace
) -> None:
    from extract.core.errors import DataError

    if not store.outputs.boxes:
        raise DataError(f"{args.store}: has no boxes, so it is not a grounding store.")
    unknown = [image_id for image_id in store.ids if image_id not in images]
    if unknown:
        raise DataError(
            f"{args.store}: {len(unknown)} images are not in {args.images}, e.g. "
            f"{unknown[0]!r}. Give the images.tsv that the store was made from."
        )
