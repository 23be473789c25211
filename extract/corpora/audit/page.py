"""The tables of an audit as one HTML page that needs no other file and no script."""

import html
from collections.abc import Iterable

from extract.corpora.audit.sections import Section

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto;
  padding: 0 1rem; color: #222; }}
h2 {{ margin: 2rem 0 .3rem; }}
div {{ max-height: 32rem; overflow: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: left;
  vertical-align: top; overflow-wrap: break-word; }}
thead th {{ border-bottom: 2px solid #888; position: sticky; top: 0; background: #fff; }}
th.number, td.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
</style></head><body>
<h1>{title}</h1>
{sections}
</body></html>
"""


def make_page(title: str, sections: Iterable[Section]) -> str:
    """Return the page; every text of the corpus is escaped."""
    return _PAGE.format(title=html.escape(title), sections="\n".join(map(_section, sections)))


def _section(section: Section) -> str:
    kinds = [' class="number"' if name in section.numbers else "" for name in section.columns]
    rows = "\n".join(_row("td", row, kinds) for row in section.rows)
    remark = f"<p>{html.escape(section.remark)}</p>\n" if section.remark else ""
    return (
        f"<h2>{html.escape(section.title)}</h2>\n{remark}<div><table><thead>"
        f"{_row('th', section.columns, kinds)}</thead><tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(element: str, cells: Iterable[str], kinds: Iterable[str]) -> str:
    filled = "".join(
        f"<{element}{kind}>{html.escape(cell)}</{element}>"
        for cell, kind in zip(cells, kinds, strict=True)
    )
    return f"<tr>{filled}</tr>"
