"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], body: Iterable[Sequence[str]], *, n_text: int = 1) -> str:
    """Return a table; the first `n_text` columns are text, the others are numbers, to the right."""
    rule = ["---"] * n_text + ["---:"] * (len(head) - n_text)
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in body]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rule, *escaped))
