"""The page: one HTML file without any other, which opens from disk and needs no network.

Its policy (Content-Security-Policy) allows the page's own script and style, by their checksums, and
`data:` images; nothing else could be loaded or run, whatever a tweet contains.
"""

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

_SCRIPTS = ("tables.js", "spans.js", "picture.js", "tweet.js", "browser.js")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#{first}">Skip to the results</a>
<header>
<h1>{title}</h1>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{sections}
</main>
{data}
<script>{script}</script>
</body>
</html>
"""


@dataclass(frozen=True)
class Section:
    """A part of the page; the navigation leads to it."""

    id: str
    title: str
    body: str
    """HTML."""


@dataclass(frozen=True)
class FigureBlock:
    """A figure on the page."""

    title: str
    caption: str
    """What it shows and how to read it."""
    files: Sequence[Path]
    """The same picture in several formats; the smallest file is embedded."""
    width_px: int
    """As it is shown, in CSS pixels."""


def render_page(title: str, sections: Sequence[Section], data: Sequence[str] = ()) -> str:
    """Return the page.

    Args:
        title: heading, escaped here.
        sections: in order.
        data: data blocks of the error browser.
    """
    style = _asset("report.css")
    script = "\n".join(_asset(name) for name in _SCRIPTS)
    policy = (
        f"default-src 'none'; img-src data:; style-src {_checksum(style)}; "
        f"script-src {_checksum(script)}; base-uri 'none'; form-action 'none'"
    )
    links = "".join(f'<li><a href="#{s.id}">{html.escape(s.title)}</a></li>' for s in sections)
    return _PAGE.format(
        policy=policy,
        title=html.escape(title),
        style=style,
        first=sections[0].id,
        links=links,
        sections="\n".join(map(_section, sections)),
        data="\n".join(data),
        script=script,
    )


def figure_html(block: FigureBlock) -> str:
    """Return a figure with the picture inside."""
    path = min(block.files, key=lambda file: file.stat().st_size)
    kind = "svg+xml" if path.suffix == ".svg" else path.suffix[1:]
    source = f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    title, caption = html.escape(block.title), html.escape(block.caption)
    return (
        f'<figure>\n<h3>{title}</h3>\n<img alt="{title}. {caption}" width="{block.width_px}" '
        f'src="{source}">\n'
        f"<figcaption>{caption}</figcaption>\n</figure>"
    )


def folded(title: str, body: str) -> str:
    """Return HTML that opens by a click on its title."""
    return f"<details><summary>{html.escape(title)}</summary>\n{body}\n</details>"


def definitions_html(meanings: Mapping[str, str]) -> str:
    """Return a list of names with what they mean."""
    items = (f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in meanings.items())
    return f"<dl>{''.join(items)}</dl>"


def _section(section: Section) -> str:
    heading = f'<h2 id="{section.id}-heading">{html.escape(section.title)}</h2>'
    return (
        f'<section id="{section.id}" aria-labelledby="{section.id}-heading">\n{heading}\n'
        f"{section.body}\n</section>"
    )


def _asset(name: str) -> str:
    """Return a file of the page, with line ends that do not depend on the machine."""
    return (files("train.report") / "assets" / name).read_text(encoding="utf-8")


def _checksum(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"
