"""`repairs`: label corrections as a diff over a corpus: proposed, checked, shown."""

import argparse
import json
import sys
from pathlib import Path

from extract.corpora.repairs.propose import KINDS

HELP = "Propose, check or show label corrections: a diff over a corpus, never a copy of it."
EXAMPLE = "python -m extract repairs propose data/twitter2015 --reader twitter2015 --out mine.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    propose = actions.add_parser("propose", help="write the corrections that the rules find")
    _add_corpus(propose)
    propose.add_argument("--dataset", help="name in the header (default: the folder's)")
    propose.add_argument(
        "--kinds",
        nargs="*",
        choices=KINDS,
        default=list(KINDS),
        help="rules to use; none: only the header, to write your own corrections under",
    )
    propose.add_argument("--out", type=Path, required=True, metavar="FILE", help="*.jsonl")
    check = actions.add_parser("check", help="say whether a file fits, and what it changes")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    show = actions.add_parser("show", help="print the corrections with their words, as a diff")
    show.add_argument("--reasons", nargs="+", default=[], help="only these (default: all)")
    for action in (check, show):
        action.add_argument("file", metavar="FILE", help="a repair file, or a shipped name")
        _add_corpus(action)


def _add_corpus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="folder of split files, or a prepared dataset (results/NAME, with samples/*.jsonl)",
    )
    parser.add_argument(
        "--reader", default="conll_imgid", help="a name in extract/corpora/readers/"
    )
    parser.add_argument("--text", default="{}", help="JSON: labels, entity_types, type_map, files")


def run(args: argparse.Namespace) -> None:
    """Do what `args.action` says.

    Raises:
        ConfigError: an unknown reason or shipped name.
        DataError: the corpus breaks its format, or the file does not fit it.
    """
    corpus = _read_corpus(args)
    {"propose": _propose, "check": _check, "show": _show}[args.action](args, corpus)


def _read_corpus(args: argparse.Namespace):
    from extract.core.cli import json_value
    from extract.core.errors import DataError
    from extract.core.options import options_from
    from extract.corpora.audit.reading import read_corpus
    from extract.corpora.readers.base import TextSettings

    settings = options_from(TextSettings, json_value(args.text, "--text"), "--text")
    corpus = read_corpus(args.folder, args.reader, settings)
    if corpus.set_aside:
        first = corpus.set_aside[0]
        raise DataError(
            f"{args.folder}: {first.where}: {first.kind} {first.value!r}, and "
            f"{len(corpus.set_aside) - 1} more; `python -m extract audit` lists them. A diff needs "
            "a corpus that can be read."
        )
    return corpus


def _propose(args: argparse.Namespace, corpus) -> None:
    from extract.corpora.repairs.format import write_repairs
    from extract.corpora.repairs.propose import propose_repairs

    name = args.dataset or args.folder.resolve().name
    repairs = propose_repairs(corpus.splits, dataset=name, reader=args.reader, kinds=args.kinds)
    write_repairs(args.out, repairs)


def _applied(args: argparse.Namespace, corpus):
    from extract.corpora.repairs.apply import apply_repairs
    from extract.corpora.repairs.format import read_repairs, repairs_file

    repairs = read_repairs(repairs_file(args.file))
    return repairs, apply_repairs(repairs, corpus.splits)


def _check(args: argparse.Namespace, corpus) -> None:
    from extract.corpora.audit.sections import printable
    from extract.corpora.audit.text import write_text_report
    from extract.corpora.repairs.effect import describe_effect
    from extract.corpora.repairs.tables import effect_sections

    repairs, repaired = _applied(args, corpus)
    effect = describe_effect(repairs, repaired)
    if args.json:
        report = {"undecided": len(repairs.header.undecided), "splits": effect}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
        return
    title = printable(f"{repairs.path} fits {args.folder.as_posix()}")
    sections = effect_sections(effect, len(repairs.header.undecided))
    write_text_report(title, sections, sys.stdout)


def _show(args: argparse.Namespace, corpus) -> None:
    from extract.core.errors import ConfigError, near_match
    from extract.corpora.repairs.format import REASONS
    from extract.corpora.repairs.show import show_corrections, show_undecided

    for reason in args.reasons:
        if reason not in REASONS:
            known = ", ".join(REASONS)
            raise ConfigError(
                f"--reasons: unknown '{reason}'; known: {known}.{near_match(reason, REASONS)}"
            )
    repairs, _ = _applied(args, corpus)
    lines = [*show_corrections(repairs, corpus.splits, args.reasons)]
    if not args.reasons:
        lines += show_undecided(repairs.header.undecided, corpus.splits)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
