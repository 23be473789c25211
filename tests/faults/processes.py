"""Commands in forked children: the imports are paid once, and each child can be killed.

A child is a process group of its own; a kill goes to the whole group, as a batch system's does.
"""

import gc
import json
import logging
import mmap
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Command = Callable[[], int]
Change = Callable[[], None]
"""Made in the child before its command: patches that stand for a fault."""

TIMEOUT_S = 120


class SharedCount:
    """A number that a child counts up and that outlives it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def add(self, count: int) -> None:
        """Count up."""
        self.value = self.value + count

    @property
    def value(self) -> int:
        """The number."""
        return struct.unpack("q", self._memory[:8])[0]

    @value.setter
    def value(self, number: int) -> None:
        self._memory[:8] = struct.pack("q", number)


@dataclass(frozen=True)
class Ended:
    """What a child left."""

    code: int
    """Exit code; minus the signal where it was killed."""
    log: str
    """stdout and stderr together."""
    seconds: float

    @property
    def is_killed(self) -> bool:
        """Whether the kill came before the end."""
        return self.code == -signal.SIGKILL

    @property
    def error(self) -> str:
        """The message of a user's error, which must be the last line."""
        last = ([line for line in self.log.splitlines() if line.strip()] or [""])[-1]
        return last if last.startswith("error: ") else ""

    def summary(self) -> dict[str, Any]:
        """Return the JSON object that a command logs last."""
        lines = [line for line in self.log.splitlines() if line.endswith("}")]
        return json.loads(lines[-1][lines[-1].index("{") :])


@contextmanager
def child(command: Command, log: Path, change: Change | None = None) -> Iterator["Child"]:
    """Fork a child that runs a command; it is killed when the block ends before it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    ready, begin = os.pipe()
    gc.collect()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        _be_child(command, log, change, begin)
    started = Child(pid, log)
    try:
        os.close(begin)
        os.read(ready, 1)
        os.close(ready)
        started.begin()
        yield started
    finally:
        if started.ended is None:
            started.kill()


def _be_child(command: Command, log: Path, change: Change | None, begin: int) -> None:
    """Run the command in this process and never return."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for standard in (1, 2):
            os.dup2(handle, standard)
        logging.disable(logging.NOTSET)
        if change:
            change()
        os.write(begin, b"1")
        os.close(begin)
        code = command()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Child:
    """A running child."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid, self.log = pid, log
        self.ended: Ended | None = None
        self._started = time.monotonic()

    def begin(self) -> None:
        """Count the seconds from here."""
        self._started = time.monotonic()

    def is_running(self) -> bool:
        """Whether it has not ended."""
        if self.ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._end(status)
        return self.ended is None

    def wait(self, timeout_s: float = TIMEOUT_S) -> Ended:
        """Return what it left; one that takes too long is killed, and its exit code says so."""
        deadline = time.monotonic() + timeout_s
        while self.is_running():
            if time.monotonic() > deadline:
                return self.kill()
            time.sleep(0.001)
        return self.ended

    def kill(self) -> Ended:
        """Send SIGKILL to its process group."""
        if self.is_running():
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has no group of its own yet
                os.kill(self.pid, signal.SIGKILL)
            self._end(os.waitpid(self.pid, 0)[1])
        return self.ended

    def kill_after(self, seconds: float) -> Ended:
        """Let it run so long, then kill it; one that ends before is noted when it ends."""
        while self.is_running() and (left := self._started + seconds - time.monotonic()) > 0:
            time.sleep(min(left, 0.001))
        return self.kill()

    def _end(self, status: int) -> None:
        seconds = time.monotonic() - self._started
        text = ""
        if self.log.is_file():  # not before the child opened it
            text = self.log.read_text(encoding="utf-8", errors="replace")
        self.ended = Ended(os.waitstatus_to_exitcode(status), text, seconds)


def members(group: int) -> list[str]:
    """Return number and name of the processes of a group, those apart that are dead already."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, group_id = rest.split()[:3]
        if int(group_id) == group and state not in "ZX":
            found.append(f"{name})")
    return found


def working_in(folder: Path) -> list[str]:
    """Return number and command of the processes whose working directory is a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder.resolve()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                found.append(f"{process.name} {command.decode('utf-8', 'replace')[:80]}")
        except OSError:  # it has ended
            continue
    return found


def run_to_end(command: Command, log: Path, change: Change | None = None) -> Ended:
    """Run a command in a child and wait for it."""
    with child(command, log, change) as started:
        return started.wait()


def extract(*arguments: object) -> Command:
    """Return a command line of `python -m extract`."""
    from extract.__main__ import main

    return lambda: main([str(argument) for argument in arguments])


def train(*arguments: object) -> Command:
    """Return a command line of `python -m train`, with the system `dummy` of the tests."""
    from tests.builders.train import dummy_system
    from train.__main__ import main

    def run() -> int:
        dummy_system.register()
        return main([str(argument) for argument in arguments])

    return run


def import_commands(package: str, modules: Sequence[str] = ()) -> None:
    """Import every command of a package, and more, before anything is forked."""
    import importlib

    from extract.core.registry import available

    for name in available(f"{package}.commands"):
        importlib.import_module(f"{package}.commands.{name}")
    for module in modules:
        importlib.import_module(module)
