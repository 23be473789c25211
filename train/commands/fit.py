"""`fit`: train one system with one seed."""

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

from extract.corpora.audit.overlap import MAX_OVERLAP
from train.commands.arguments import add_runtime_arguments

HELP = (
    "Train one system with one seed on train.jsonl, selecting the epoch on valid.jsonl; the same "
    "command continues a stopped training."
)
EXAMPLE = (
    "python -m train fit --spec results/specs/runs/text_crf.json --samples-dir "
    "results/sample/samples --weights encoder=weights/minilm --seed 1 "
    "--out results/sample/runs/text_crf/seed1"
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `fit`."""
    parser.add_argument("--spec", type=Path, required=True, help="run spec (JSON)")
    parser.add_argument(
        "--samples-dir",
        type=Path,
        required=True,
        help="folder with train.jsonl and valid.jsonl; nothing else in it is opened",
    )
    parser.add_argument("--seed", type=int, required=True, help="decides every random draw")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="run folder to write; a stopped training resumes by itself from the last whole epoch "
        "in its state/, and starts anew where spec, data, seed or code have changed",
    )
    parser.add_argument("--dataset", default="", help="dataset id, kept in run.json and tables")
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="ROLE=PATH",
        help="checkpoint folder of a pretrained network (default: the run spec's)",
    )
    parser.add_argument(
        "--init-from",
        type=Path,
        metavar="RUN",
        help="finished run whose weights training starts from, in place of the pretrained ones: "
        "same system, options, tag set and vocabulary",
    )
    add_runtime_arguments(parser)
    _add_overlap_arguments(parser)
    _add_state_arguments(parser)


def _add_overlap_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how the splits are compared before training."""
    parser.add_argument(
        "--overlap",
        type=Path,
        metavar="FILE",
        help="what `python -m extract check-overlap` wrote of this corpus; without it the splits "
        "in --samples-dir are compared first, by a process of its own",
    )
    parser.add_argument(
        "--max-overlap",
        type=float,
        default=MAX_OVERLAP,
        metavar="SHARE",
        help="largest share (0-1) of test in train or valid, and of valid in train, where there is "
        f"no --overlap (default {MAX_OVERLAP})",
    )


def _add_state_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which weights and states are kept while training."""
    parser.add_argument(
        "--keep-epochs",
        choices=("best", "all"),
        default="best",
        help="all: also the weights of every epoch, in epochs/, for `diagnose` (default best)",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=int,
        default=1,
        metavar="EPOCHS",
        help="epochs between full states; a stopped training resumes after the last (default 1)",
    )


def run(args: argparse.Namespace) -> None:
    """Train and log the summary as one JSON object.

    Raises:
        MnerError: splits overlap, --overlap is of another corpus, or as `train.training.loop.fit`.
    """
    from extract.core.launch import is_first_process
    from extract.networks.weights import check_weights, resolve_weights
    from train.commands.arguments import parse_roles
    from train.training.accelerator import set_threads
    from train.training.loop import FitJob, fit
    from train.training.overlap import check_result, check_splits
    from train.training.run_spec import read_run_spec

    if not is_first_process():
        pass  # the first of several processes checks; the others wait for it to join them
    elif args.overlap:
        check_result(args.overlap, args.samples_dir)
    else:
        check_splits(args.samples_dir, args.max_overlap)
    set_threads(args.threads)
    spec = read_run_spec(args.spec)
    weights = parse_roles(args.weights, "--weights")
    for role in spec.weights.keys() - weights.keys():
        entry = spec.weights[role]
        weights[role] = resolve_weights(entry, entry["name"])
        if entry.get("sha256"):
            check_weights(entry, weights[role])
    # The run remembers which weights, by name and checksum, not where they were.
    spec = replace(spec, weights={r: {"name": e["name"]} for r, e in spec.weights.items()})
    job = FitJob(
        spec=spec,
        samples_dir=args.samples_dir,
        out=args.out,
        seed=args.seed,
        dataset=args.dataset,
        stores=parse_roles(args.store, "--store"),
        weights=weights,
        init_from=args.init_from,
        device=args.device,
        workers=args.workers,
        checkpoint_every=args.checkpoint_every,
        keep_epochs=args.keep_epochs == "all",
    )
    logger.info("%s", json.dumps(fit(job)))
