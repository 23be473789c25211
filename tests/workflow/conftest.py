"""One full run of the tiny corpus, shared by all tests (and by all workers of pytest-xdist).

Tests that change something get a copy: Snakemake's records travel with the folder.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent
TINY = HERE.parent / "data" / "tiny"
CODE = ("Snakefile", "workflow", "extract", "train")

# Everything here runs Snakemake.
pytestmark = pytest.mark.workflow


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.workflow)


@dataclass(frozen=True)
class Finished:
    """What a Snakemake call left."""

    returncode: int
    output: str
    """stdout and stderr together, as a screen shows them."""

    @property
    def last_line(self) -> str:
        """The last line that says something."""
        return [line for line in self.output.splitlines() if line.strip()][-1]

    @property
    def has_nothing_to_do(self) -> bool:
        """Whether Snakemake found everything up to date."""
        return "Nothing to be done" in self.output

    @property
    def jobs(self) -> dict[str, list[str]]:
        """Rule -> first output (or its own name) of each job that was planned or run."""
        found: dict[str, list[str]] = {}
        for rule, block in re.findall(
            r"^(?:local)?rule (\w+):\n((?:    .*\n?)*)", self.output, re.MULTILINE
        ):
            output = re.search(r"^    output: ([^,\n]+)", block, re.MULTILINE)
            found.setdefault(rule, []).append(output.group(1) if output else rule)
        return {rule: sorted(outputs) for rule, outputs in found.items()}


@dataclass
class Workspace:
    """A working directory, and Snakemake started from somewhere else with `--directory`."""

    folder: Path
    code: Path
    """Folder of the Snakefile."""
    overlays: list[Path] = field(default_factory=list)

    def snakemake(self, *args: str, env: dict[str, str] | None = None) -> Finished:
        """Call Snakemake; never raises."""
        configs = ["--configfile", *map(str, self.overlays)] if self.overlays else []
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.code / "Snakefile")]
        command += ["--directory", str(self.folder), *args, *configs]
        result = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
            timeout=600,
            check=False,
        )
        return Finished(result.returncode, result.stdout)

    def plan(self, *args: str) -> dict[str, list[str]]:
        """Return what a dry run would do: rule -> first outputs."""
        result = self.snakemake("--dry-run", *args)
        assert result.returncode == 0, result.output
        return result.jobs

    def overlay(self, settings: dict) -> None:
        """Add one more config file."""
        path = self.folder / f"overlay{len(self.overlays)}.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        self.overlays.append(path)

    def files(self) -> dict[str, float]:
        """Return every result and when it was written."""
        found = (self.folder / "results").rglob("*")
        return {str(path): path.stat().st_mtime_ns for path in found if path.is_file()}


def lay_out(folder: Path, code: Path) -> Workspace:
    """Return a fresh working directory with the tiny corpus, its config and its text encoder."""
    shutil.copytree(TINY, folder / "data" / "tiny")
    write_tiny_bert(folder / "weights" / "tiny_bert")
    settings = yaml.safe_load((HERE / "tiny.yaml").read_text(encoding="utf-8"))
    if shutil.which("tesseract") is None:
        settings["run"]["feature_sets"].remove("tiny_ocr")
        ita = settings["models"]["tiny_ita"]
        ita |= {"features": {"captions": "tiny_captions"}, "options": {"context": {"use": ["captions"]}}}
    workspace = Workspace(folder, code)
    workspace.overlay(settings)
    return workspace


def write_tiny_bert(folder: Path) -> None:
    """Write an ordinary BERT checkpoint of a few thousand weights that spells words."""
    import string

    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    letters = string.ascii_lowercase + string.digits + string.punctuation
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(words)})
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def once(base: Path, name: str, make: Callable[[Path], str]) -> Path:
    """Make a folder in one process only; the others wait, and fail alike where it failed."""
    folder, log = base / name, base / f"{name}.log"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not log.exists():
            folder.mkdir()
            problem = make(folder)
            log.write_text(problem, encoding="utf-8")
    problem = log.read_text(encoding="utf-8")
    assert not problem, problem
    return folder


@pytest.fixture(scope="session")
def shared_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this session see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def finished_run(shared_base: Path, repo_root: Path) -> Path:
    """Working directory of a complete run; do not change it, take `workspace`."""

    def make(folder: Path) -> str:
        result = lay_out(folder, repo_root).snakemake("--cores", "2")
        (folder / "screen.txt").write_text(result.output, encoding="utf-8")
        return result.output if result.returncode else ""

    return once(shared_base, "tiny_run", make)


@pytest.fixture
def workspace(finished_run: Path, repo_root: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of the finished run, with all times kept."""
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder, symlinks=True)
    return Workspace(folder, repo_root, [folder / "overlay0.yaml"])


@pytest.fixture
def fresh(repo_root: Path, tmp_path: Path, finished_run: Path) -> Workspace:
    """The tiny corpus before any run."""
    folder = tmp_path / "fresh"
    for name in ("data", "weights"):
        shutil.copytree(finished_run / name, folder / name)
    workspace = Workspace(folder, repo_root)
    shutil.copy(finished_run / "overlay0.yaml", folder)
    workspace.overlays.append(folder / "overlay0.yaml")
    return workspace


@pytest.fixture
def code_copy(repo_root: Path, tmp_path: Path) -> Path:
    """A copy of the code that a test may edit."""
    folder = tmp_path / "code"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in CODE:
        source = repo_root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder
