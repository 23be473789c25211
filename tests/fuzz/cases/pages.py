"""Pages, Markdown tables and embedded data of tweets that try to be more than text."""

import json
import random
import re
from pathlib import Path

from tests.builders.extract.page_elements import NASTY, strange_elements
from tests.unit.extract.look.test_hostile_pages import nasty_pages
from train.comparing.markdown import markdown_table
from train.report.browser import data_script
from train.report.page import Section, render_page

NAME = "pages"

_PIECES = (*NASTY, "<", ">", '"', "'", "&", "/", "!--", "|", "\\", "\n", "\r", "script", " ")


def fuzz(folder: Path, rng: random.Random) -> str | None:
    """Put one text wherever a page takes one; no element may come of it."""
    text = "".join(rng.choices(_PIECES, k=rng.randint(1, 8)))
    (folder / "text.json").write_text(json.dumps(text), encoding="utf-8")
    for page in nasty_pages(text):
        if strange := strange_elements(page):
            return f"{strange[:3]} from {text!r}"
    rows = markdown_table([text, "n"], [[text, "1"]]).split("\n")
    borders = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows]
    if len(rows) != 4 or borders[:3] != [3, 3, 3]:
        return f"a Markdown table of {rows!r} from {text!r}"
    return _check_report(text)


def _check_report(text: str) -> str | None:
    """The report has one script of its own and data blocks, which hold what was put in."""
    data = {"name": text, "tweets": [[text, text, [text], [], text, 0]]}
    page = render_page(text, [Section("a", text, "<p></p>")], [data_script(data)])
    blocks = re.findall(r"<script\b[^>]*>(.*?)</script>", page, flags=re.S | re.I)
    if len(blocks) != 2:
        return f"{len(blocks)} scripts in the report from {text!r}"
    if json.loads(blocks[0]) != data:
        return f"other data in the report from {text!r}"
    others = [e for e in strange_elements(page) if not e.startswith("<script")]
    return f"{others[:3]} in the report from {text!r}" if others else None
