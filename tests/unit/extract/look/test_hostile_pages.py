"""Pages and tables show texts of the corpus as texts, whatever they try to be."""

import csv
import io
from pathlib import Path

import pytest

from extract.corpora.audit.page import make_page as audit_page
from extract.corpora.audit.sections import Section
from extract.corpora.audit.text import write_text_report
from extract.corpora.repairs.format import Undecided
from extract.corpora.repairs.show import show_undecided
from extract.look.losses.counts import count_cases, find_cases
from extract.look.losses.page import make_page as degradation_page
from extract.look.losses.sources import images_source
from extract.tables.images_table import ImageRow
from extract.tables.samples import Sample
from tests.builders.extract.page_elements import NASTY, strange_elements
from train.comparing.markdown import markdown_table
from train.comparing.tables import shown

EVERYTHING = " ".join(NASTY)
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def nasty_pages(text: str) -> list[str]:
    """The audit's and the degradation page with a text wherever they take one."""
    section = Section(text, (text, "n"), [(text, "1"), (text, "2")], remark=text, numbers=("n",))
    samples = [Sample(text, text, [text or "x"], ["O"])]
    splits = {text: samples}
    source = images_source({text: ImageRow(text, text, "0", 0, 0, "unreadable", text)})
    cases = find_cases(splits, [source])
    counts = count_cases(splits, [source], cases)
    return [
        audit_page(text, [section]),
        degradation_page(splits, [source], counts, cases, text),
    ]


@pytest.mark.parametrize("text", [*NASTY, EVERYTHING])
def test_pages_hold_no_element_of_the_corpus(text: str) -> None:
    for page in nasty_pages(text):
        assert strange_elements(page) == []


def test_pages_forbid_what_they_do_not_need() -> None:
    for page in nasty_pages("x"):
        assert f'content="{POLICY}"' in page
        assert page.index("Content-Security-Policy") < page.index("<style>")


@pytest.mark.parametrize("text", [*NASTY, EVERYTHING])
def test_a_cell_of_markdown_stays_a_cell(text: str) -> None:
    table = markdown_table([text, "F1"], [[text, "1.00"], ["plain", "2.00"]])
    lines = table.splitlines()
    assert len(lines) == 4
    for line in lines:
        # What is escaped is no border, and an escaped backslash escapes nothing.
        bare = line.replace("\\\\", "").replace("\\|", "")
        assert bare.count("|") == 3
    assert strange_elements(table) == []


def test_markdown_keeps_what_is_harmless() -> None:
    table = markdown_table(["p"], [["+1.20 (< 0.001)"]])
    assert "+1.20 (< 0.001)" in table


@pytest.mark.parametrize("text", NASTY)
def test_a_cell_of_tsv_stays_a_cell(text: str) -> None:
    """What begins a formula is kept: the tables are data, read again by these programs."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerows([[shown("name", text), "1"]] * 2)
    rows = list(csv.reader(io.StringIO(buffer.getvalue(), newline=""), delimiter="\t"))
    assert rows == [[text, "1"]] * 2


def test_a_terminal_gets_no_command(tmp_path: Path) -> None:
    from train.commands.table import _table
    from train.comparing.summary import SummaryRow

    fields = SummaryRow.__dataclass_fields__
    row = SummaryRow(**{name: "\x1b[2Jx" if f.type is str else 1 for name, f in fields.items()})
    from rich.console import Console

    console = Console(file=io.StringIO(), width=200)
    console.print(_table("t", SummaryRow, [row]))
    assert "\x1b" not in console.file.getvalue()
    lines = show_undecided([Undecided("\x1b]0;x\x07", ())], {})
    assert "\x1b" not in "".join(lines)
    out = io.StringIO()
    write_text_report("t", [Section("s", ("a",), [("plain",)])], out)
    assert "plain" in out.getvalue()
