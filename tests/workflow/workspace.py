"""A working directory in which tests run Snakemake, and the tiny corpus to lay there."""

import os
import re
import shutil
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests import forked

HERE = Path(__file__).resolve().parent
TINY = HERE.parent / "data" / "tiny"


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
    wrapped: Callable[[list[str]], list[str]] | None = None
    """Command -> the command that runs it in a Python of its own; None for `run_forked`."""

    def snakemake(
        self, *args: str, env: dict[str, str] | None = None, timeout: float = 600
    ) -> Finished:
        """Call Snakemake; its failure is in the result, only `timeout` (seconds) raises."""
        configs = ["--configfile", *map(str, self.overlays)] if self.overlays else []
        arguments = ["--snakefile", str(self.code / "Snakefile"), "--directory", str(self.folder)]
        arguments += [*args, *configs]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **(env or {})}
        if self.wrapped is None:
            return run_forked(arguments, self.folder.parent, environment, timeout)
        result = subprocess.run(
            self.wrapped([sys.executable, "-m", "snakemake", *arguments]),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder.parent,
            env=environment,
            timeout=timeout,
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


def run_forked(
    arguments: list[str], folder: Path, environment: dict[str, str], timeout_s: float
) -> Finished:
    """Run `snakemake ARGUMENTS` as tests/forked.py says, which takes half of the time.

    Raises:
        TimeoutExpired: it takes longer than `timeout_s`; it is killed.
    """
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "output"
        process = forked.start(
            call_snakemake, arguments, output=output, folder=folder, environment=environment
        )
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(["snakemake", *arguments], timeout_s)
        return Finished(process.exitcode, output.read_text(encoding="utf-8"))


def call_snakemake(arguments: list[str]) -> None:
    """Do what `python -m snakemake ARGUMENTS` does."""
    from snakemake.cli import main

    sys.argv = ["snakemake", *arguments]
    main()


def lay_out(folder: Path, code: Path) -> Workspace:
    """Return a fresh working directory with the tiny corpus, its config and its text encoder."""
    shutil.copytree(TINY, folder / "data" / "tiny")
    write_tiny_bert(folder / "weights" / "tiny_bert")
    settings = yaml.safe_load((HERE / "tiny.yaml").read_text(encoding="utf-8"))
    if shutil.which("tesseract") is None:
        settings["run"]["feature_sets"].remove("tiny_ocr")
        ita = settings["models"]["tiny_ita"]
        ita |= {
            "features": {"captions": "tiny_captions"},
            "options": {"context": {"use": ["captions"]}},
        }
    workspace = Workspace(folder, code)
    workspace.overlay(settings)
    return workspace


def write_tiny_bert(folder: Path) -> None:
    """Write an ordinary BERT checkpoint of a few thousand weights that spells words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    letters = string.ascii_lowercase + string.digits + string.punctuation
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(words)})
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
