"""The page opened from disk in a real browser, without network."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.builders.train.report_inputs import HOSTILE, make_job
from train.report.build import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")


@dataclass(frozen=True)
class Opened:
    """What a page became."""

    dom: str
    """After its scripts ran."""
    console: list[str]

    @property
    def ids(self) -> list[str]:
        """Ids of the tweets that are shown."""
        return re.findall(r'<article class="tweet[^>]*data-id="([^"]*)"', self.dom)


def open_page(page: Path, profile: Path, address: str = "") -> Opened:
    """Open a page headless at an address inside it."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    command = [
        CHROMIUM,
        *flags,
        f"--user-data-dir={profile}",
        "--dump-dom",
        page.as_uri() + address,
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    return Opened(result.stdout, console)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_job(tmp_path_factory.mktemp("report")))[-1]


def test_rows_are_rendered_and_nothing_complains(page: Path, tmp_path: Path) -> None:
    opened = open_page(page, tmp_path, "#browse?show=all")
    assert opened.console == []
    assert opened.ids == ["t0", "t1", "t2"]
    # Tokens and captions are texts, and the page's policy would refuse what they ask for.
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;") in opened.dom
    assert "<img src=x" not in opened.dom and '<img src="x"' not in opened.dom
    assert "No picture, missing: no such file" in opened.dom
    assert opened.dom.count('class="crop"') == 2
    # Wrong tweets, then missed, spurious, wrong type, wrong boundary, boundary and type.
    totals = re.findall(r'<th scope="row">([^<]*) seed 1</th>((?:<td[^>]*>\d+</td>)+)', opened.dom)
    counts = {label: [int(n) for n in re.findall(r">(\d+)<", cells)] for label, cells in totals}
    assert counts == {"ita/main": [3, 2, 1, 1, 1, 0], "text_crf/main": [1, 1, 0, 0, 0, 0]}


@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("", ["t0", "t1", "t2"]),
        ("#browse?show=b_better", ["t0", "t2"]),
        ("#browse?error=boundary", ["t0"]),
        ("#browse?error=type&type=LOC", ["t0"]),
        ("#browse?evidence=picture&image=no", ["t1"]),
        # A token of its own, @, makes the next one a handle.
        ("#browse?show=all&handle=yes", ["t1", "t2"]),
        ("#browse?show=all&handle=no", ["t0"]),
        ("#browse?q=@%20B", ["t2"]),
        ("#browse?show=b_wrong&tweet=t2", ["t0", "t1", "t2"]),
        ("#browse?a=text_crf/main%20seed%201&b=text_crf/main%20seed%201", ["t1"]),
    ],
)
def test_the_address_says_what_is_shown(
    page: Path, tmp_path: Path, address: str, ids: list[str]
) -> None:
    opened = open_page(page, tmp_path, address)
    assert opened.ids == ids and opened.console == []


def test_a_link_marks_its_tweet(page: Path, tmp_path: Path) -> None:
    opened = open_page(page, tmp_path, "#browse?tweet=t1")
    assert re.findall(r'class="tweet current"[^>]*data-id="([^"]*)"', opened.dom) == ["t1"]
    assert re.search(r'href="#browse\?[^"]*tweet=t2\b', opened.dom)
