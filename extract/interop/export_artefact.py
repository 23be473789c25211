"""The other direction of `import`: a feature store -> the file of another project."""

import argparse
import json
import logging

logger = logging.getLogger(__name__)


def run_artefact(args: argparse.Namespace) -> None:
    """Write an artefact and log its counts as one JSON line.

    Args:
        args: `artefact` (a kind that writes), `store` and `images` (paths), `options` (JSON) and
            `out`.

    Raises:
        ConfigError: no such kind or option.
        MnerError: whatever the kind cannot write.
    """
    from extract.core.cli import json_value
    from extract.core.options import options_from
    from extract.interop.stores import load_artefact
    from extract.store import open_whole
    from extract.tables.images_table import read_images

    module = load_artefact(args.artefact, "write")
    mapping = json_value(args.options, "--options")
    options = options_from(module.Options, mapping, f"{args.artefact} options")
    images = read_images(args.images)
    with open_whole(args.store) as store:
        counts = module.write(store, images, args.out, options)
    logger.info("%s", json.dumps({"export": args.artefact, **counts}))
