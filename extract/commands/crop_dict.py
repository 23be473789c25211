"""`crop-dict`: `crops.jsonl` and one split -> `{split}_dict.pth` and the same as JSON."""

import argparse
import json
import logging
from pathlib import Path

HELP = "Write the {image: [crops]} dictionary of one split, as HVPNeT and its family read it."
EXAMPLE = (
    "python -m extract crop-dict --crops results/x/crops/yolo_world/crops.jsonl "
    "--samples results/x/samples/train.jsonl --out results/x/crops/yolo_world/train_dict.pth"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare crops, samples, output and the form of the keys."""
    parser.add_argument("--crops", type=Path, required=True, help="crops.jsonl of `crops`")
    parser.add_argument("--samples", type=Path, required=True, help="samples/{split}.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="{split}_dict.pth")
    parser.add_argument(
        "--key-suffix",
        default=".jpg",
        help="added to image ids without an image suffix (default .jpg; '' adds nothing)",
    )


def run(args: argparse.Namespace) -> None:
    """Write both files; every image of the split is a key."""
    from extract.crops import crop_dictionary, read_manifest, save_dictionary
    from extract.errors import ConfigError
    from extract.manifest import read_samples

    if args.out.suffix != ".pth":
        raise ConfigError(f"--out: expected a name ending in .pth, got '{args.out}'")
    image_ids = [sample.image_id for sample in read_samples(args.samples)]
    dictionary = crop_dictionary(image_ids, read_manifest(args.crops), key_suffix=args.key_suffix)
    save_dictionary(dictionary, args.out)
    counts = {
        "images": len(dictionary),
        "no_crop": sum(not names for names in dictionary.values()),
        "crops": sum(map(len, dictionary.values())),
    }
    logger.info(json.dumps(counts))
