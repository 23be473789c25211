"""Run Python in a process without network that records what it reaches for outside.

`tests/watch/sitecustomize.py` keeps the record.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WATCH = ROOT / "tests" / "watch"
# What would keep a library from doing what it does on a user's machine.
_SWITCHES = (
    "HF_", "TRANSFORMERS_", "YOLO_", "ULTRALYTICS_", "WANDB_", "DO_NOT_TRACK", "XDG_", "MPL",
    "TORCH", "NLTK_",
)  # fmt: skip


@dataclass(frozen=True)
class Watched:
    """What a command did outside."""

    returncode: int
    output: str
    record: tuple[tuple[str, str], ...]
    """(event, path or address), in order."""
    home: Path

    @property
    def network(self) -> list[str]:
        """Every address that was looked up or called."""
        return [f"{event} {where}" for event, where in self.record if event.startswith("network")]

    def outside(self, *allowed: Path) -> set[str]:
        """Return what was written that is in none of the folders."""
        # numpy and others look whether the null device can be written.
        folders = (*allowed, Path("/dev"), Path("/proc"))
        written = {path for event, path in self.record if event == "write"}
        return {path for path in written if not any(is_in(path, folder) for folder in folders)}

    def at_home(self) -> set[str]:
        """Return what was read or written in the home folder."""
        return {path for _, path in self.record if is_in(path, self.home)}


def is_in(path: str, folder: Path) -> bool:
    """True for the folder itself, too."""
    return Path(path) == folder or folder in Path(path).parents


# Without a user namespace where none is needed: in one, files of others have no owner.
_CUT = ("unshare", "-n") if os.geteuid() == 0 else ("unshare", "-rn")


@cache
def can_cut_network() -> bool:
    """Whether this user may start a process without network."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_CUT, "true"], capture_output=True, check=False).returncode == 0


def without_network(command: Sequence[str]) -> list[str]:
    """Return the command that runs another without network, where that can be had."""
    return [*_CUT, *command] if can_cut_network() else list(command)


def alone(command: Sequence[str]) -> list[str]:
    """Return the command that runs another without network and without this process's switches."""
    unset = [word for name in os.environ if name.startswith(_SWITCHES) for word in ("-u", name)]
    return without_network(["env", *unset, *command])


def watching(folder: Path) -> dict[str, str]:
    """Make an empty home and temporary folder; return the variables of a watched process."""
    for name in ("home", "tmp"):
        (folder / name).mkdir(parents=True)
    return {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "WATCH_LOG": str(folder / "record.tsv"),
        "PYTHONPATH": os.pathsep.join([str(WATCH), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }


def read_record(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return what the processes of `watching(folder)` recorded."""
    lines = (folder / "record.tsv").read_text(encoding="utf-8").splitlines()
    return tuple(tuple(line.split("\t", 1)) for line in lines)


def run_watched(folder: Path, arguments: Sequence[str], *, timeout: float = 300) -> Watched:
    """Run `python <arguments>` in a folder.

    Args:
        folder: where the home, the temporary folder and the record go.
        arguments: of Python.
        timeout: seconds.
    """
    environment = {**os.environ, **watching(folder)}
    done = subprocess.run(
        alone([sys.executable, *arguments]),
        cwd=folder, env=environment, text=True, check=False, timeout=timeout,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return Watched(done.returncode, done.stdout, read_record(folder), folder / "home")
