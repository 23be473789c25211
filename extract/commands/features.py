"""`features`: one shard of a feature set, image extractors and string extractors alike."""

import argparse
from pathlib import Path

HELP = "Compute one shard of a feature set into HDF5; a stopped run continues."
EXAMPLE = (
    "python -m extract features --spec results/specs/vgg16.json --images results/x/images.tsv "
    "--shard 1-of-2 --out results/x/shards/vgg16.1-of-2.h5"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the inputs, the shard and the runtime knobs."""
    parser.add_argument("--spec", type=Path, required=True, help="spec file of the feature set")
    parser.add_argument("--images", type=Path, required=True, help="images.tsv of the dataset")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 shard to write")
    parser.add_argument("--shard", default="1-of-1", help="part k-of-n (default: all)")
    parser.add_argument("--samples", type=Path, nargs="+", default=[], help="samples/*.jsonl")
    parser.add_argument("--phrases", type=Path, help="phrases file (grounders)")
    parser.add_argument(
        "--annotations", type=Path, help="box annotations (folder of VOC XML, COCO .json or .jsonl)"
    )
    parser.add_argument("--captions", type=Path, help="caption list of the corpus")
    parser.add_argument("--boxes", type=Path, help="grounding store whose boxes are read")
    parser.add_argument(
        "--reuse", type=Path, help="earlier merged file to copy unchanged rows from"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--batch-size", type=int, default=16, help="images a batch")
    parser.add_argument("--workers", type=int, default=2, help="decoding threads")
    parser.add_argument(
        "--threads", type=int, default=0, help="compute threads (0: library default)"
    )


def run(args: argparse.Namespace) -> None:
    """Read the inputs that were given and run the shard."""
    from extract.core.files import only_process
    from extract.features.engine import Runtime, run_extraction
    from extract.features.inputs import read_inputs
    from extract.features.spec import read_spec
    from extract.tables.images_table import read_images

    spec = read_spec(args.spec)
    images = read_images(args.images)
    with only_process(args.out):
        run_extraction(
            spec,
            images,
            args.out,
            read_inputs(args, images),
            shard=args.shard,
            runtime=Runtime(args.device, args.batch_size, args.workers, args.threads),
            reuse=args.reuse,
        )
