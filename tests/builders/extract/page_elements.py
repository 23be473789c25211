"""What a page is made of, as a browser would read it."""

from html.parser import HTMLParser

STATIC = {
    "a", "article", "body", "code", "dd", "details", "div", "dl", "dt", "figcaption", "figure",
    "h1", "h2", "h3", "head", "header", "html", "img", "li", "main", "meta", "nav", "p",
    "section", "small", "span", "style", "summary", "table", "tbody", "td", "th", "thead",
    "title", "tr", "ul",
}  # fmt: skip
"""Elements of pages that run nothing."""

NASTY = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></td></table><iframe src=//evil>",
    "<!-- <![CDATA[ -->",
    "&lt;b&gt;&#60;b&#62;",
    "{title} {{x}} {0.__class__} %s",
    "\u2028\u2029\x85\x1b[2J\x1b]0;x\x07\u202e",
    "=HYPERLINK(1)",
    "a|b\\|c\\",
    "line\r\nbreak\ttab",
    "javascript:alert(1)",
    "\x00\ufeff\ufffe",
    "日本語 😀",
)
"""Texts that try to be more than text."""


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.strange: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in STATIC:
            self.strange.append(f"<{tag}>")
        for name, value in attrs:
            outside = name in ("src", "href") and not (value or "").startswith(("#", "data:image/"))
            if name.startswith("on") or outside:
                self.strange.append(f"<{tag} {name}={value!r}>")

    def handle_comment(self, data: str) -> None:
        self.strange.append(f"<!--{data}")

    def unknown_decl(self, data: str) -> None:
        self.strange.append(f"<![{data}")


def strange_elements(page: str) -> list[str]:
    """Return the elements and attributes that a static page should not have."""
    parser = _Elements()
    parser.feed(page)
    parser.close()
    return parser.strange
