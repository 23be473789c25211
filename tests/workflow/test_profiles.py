"""The shipped profiles: Snakemake reads them, and jobs ask a cluster for sensible resources."""

import importlib.util
import os
import re
from pathlib import Path

import pytest
import yaml

from tests.workflow.workspace import Workspace

PROFILES = ("local", "slurm")
# Stands in for Slurm's commands: keeps how sbatch is called, refuses the job.
SBATCH = '#!/bin/sh\nprintf "%s\\n" "$*" >> "$SBATCH_CALLS"\necho "sbatch: refused" >&2\nexit 1\n'
# The plugin waits so long before it looks for the first time.
AT_ONCE = ("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1")

FIT = "results/tiny/runs/tiny_text_crf/seed1/run.json"
TWO_GPUS = {"device": "cuda", "models": {"tiny_text_crf": {"processes": 2}}}

needs_plugin = pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
    reason="snakemake-executor-plugin-slurm is not installed",
)


def profile(repo_root: Path, name: str) -> Path:
    return repo_root / "workflow" / "profiles" / name


@pytest.mark.parametrize("name", PROFILES)
def test_every_line_of_a_profile_is_explained(repo_root: Path, name: str) -> None:
    text = (profile(repo_root, name) / "profile.yaml").read_text(encoding="utf-8")
    assert text.startswith("#")
    for line in text.splitlines():
        assert "#" in line or line.endswith(":"), line
    assert yaml.safe_load(text)["rerun-incomplete"] is True


def test_jobs_on_one_machine_share_its_memory(workspace: Workspace) -> None:
    total_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 10**6
    for given, expected in ((), total_mb), (("--resources", "mem_mb=7777"), 7777):
        done = workspace.snakemake("dataset", "--cores", "1", "--forceall", *given)
        assert done.returncode == 0, done.output
        found = re.search(r'Provided resources:.*"mem_mb", (\d+)', done.output)
        assert found and int(found[1]) == expected


@needs_plugin
def test_a_dry_run_with_each_profile(workspace: Workspace, repo_root: Path) -> None:
    plans = []
    for name in PROFILES:
        cores = ["--cores", "2"] if name == "local" else []
        arguments = ["--workflow-profile", str(profile(repo_root, name)), "--forceall", *cores]
        plans.append(workspace.plan(*arguments))
    assert plans[0] == plans[1] and plans[0]["fit"]


@needs_plugin
@pytest.mark.parametrize(
    ("target", "rule", "settings", "asked"),
    [
        # No --cores here: a rule that uses all cores of one machine asks for `cluster_cores`.
        ("dataset", "prepare_dataset", {"cluster_cores": 3}, "-t 60 --mem 8540 --cpus-per-task=3"),
        (FIT, "fit", {"device": "cpu"}, "-t 720 --mem 8000 --cpus-per-task=1"),
        (FIT, "fit", TWO_GPUS, "-t 720 --mem 16000 --cpus-per-task=2 --gpus=2"),
    ],
)
def test_what_is_asked_of_slurm(
    workspace: Workspace, repo_root: Path, target: str, rule: str, settings: dict, asked: str
) -> None:
    tools, calls = workspace.folder / "tools", workspace.folder / "calls.txt"
    tools.mkdir()
    for tool in ("sbatch", "scontrol", "squeue", "sacct", "sinfo", "sacctmgr", "scancel"):
        (tools / tool).write_text(SBATCH if tool == "sbatch" else "#!/bin/sh\n", encoding="utf-8")
        (tools / tool).chmod(0o755)
    workspace.overlay(settings)
    search = f"{tools}{os.pathsep}{os.environ['PATH']}"
    arguments = ["--workflow-profile", str(profile(repo_root, "slurm")), "--forcerun", rule]
    result = workspace.snakemake(
        target,
        *arguments,
        "--retries",
        "0",
        *AT_ONCE,
        env={"PATH": search, "SBATCH_CALLS": str(calls)},
    )
    assert result.returncode != 0 and "refused" in result.output, result.output
    call = calls.read_text(encoding="utf-8").splitlines()[0]
    assert f"--comment rule_{rule}" in call
    found = re.findall(r"-t \d+|--mem \d+|--cpus-per-task=\d+|--gpus=\S+", call.split("--wrap")[0])
    assert sorted(found) == sorted(re.findall(r"-t \d+|--mem \d+|--\S+=\d+", asked)), call
