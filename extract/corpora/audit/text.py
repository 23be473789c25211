"""The tables of an audit on a terminal or in a file."""

from collections.abc import Iterable
from typing import TextIO

from extract.corpora.audit.sections import Section

MIN_WIDTH = 120  # columns that the widest table of numbers needs


def write_text_report(
    title: str, sections: Iterable[Section], file: TextIO, *, limit: int = 20
) -> None:
    """Write aligned tables; in colour on a terminal only.

    Args:
        title: first line.
        sections: of `make_sections`.
        file: where to.
        limit: rows shown of each table of cases; 0 shows all.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file, highlight=False)
    console.width = max(console.width, MIN_WIDTH)
    console.print(Text(title, style="bold"))
    for section in sections:
        table = Table(box=box.SIMPLE_HEAD)
        for name in section.columns:
            table.add_column(Text(name), justify="right" if name in section.numbers else "left")
        shown = section.rows[:limit] if section.is_list and limit else section.rows
        for row in shown:
            table.add_row(*map(Text, row))
        console.print()
        console.print(Text(section.title, style="bold"))
        if section.remark:
            console.print(Text(section.remark))
        console.print(table)
        if len(section.rows) > len(shown):
            more = len(section.rows) - len(shown)
            console.print(Text(f"  and {more:,} more rows (--limit 0 or --json shows all)"))
