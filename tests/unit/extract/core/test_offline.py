"""No command calls out, and none reads or writes in the home folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from extract.core.offline import OFFLINE, leave_home_alone, set_offline
from tests.watched import can_cut_network, run_watched, without_network


def test_offline_is_the_default_and_can_be_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OFFLINE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "0")
    set_offline()
    found = {name: os.environ[name] for name in OFFLINE}
    assert found == {**OFFLINE, "TRANSFORMERS_OFFLINE": "0"}


def test_the_workflow_exports_the_same_switches(repo_root: Path) -> None:
    rules = (repo_root / "workflow/rules/common.smk").read_text(encoding="utf-8")
    assert "**OFFLINE," in rules
    # No second list, which would grow apart from the first.
    assert not [name for name in OFFLINE if f'"{name}"' in rules]


def test_home_folders_are_of_the_process_and_go_with_it(tmp_path: Path) -> None:
    code = (
        "from extract.core.offline import leave_home_alone; leave_home_alone(); import os, json\n"
        "print(json.dumps([os.environ[n] for n in ('YOLO_CONFIG_DIR', 'MPLCONFIGDIR')]))"
    )
    given = {**os.environ, "TMPDIR": str(tmp_path), "MPLCONFIGDIR": "/given"}
    given.pop("YOLO_CONFIG_DIR", None)
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, check=True)
    settings, plots = json.loads(done.stdout)
    assert Path(settings).parent == tmp_path and not Path(settings).exists()
    assert plots == "/given"
    assert leave_home_alone.__doc__


BACKENDS = """
import importlib, json, os, sys
from pathlib import Path
from extract.core.offline import set_offline
set_offline()  # as every command begins
{code}
"""
LIBRARIES = {
    "text": (
        "import spacy, nltk.chunk, pytesseract; spacy.blank('en')('two words')\n"
        "from extract.phrases import textblob"
    ),
    "transformers": (
        "import accelerate, huggingface_hub, transformers; transformers.BertModel\n"
        "accelerate.Accelerator(cpu=True)"
    ),
    "figures": (
        "from train.report import build; from train.report.figures.style import plt\n"
        "plt.figure().text(0, 0, 'x'); plt.savefig('figure.png')"
    ),
    "ultralytics": (
        "from tests.builders.extract.tiny_yolo_world import write_tiny_detector\n"
        "from extract.grounding.yolo_world import load_detector\n"
        "load_detector(write_tiny_detector(Path('tiny.pt')), 'cpu')"
    ),
    "every command": (
        "from extract.core.registry import available\n"
        "for package in ('extract', 'train'):\n"
        "    for name in available(package + '.commands'):\n"
        "        importlib.import_module(package + '.commands.' + name)\n"
        "import train.training.loop, train.evaluating.predict, train.report.build"
    ),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_no_library_calls_out_or_touches_home(tmp_path: Path, name: str) -> None:
    if name == "ultralytics":
        pytest.importorskip(name)
    found = run_watched(tmp_path, ["-c", BACKENDS.format(code=LIBRARIES[name])])
    assert found.returncode == 0, found.output
    assert found.network == []
    assert found.at_home() == set()
    assert found.outside(tmp_path) == set()
    left = [path.name for path in (tmp_path / "tmp").iterdir()]
    # An empty folder that torch makes for what it would compile.
    assert [name for name in left if not name.startswith("torchinductor_")] == []


def test_the_record_has_what_is_done(tmp_path: Path) -> None:
    elsewhere = str(tmp_path.with_name(f"{tmp_path.name}_elsewhere"))
    code = f"""
import os, socket, urllib.request
from pathlib import Path
for call in (
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=0.1),
    lambda: socket.getaddrinfo("example.org", 443),
    lambda: urllib.request.urlopen("http://example.org", timeout=0.1),
):
    try:
        call()
    except OSError:
        pass
Path.home().joinpath("settings.json").write_text("{{}}")
os.makedirs({elsewhere!r})
os.rmdir({elsewhere!r})
"""
    found = run_watched(tmp_path / "x", ["-c", code])
    assert found.returncode == 0, found.output
    seen = "\n".join(found.network)
    assert re.search(r"socket\.connect.*192\.0\.2\.1", seen)
    assert "getaddrinfo" in seen and "example.org" in seen and "urllib.Request" in seen
    assert found.at_home() == {str(tmp_path / "x" / "home" / "settings.json")}
    assert found.outside(tmp_path) == {elsewhere}


def test_the_network_is_really_cut(tmp_path: Path) -> None:
    if not can_cut_network():
        pytest.skip("this user may not make a network namespace: calls are only recorded")
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    done = subprocess.run(
        without_network([sys.executable, "-c", code]), capture_output=True, text=True, check=False
    )
    assert "Network is unreachable" in done.stderr
