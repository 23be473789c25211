"""`audit`: a corpus -> what is in it, which copy it is, and what is wrong with it."""

import argparse
import json
import sys
from pathlib import Path

HELP = "Report counts, labels, duplicates, split overlap and the known copy of a corpus."
EXAMPLE = "python -m extract audit data/twitter2015 --html audit.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the corpus, the forms of the report and the limit."""
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="folder of split files, or a prepared dataset (results/NAME, with samples/*.jsonl)",
    )
    parser.add_argument(
        "--reader",
        default="conll_imgid",
        help="a name in extract/corpora/readers/ (of split files)",
    )
    parser.add_argument("--text", default="{}", help="JSON: labels, entity_types, type_map, files")
    parser.add_argument("--json", action="store_true", help="print one JSON object, with every id")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page")
    parser.add_argument("--limit", type=int, default=20, help="cases printed of a table; 0: all")
    parser.add_argument(
        "--fail-on-overlap",
        type=float,
        metavar="SHARE",
        help="exit with 2 when a larger share (0-1) of test stands in train or valid, or of valid "
        "in train, or two of them are equal",
    )


def run(args: argparse.Namespace) -> None:
    """Print the report; then fail where an overlap is not allowed.

    Raises:
        ConfigError: a share outside 0-1, or a negative number of rows.
        DataError: `--fail-on-overlap`, and more than this overlaps.
    """
    from extract.core.cli import json_value
    from extract.core.errors import ConfigError
    from extract.core.files import write_text
    from extract.core.options import options_from
    from extract.corpora.audit.overlap import refuse_overlap
    from extract.corpora.audit.page import make_page
    from extract.corpora.audit.reading import read_corpus
    from extract.corpora.audit.report import audit
    from extract.corpora.audit.sections import make_sections, printable
    from extract.corpora.audit.text import write_text_report
    from extract.corpora.readers.base import TextSettings

    max_share = args.fail_on_overlap
    if max_share is not None and not 0 <= max_share <= 1:
        raise ConfigError(f"--fail-on-overlap: expected a share, 0-1, got {max_share}")
    if args.limit < 0:
        raise ConfigError(f"--limit: expected 0 or more, got {args.limit}")
    settings = options_from(TextSettings, json_value(args.text, "--text"), "--text")
    corpus = read_corpus(args.folder, args.reader, settings)
    report = audit(corpus)
    sections = make_sections(report)
    title = printable(f"Audit of {args.folder.as_posix()} ({corpus.kind})")
    if args.html:
        write_text(args.html, make_page(title, sections))
    if args.json:
        sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=True) + "\n")
    else:
        write_text_report(title, sections, sys.stdout, limit=args.limit)
    if max_share is not None:
        sys.stdout.flush()
        refuse_overlap(report["overlap"], max_share)
