"""Commands of `train`, with the system `dummy`, in several processes that compute together.

Run as a script, one process of them: its arguments are commands as JSON, done one after another.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.unit.train.dummy_system import register

TIMEOUT_S = 300
REPO_ROOT = Path(__file__).resolve().parents[3]


class ProcessGroup:
    """Started processes of one group.

    Args:
        commands: arguments of `python -m train`, for all processes alike.
        world: number of processes.
    """

    def __init__(
        self,
        commands: Sequence[Sequence[str]],
        world: int = 2,
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        common = {"WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        common |= {"PYTHONPATH": REPO_ROOT, "OMP_NUM_THREADS": 1, "LOCAL_WORLD_SIZE": world}
        self.processes: list[subprocess.Popen] = []
        # Files, not pipes: a pipe that nobody empties stops who writes to it.
        self._said = [
            tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed with the object
            for _ in range(world)
        ]
        for rank in range(world):
            own = {**common, "RANK": rank, "LOCAL_RANK": rank}
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, __file__, *map(json.dumps, commands)],
                    env={**os.environ, **{name: str(value) for name, value in own.items()}},
                    stderr=self._said[rank],
                )
            )

    def wait(self) -> list[str]:
        """Return what each said on stderr, after all ended well; one that fails ends all."""
        deadline = time.monotonic() + TIMEOUT_S
        try:
            while any(process.poll() is None for process in self.processes):
                is_late = time.monotonic() > deadline
                if is_late or any(process.poll() for process in self.processes):
                    break
                time.sleep(0.05)
        finally:
            said = self.kill()
        assert [process.returncode for process in self.processes] == [0] * len(said), said
        return said

    def kill(self) -> list[str]:
        """End with SIGKILL what still runs; return what each said on stderr."""
        for process in self.processes:
            process.kill()
            process.wait()
        for file in self._said:
            file.seek(0)
        return [file.read() for file in self._said]


def main() -> int:
    """Run the commands; return the first code that is not 0."""
    from train.__main__ import main as run_command

    register()
    codes = (run_command(json.loads(argument)) for argument in sys.argv[1:])
    return next(filter(None, codes), 0)


if __name__ == "__main__":
    sys.exit(main())
