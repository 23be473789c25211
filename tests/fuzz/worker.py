"""A process that makes trials of one case under limits, and is started again when it dies.

`python -m tests.fuzz.worker CASE` says `{}` when it is ready, then reads one JSON object a line,
`{"seed", "folder"}`, and answers each with `{"finding", "peak_mb"}`.
"""

import contextlib
import importlib
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.core.system import allow_seconds
from tests.fuzz.memory import peak_of_all_mb
from tests.fuzz.refusal import Refused

TRIAL_CPU_S = 60
"""Processor time of a trial; hostile input within its limits takes far less."""
TRIAL_WALL_S = 900
"""Wall time of a trial: it waits for something, or the machine is busy beyond measure."""
START_S = 300
"""Wall time in which a process must be ready: a case may import torch."""
MEMORY_MB = 8192
"""Address space of the process of a case, libraries included."""


@dataclass(frozen=True)
class Trial:
    """One trial: what it was made from, and what came of it."""

    seed: str
    folder: Path
    finding: str | None
    seconds: float
    peak_mb: int


def case_modules() -> list[str]:
    """Return the names of all cases."""
    files = (Path(__file__).parent / "cases").glob("*.py")
    return sorted(path.stem for path in files if not path.stem.startswith("_"))


class Worker:
    """The process of one case, seen from the program that gives it work.

    Args:
        module: name of the case.
        base: folder of the trials' folders and of what the process writes elsewhere.
    """

    def __init__(self, module: str, base: Path) -> None:
        self.module, self.base = module, base
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    def try_once(self, seed: str) -> Trial:
        """Make one trial in a new folder, which the caller removes."""
        folder = Path(tempfile.mkdtemp(prefix=f"{self.module}_", dir=self.base))
        self._start()
        started = time.monotonic()
        answer = self._ask({"seed": seed, "folder": str(folder)})
        return Trial(seed, folder, answer["finding"], time.monotonic() - started, answer["peak_mb"])

    def close(self) -> None:
        """End the process and what it started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._buffer = b""

    def _start(self) -> None:
        """Start the process if there is none, and wait until it is ready."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", self.module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "TMPDIR": str(self.base)},
        )  # fmt: skip
        if not self._read_line(time.monotonic() + START_S):
            self.close()
            raise RuntimeError(f"case {self.module} does not start")

    def _ask(self, question: dict[str, str]) -> dict[str, Any]:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        line = self._read_line(time.monotonic() + TRIAL_WALL_S)
        if line:
            return json.loads(line)
        code = self._process.poll() if line is None else self._process.wait()
        self.close()
        return {"finding": _death(code), "peak_mb": 0}

    def _read_line(self, deadline: float) -> bytes | None:
        """Return the answer, nothing at the end of the process, None at the deadline."""
        assert self._process is not None and self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                return None
            data = os.read(pipe, 65536)
            if not data:
                return b""
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def _death(code: int | None) -> str:
    """Return in words how a trial ended without an answer; None: it was still at it."""
    if code is None:
        return f"over {TRIAL_WALL_S} s"
    if code == -signal.SIGXCPU:
        return f"over {TRIAL_CPU_S} s of the processor"
    return f"ended its process ({signal.Signals(-code).name if code < 0 else f'code {code}'})"


def _finding_of(module: Any, folder: Path, seed: str) -> str | None:
    try:
        return module.fuzz(folder, random.Random(seed))
    except Refused:
        return None
    except Exception:
        return traceback.format_exc()


def main(name: str) -> None:
    """Answer questions until there are no more."""
    module = importlib.import_module(f"tests.fuzz.cases.{name}")
    limit = MEMORY_MB * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Answers have the pipe to themselves: what a trial prints goes elsewhere.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    answers.write("{}\n")
    answers.flush()
    for line in sys.stdin:
        question = json.loads(line)
        allow_seconds(TRIAL_CPU_S)
        finding = _finding_of(module, Path(question["folder"]), question["seed"])
        answers.write(json.dumps({"finding": finding, "peak_mb": peak_of_all_mb()}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
