"""The jobs of a Slurm as rows of a table, from `scontrol show job`."""

import re
from dataclasses import astuple, dataclass, fields

from tests.slurm.one_node import OneNodeSlurm

TABLE_LINE = "{:>4}  {:<58} {:<10} {:>4} {:>7} {:>4} {:>6}  {}\n"


@dataclass(frozen=True)
class Job:
    """One job; its fields are the columns."""

    id: int
    job: str
    """Rule and wildcards."""
    state: str
    cpus: int
    mem: str
    gpus: int
    limit: str
    """Longest time that it asked for."""
    elapsed: str


def list_jobs(slurm: OneNodeSlurm) -> list[Job]:
    """Return every job since Slurm started, by id."""
    lines = slurm.call("scontrol", "show", "job", "--oneliner").splitlines()
    return sorted(map(_read, filter(_is_job, lines)), key=lambda job: job.id)


def table(jobs: list[Job]) -> str:
    """Return the jobs as lines of text."""
    head = TABLE_LINE.format(*(field.name for field in fields(Job)))
    return head + "".join(TABLE_LINE.format(*map(str, astuple(job))) for job in jobs)


def _is_job(line: str) -> bool:
    return line.startswith("JobId=")


def _read(line: str) -> Job:
    """Read one line of `name=value` words."""
    values = dict(word.split("=", 1) for word in line.split() if "=" in word)
    requested = values.get("TresPerJob") or values.get("TresPerNode") or ""
    gpus = re.search(r"gpu(?::\w+)*?:(\d+)", requested)
    return Job(
        id=int(values["JobId"]),
        job=values.get("Comment", "").removeprefix("rule_").replace("_wildcards_", ": ", 1),
        state=values["JobState"],
        cpus=int(values["NumCPUs"].split("-")[0]),
        mem=values.get("MinMemoryNode", ""),
        gpus=int(gpus[1]) if gpus else 0,
        limit=values["TimeLimit"],
        elapsed=values["RunTime"],
    )
