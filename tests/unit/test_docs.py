"""Documentation points to what is there, and code to nothing that a reader does not have."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "envs", "extract", "tests", "train", "workflow")
FILES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
PATHS = [path.relative_to(ROOT).as_posix() for path in FILES]
SOURCES = [path for path in FILES if path.suffix in (".py", ".smk", ".yaml", ".md")]
SYSTEMS = sorted((ROOT / "docs/systems").glob("*.md"))
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / folder / "README.md" for folder in (".", "train", "data")),
]

A_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
A_SPAN = re.compile(r"`([^`\n]+)`")
A_FILE = re.compile(r"[\w./-]+\.(?:py|smk)")
A_MODULE = re.compile(r"(?:-m|from)\s+((?:extract|train|workflow|tests)(?:\.\w+)+)")
AN_OPTION = re.compile(r"[A-Za-z_][\w.]*")
# The number of a check in a name or a sentence, or a section of which no paper is named.
A_NUMBERED_REFERENCE = re.compile(
    r"check_\d|\bchecks? \d+\.\d|\((?:sec\.|section|\u00a7) ?\d|\b(?:defect|spec|acceptance) \d"
)


def ids(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in A_LINK.findall(text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    files = [span for span in A_SPAN.findall(text) if A_FILE.fullmatch(span)]
    assert [f for f in files if not any(f"/{path}".endswith(f"/{f}") for path in PATHS)] == []
    modules = [name.replace(".", "/") for name in A_MODULE.findall(text)]
    assert [m for m in modules if not {f"{m}.py", f"{m}/__init__.py"} & set(PATHS)] == []


@pytest.mark.parametrize("page", SYSTEMS, ids=ids(SYSTEMS))
def test_names_on_the_pages_of_systems_are_those_of_the_code(page: Path) -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in SOURCES if path.suffix in (".py", ".yaml")
    )
    words = set(re.findall(r"\w+", code))
    spans = [span.partition(":")[0] for span in A_SPAN.findall(page.read_text(encoding="utf-8"))]
    names = {name for name in spans if AN_OPTION.fullmatch(name) and not A_FILE.fullmatch(name)}
    assert len(names) > 5
    assert sorted(n for n in names if not set(n.split(".")) <= words) == []


def test_nothing_refers_to_numbers_of_a_document_that_is_not_here() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if A_NUMBERED_REFERENCE.search(line)
    ]
    assert found == []
