"""Tables in Markdown."""

import re
from collections.abc import Iterable, Sequence

# What begins HTML, which Markdown passes on; a "<" before a number does not.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_LINE_BREAK = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")


def markdown_table(head: Sequence[str], body: Iterable[Sequence[str]], *, n_text: int = 1) -> str:
    """Return a table; the first `n_text` columns are text, the others are numbers, to the right."""
    rule = ["---"] * n_text + ["---:"] * (len(head) - n_text)
    lines = [list(map(_cell, head)), rule, *(list(map(_cell, line)) for line in body)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    """Return text that stays in its cell: no column, line or tag of HTML begins in it."""
    one_line = _LINE_BREAK.sub(" ", text)
    return _TAG.sub("&lt;", one_line).replace("\\", "\\\\").replace("|", "\\|")
