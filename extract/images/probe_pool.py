"""Decode images in other processes, whose deaths cost one image each (see `probe_worker`)."""

import contextlib
import json
import os
import queue
import resource
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from extract.core.errors import MnerError
from extract.core.system import NamedSystemError
from extract.images.decode import ImageProbe
from extract.images.files import UnreadableImage
from extract.images.limits import ImageLimits

_ROOT = str(Path(__file__).resolve().parents[2])


class _WorkerDied(Exception):
    """The process ended in the middle of an image; `code` is as subprocess gives it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Worker:
    """One decoding process."""

    def __init__(self, limits: ImageLimits) -> None:
        paths = [_ROOT, os.environ.get("PYTHONPATH", "")]
        # Threads of numpy's BLAS would take address space, and nothing here uses them.
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "extract.images.probe_worker", json.dumps(asdict(limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **single, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        self.is_fresh = True
        if self._process.stdout.readline() != b"{}\n":
            self.close()
            raise MnerError(
                f"the process that decodes images did not start (exit code "
                f"{self._process.returncode}). See the lines above; memory may be short."
            )

    def ask(self, path: Path) -> dict[str, Any]:
        """Return the answer about one image.

        Raises:
            _WorkerDied: there was none.
        """
        self.is_fresh = False
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(str(path)).encode() + b"\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise _WorkerDied(self._process.wait())
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


class ProbePool:
    """Decoding processes, as many as threads call `probe` at a time; they start when needed.

    Use it as a context manager.

    Args:
        limits: of one image.
    """

    def __init__(self, limits: ImageLimits) -> None:
        self.limits = limits
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()

    def __enter__(self) -> "ProbePool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while not self._idle.empty():
            self._idle.get().close()

    def probe(self, path: Path) -> ImageProbe:
        """Decode an image fully and return its checksum and upright size; safe from any thread.

        Raises:
            UnreadableImage: no image, broken, or over one of the limits.
            NamedSystemError: the system failed to read the file.
        """
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            worker = _Worker(self.limits)
        was_fresh = worker.is_fresh
        reply = self._ask(worker, path)
        if _may_be_others_fault(reply) and not was_fresh:
            # What earlier images left in the process must not decide about this one.
            reply = self._ask(_Worker(self.limits), path)
        if "system" in reply:
            raise NamedSystemError(reply["system"], os.strerror(reply["system"]), str(path))
        reason = self._reason(reply)
        if reason is not None:
            raise UnreadableImage(reason)
        return ImageProbe(**reply)

    def _ask(self, worker: _Worker, path: Path) -> dict[str, Any]:
        """Return the answer, `{"died": exit code}` when there is none; keep a sound worker."""
        try:
            reply = worker.ask(path)
        except _WorkerDied as death:
            worker.close()
            return {"died": death.code}
        except BaseException:
            worker.close()
            raise
        if "costly" in reply:
            worker.close()
        else:
            self._idle.put(worker)
        return reply

    def _reason(self, reply: dict[str, Any]) -> str | None:
        """Return in words why an image is unreadable, None when it is not."""
        if "costly" in reply:
            return f"needs over {self.limits.max_memory_mb} MB to decode"
        if "died" not in reply:
            return reply.get("reason")
        code = reply["died"]
        if code == -signal.SIGXCPU:
            allowed = _seconds_of_a_process()
            if allowed is not None and allowed <= self.limits.max_seconds:
                return f"took all of the {allowed} s that the system allows (`ulimit -t`) to decode"
            return f"took over {self.limits.max_seconds} s to decode"
        return f"crashed the decoder ({f'signal {-code}' if code < 0 else f'exit code {code}'})"


def _may_be_others_fault(reply: dict[str, Any]) -> bool:
    """True for a death or want of memory.

    The processor time is counted anew for each image, unless the system limits that of the whole
    process (`ulimit -t`, usual on login nodes).
    """
    if reply.get("died") == -signal.SIGXCPU:
        return _seconds_of_a_process() is not None
    return "costly" in reply or "died" in reply


def _seconds_of_a_process() -> int | None:
    """Return what the system allows a process in all, None where it sets no limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    return None if hard == resource.RLIM_INFINITY else hard
