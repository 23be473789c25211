"""`crops`: a grounding store and the images -> one PNG a box, and `crops.jsonl`."""

import argparse
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extract.manifest import ImageRow
    from extract.store import FeatureStore

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
    from extract.lock import only_process

    with only_process(args.out):
        _cut(args)


def _cut(args: argparse.Namespace) -> None:
    from extract import crops
    from extract.crop_record import CropRecord
    from extract.errors import ConfigError
    from extract.logs import Progress
    from extract.manifest import read_images
    from extract.store.verify import open_whole

    if args.min_size < 1:
        raise ConfigError(f"--min-size: expected at least 1 px, got {args.min_size}")
    images = {row.image_id: row for row in read_images(args.images)}
    started = time.monotonic()
    crops.claim_folder(args.out)
    manifest = args.out / crops.MANIFEST
    with open_whole(args.store) as store:
        _check_store(store, images, args)
        logger.info("crops: %d images of %s", len(store.ids), args.store)
        # From here to its rewriting the folder is not complete.
        manifest.unlink(missing_ok=True)
        progress = Progress("crops", len(store.ids))
        stems = crops.crop_stems(store.ids)
        done, n_cut = [], 0
        record = CropRecord(args.out, crops.VERSION)
        with record.open():
            for image_id in store.ids:
                plan = crops.plan_crops(
                    store.item(image_id),
                    images[image_id],
                    stem=stems[image_id],
                    min_size_px=args.min_size,
                )
                n_cut += crops.cut_crops(plan, images[image_id], args.out, record)
                done += plan
                progress.update(1)
    names = [crop.crop for crop in done if crop.crop]
    removed = crops.remove_old_crops(args.out, names)
    record.rewrite(names)
    crops.write_manifest(manifest, done)
    counts = {
        "images": len(store.ids),
        "images_with_crops": len({crop.image_id for crop in done if crop.crop}),
        "crops": len(names),
        "cut": n_cut,
        "kept": len(names) - n_cut,
        "dropped": crops.count_dropped(done),
        "old_files_removed": removed,
        "seconds": round(time.monotonic() - started, 1),
    }
    logger.info(json.dumps(counts))


def _check_store(
    store: "FeatureStore", images: Mapping[str, "ImageRow"], args: argparse.Namespace
) -> None:
    from extract.errors import DataError

    if not store.outputs.boxes:
        raise DataError(f"{args.store}: has no boxes, so it is not a grounding store.")
    unknown = [image_id for image_id in store.ids if image_id not in images]
    if unknown:
        raise DataError(
            f"{args.store}: {len(unknown)} images are not in {args.images}, e.g. "
            f"{unknown[0]!r}. Give the images.tsv that the store was made from."
        )
