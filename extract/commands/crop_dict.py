"""`crop-dict`: `crops.jsonl` and splits -> `{split}_dict.pth` and the same as JSON."""

import argparse
import json
import logging
from pathlib import Path

HELP = "Write the {image: [crops]} dictionary of a split, as HVPNeT and its family read it."
EXAMPLE = (
    "python -m extract crop-dict --crops results/x/crops/yolo_world/crops.jsonl "
    "--samples results/x/samples/train.jsonl --out results/x/crops/yolo_world/train_dict.pth"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare crops, samples, output and the form of keys and values."""
    parser.add_argument("--crops", type=Path, required=True, help="crops.jsonl of `crops`")
    parser.add_argument(
        "--samples",
        type=Path,
        nargs="+",
        required=True,
        help="samples/{split}.jsonl; several for one dictionary of all splits",
    )
    parser.add_argument("--out", type=Path, required=True, help="{split}_dict.pth")
    parser.add_argument(
        "--keys",
        choices=["file", "id", "first_dot"],
        default="file",
        help="file: <id>.jpg (HVPNeT); id: without extension; first_dot: the id up to its first "
        "dot (detector crops of DeepKE and VEC-MNER)",
    )
    parser.add_argument(
        "--key-suffix",
        default=".jpg",
        help="of --keys file: added to image ids without an image suffix (default .jpg; '' adds "
        "nothing)",
    )
    parser.add_argument(
        "--prefix",
        default="",
        help="put before every crop's name, e.g. twitter15_detect/crops/ (default: nothing)",
    )


def run(args: argparse.Namespace) -> None:
    """Write both files; every image of the split is a key."""
    from extract.core.errors import ConfigError
    from extract.crops.dictionary import crop_dictionary, save_dictionary
    from extract.crops.plan import iter_manifest
    from extract.tables.samples import iter_samples

    if args.out.suffix != ".pth":
        raise ConfigError(f"--out: expected a name ending in .pth, got '{args.out}'")
    image_ids = (sample.image_id for path in args.samples for sample in iter_samples(path))
    dictionary = crop_dictionary(
        image_ids,
        iter_manifest(args.crops),
        keys=args.keys,
        key_suffix=args.key_suffix,
        prefix=args.prefix,
    )
    save_dictionary(dictionary, args.out)
    counts = {
        "images": len(dictionary),
        "no_crop": sum(not names for names in dictionary.values()),
        "crops": sum(map(len, dictionary.values())),
    }
    logger.info(json.dumps(counts))
