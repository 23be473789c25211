"""`ground`: one shard of a grounding store (phrases -> boxes); the same engine as `features`."""

import argparse

from extract.commands import features

HELP = "Ground the noun phrases of each image to boxes, one shard; a stopped run continues."
EXAMPLE = (
    "python -m extract ground --spec results/specs/yolo_world.json --images results/x/images.tsv "
    "--samples results/x/samples/*.jsonl --phrases results/x/phrases/textblob.jsonl "
    "--out results/x/shards/yolo_world.1-of-1.h5"
)

add_arguments = features.add_arguments


def run(args: argparse.Namespace) -> None:
    """Check that phrases were given, then run the shard."""
    from extract.core.errors import ConfigError

    if args.phrases is None:
        raise ConfigError("ground: --phrases is needed. Make it with `python -m extract phrases`.")
    features.run(args)
