"""Commands of `train`, with the system `dummy`, in several processes that compute together."""

import os
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests import forked
from tests.builders.train.dummy_system import run_commands

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
        common |= {"OMP_NUM_THREADS": 1, "LOCAL_WORLD_SIZE": world}
        self._folder = tempfile.TemporaryDirectory()  # removed with the object
        self._said = [Path(self._folder.name) / str(rank) for rank in range(world)]
        self.processes = []
        for rank in range(world):
            own = {**common, "RANK": rank, "LOCAL_RANK": rank}
            environment = {**os.environ, **{name: str(value) for name, value in own.items()}}
            self.processes.append(
                forked.start(
                    run_commands,
                    *commands,
                    output=self._said[rank],
                    folder=REPO_ROOT,
                    environment=environment,
                )
            )

    def wait(self) -> list[str]:
        """Return what each said, after all ended well; one that fails ends all."""
        deadline = time.monotonic() + TIMEOUT_S
        try:
            while any(process.is_alive() for process in self.processes):
                is_late = time.monotonic() > deadline
                if is_late or any(process.exitcode for process in self.processes):
                    break
                time.sleep(0.05)
        finally:
            said = self.kill()
        assert [process.exitcode for process in self.processes] == [0] * len(said), said
        return said

    def kill(self) -> list[str]:
        """End with SIGKILL what still runs; return what each said."""
        for process in self.processes:
            process.kill()
            process.join()
        return [file.read_text(encoding="utf-8") for file in self._said]
