"""The sample by Snakemake, on this machine alone and through Slurm, and what both made."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.slurm.one_node import OneNodeSlurm

CODE = Path(__file__).resolve().parents[2]
OVERLAY = CODE / "tests" / "slurm" / "demo.yaml"
PROFILE = CODE / "workflow" / "profiles" / "slurm"

# What this node is unlike: no accounting database, one local file system, jobs of seconds.
ONE_NODE = (
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5"),
)


def command(folder: Path, *arguments: str) -> list[str]:
    """Return a Snakemake call for the sample in a folder of its own."""
    call = [sys.executable, "-m", "snakemake", "--snakefile", str(CODE / "Snakefile")]
    return [*call, "--directory", str(folder), *arguments, "--configfile", str(OVERLAY)]


def run_here(folder: Path, log: Path, *targets: str) -> None:
    """Run targets on the cores of this machine.

    Raises:
        subprocess.CalledProcessError: Snakemake failed; the log says why.
    """
    cores = str(len(os.sched_getaffinity(0)))
    with log.open("wb") as out:
        subprocess.run(
            command(folder, "--cores", cores, *targets), stdout=out, stderr=out, check=True
        )


def start_on_slurm(
    slurm: OneNodeSlurm, folder: Path, log: Path, *arguments: str
) -> subprocess.Popen:
    """Start targets through Slurm, under the profile that ships; its output goes to the log."""
    call = command(folder, "--workflow-profile", str(PROFILE), *ONE_NODE, *arguments)
    with log.open("wb") as out:
        return subprocess.Popen(call, env=slurm.environment, stdout=out, stderr=out)


def checksums(folder: Path) -> dict[str, str]:
    """Return name -> sha256 of every merged feature store in a run's folder."""
    stores = sorted((folder / "results" / "sample" / "features").glob("*.h5"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in stores}
