"""A Slurm of this machine alone, in a temporary folder: nothing under /etc is read or written.

    with OneNodeSlurm() as slurm:
        subprocess.run(["sbatch", ...], env=slurm.environment)

munged, slurmctld and slurmd run with keys, sockets, ports, state and logs of their own and are
stopped at the end, also after an error or Ctrl-C. The node says that it has two GPUs: Slurm gives
them out, so jobs that ask for a GPU are scheduled as on a cluster.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
PACKAGES = "slurm-wlm munge"

START_S = 60
"""Longest wait for a daemon."""
STOP_S = 20
"""Longest wait for the jobs to leave, and for each daemon."""
LEAST_MEMORY_MB = 20_000
"""What the node is said to have on a smaller machine, so that the profile's requests fit."""

SLURM_CONF = """\
ClusterName=one_node
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# No control groups: containers and virtual machines often have none that can be written.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
# Finished jobs stay visible to squeue and scontrol, in place of an accounting database.
MinJobAge=86400
KillWait=5
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
# The executor's job step drops SLURM_CONF, so srun would look for /etc/slurm/slurm.conf.
SRUN = '#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {srun} "$@"\n'
# A device that is none: Slurm counts and hands out the GPUs, no job could compute on them.
GRES_CONF = "Name=gpu File={folder}/gpu[0-{last}]\n"
GPUS = 2


class SlurmUnavailable(Exception):
    """Slurm is not installed, may not be started by this user, or did not start."""


class OneNodeSlurm:
    """The daemons, as a context manager.

    Args:
        parent: folder in which the temporary one is made; short, for socket paths have a limit.

    Raises (on entry):
        SlurmUnavailable: a program is missing, the user is not root, or a daemon did not start.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent
        self._daemons: list[tuple[str, subprocess.Popen]] = []
        self.host = socket.gethostname().split(".")[0]
        self.folder = Path()

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which sbatch and the like talk to this Slurm."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
        search = os.pathsep.join([str(self.folder / "bin"), os.environ.get("PATH", os.defpath)])
        return {**inherited, "SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": search}

    def __enter__(self) -> "OneNodeSlurm":
        check_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="one_node_slurm_", dir=self._parent))
        try:
            self._configure()
            self._start_all()
        except BaseException:
            self._stop_all()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop_all()

    def call(self, *command: str) -> str:
        """Run a Slurm command and return what it prints.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        done = subprocess.run(
            command, env=self.environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    def drain(self) -> None:
        """Start no more jobs: what is submitted stays pending and can be looked at."""
        self.call("scontrol", "update", f"NodeName={self.host}", "State=DRAIN", "Reason=inspection")

    def _configure(self) -> None:
        """Write the configuration, the folders and a munge key."""
        self.folder.chmod(0o755)  # munge's clients reach the socket through it
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir()
        values = {
            "folder": self.folder,
            "host": self.host,
            "controller_port": _free_port(),
            "node_port": _free_port(),
            "cpus": len(os.sched_getaffinity(0)),
            "gpus": GPUS,
            "memory_mb": max(LEAST_MEMORY_MB, _memory_mb() * 9 // 10),
        }
        (self.folder / "slurm.conf").write_text(SLURM_CONF.format(**values), encoding="utf-8")
        gres = GRES_CONF.format(folder=self.folder, last=GPUS - 1)
        (self.folder / "gres.conf").write_text(gres, encoding="utf-8")
        for number in range(GPUS):
            (self.folder / f"gpu{number}").touch()
        step = self.folder / "bin" / "srun"
        step.write_text(SRUN.format(folder=self.folder, srun=_program("srun")), encoding="utf-8")
        step.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)

    def _start_all(self) -> None:
        """Start the three daemons, each when the one before answers."""
        folder, conf = self.folder, str(self.folder / "slurm.conf")
        munge = {name: f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log")}
        seed = f"--seed-file={folder}/munge.seed"
        socket_file = folder / "munge.socket"
        self._start("munged", "--foreground", f"--socket={socket_file}", *munge.values(), seed)
        self._wait("munged", socket_file.exists)
        self._start("slurmctld", "-D", "-f", conf)
        self._wait("slurmctld", lambda: " UP" in self._ask("scontrol", "ping"))
        self._start("slurmd", "-D", "-f", conf)
        self._wait("slurmd", lambda: "idle" in self._ask("sinfo", "--noheader", "--format=%t"))

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.out").open("wb") as out:
            daemon = subprocess.Popen(
                [_program(name), *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the demo, which then stops it in order
            )
        self._daemons.append((name, daemon))

    def _wait(self, name: str, is_ready: Callable[[], bool]) -> None:
        """Wait until a daemon is ready.

        Raises:
            SlurmUnavailable: it ended or took too long; the message has the end of its log.
        """
        deadline = time.monotonic() + START_S
        while not is_ready():
            daemon = dict(self._daemons)[name]
            if daemon.poll() is not None or time.monotonic() > deadline:
                said = _tail(self.folder / f"{name}.out") or _tail(self.folder / f"{name}.log")
                raise SlurmUnavailable(f"{name} did not start. It said:\n{said}")
            time.sleep(0.2)

    def _ask(self, *command: str) -> str:
        """Return a command's output, empty while the controller does not answer."""
        asked = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return asked.stdout if asked.returncode == 0 else ""

    def _stop_all(self) -> None:
        """Cancel all jobs, stop the daemons in reverse order, remove the folder."""
        if any(name == "slurmd" for name, _ in self._daemons):
            self._ask("scancel", "--user=root")
            deadline = time.monotonic() + STOP_S
            while (
                self._ask("squeue", "--noheader", "--states=R,CG") and time.monotonic() < deadline
            ):
                time.sleep(0.5)
        while self._daemons:
            _stop(self._daemons.pop()[1])
        shutil.rmtree(self.folder, ignore_errors=True)


def check_programs() -> None:
    """See that Slurm and munge are installed and that this user may start them.

    Raises:
        SlurmUnavailable: the message says what to run.
    """
    missing = [name for name in PROGRAMS if not shutil.which(_program(name))]
    if missing:
        raise SlurmUnavailable(
            f"not installed: {', '.join(missing)}. On Debian run: apt-get install {PACKAGES}"
        )
    if os.geteuid() != 0:
        raise SlurmUnavailable("slurmd starts jobs as their users, so it needs root. Use sudo.")


def _program(name: str) -> str:
    """Return where a program is; daemons are in /usr/sbin, which is not on every PATH."""
    return shutil.which(name) or f"/usr/sbin/{name}"


def _stop(daemon: subprocess.Popen) -> None:
    """End a daemon gently, or after `STOP_S` by force."""
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(STOP_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def _tail(path: Path, lines: int = 15) -> str:
    if not path.is_file():
        return ""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
