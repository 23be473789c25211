"""The table of time by stage that `make demo` ends with."""

import re
from pathlib import Path

import pytest

from workflow.plan.stage_times import OTHERS, STAGES, StageTime, main, render, stage_times

HEAD = "s\th:m:s\tmax_rss\tmean_load\tcpu_time\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, seconds, cpu in (
        ("sample/fit.ita.seed1.tsv", 60, "58.5"),
        ("sample/fit.acn.seed1.tsv", 20, "19.5"),
        ("sample/evaluate.ita.seed1.tsv", 5, "NA"),
        ("draw_report.tsv", 15, "12"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{HEAD}{seconds}\t0:00:01\t9.5\t1.0\t{cpu}\n")
    return tmp_path


def test_jobs_are_summed_by_stage(folder):
    times = stage_times(sorted(folder.rglob("*.tsv")))
    assert list(times) == ["training", "scoring on test", OTHERS]
    assert times["training"] == StageTime(jobs=2, wall_s=80, cpu_s=78)
    assert times["scoring on test"].cpu_s == 0


def test_the_table_ends_with_the_sum(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stage_times", str(folder)])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["stage", "jobs", "wall", "s", "CPU", "s", "share"]
    assert lines[-1].split() == ["all", "4", "100.0", "90.0", "100%"]
    assert render({}).splitlines()[-1].split() == ["all", "0", "0.0", "0.0", "0%"]


def test_every_rule_of_a_stage_exists():
    rules = "\n".join(path.read_text() for path in Path("workflow/rules").glob("*.smk"))
    known = set(re.findall(r"^(?:use )?rule (\w+)", rules, re.MULTILINE))
    assert {rule for names in STAGES.values() for rule in names} <= known


def test_every_job_of_a_rule_is_timed_under_its_name():
    for path in Path("workflow/rules").glob("*.smk"):
        for block in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            name = block.partition(":")[0]
            if "shell:" in block:
                files = re.findall(r'benchmark:\n\s+"benchmarks/([^"]+)"', block)
                assert [Path(file).name.partition(".")[0] for file in files] == [name]
