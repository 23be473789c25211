"""Processes that a launcher starts end with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from extract.core.launch import end_with_launcher, is_first_process, launched_processes

ROOT = Path(__file__).resolve().parents[4]
WORKER = "import sys, time; from train.__main__ import main; main(['list']); time.sleep(60)"
LAUNCHER = f"""
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", {WORKER!r}], start_new_session=True, stderr=2)
print(worker.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_a_worker_in_a_session_of_its_own_dies_with_its_launcher(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = LAUNCHER.replace("main(['list'])", f"main(['list']); open({str(ready)!r}, 'w')")
    launcher = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WORLD_SIZE": "2"},
        start_new_session=True,
    )
    assert launcher.stdout is not None
    with launcher.stdout:
        worker = int(launcher.stdout.readline())
    wait_until(ready.exists, "the worker did not begin")
    os.killpg(launcher.pid, signal.SIGKILL)
    launcher.wait()
    wait_until(lambda: not is_running(worker), "the worker goes on")


def wait_until(is_so, failure: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, failure
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Return whether a process exists and is not dead already, unmourned by its new parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_what_lies_in_the_home_folder_decides_nothing(tmp_path: Path) -> None:
    settings = tmp_path / "accelerate/default_config.yaml"
    settings.parent.mkdir()
    lines = ("compute_environment: LOCAL_MACHINE", "distributed_type: 'NO'", "gpu_ids: '0'")
    settings.write_text("\n".join(lines), encoding="utf-8")
    script = tmp_path / "count.py"
    script.write_text("import os; print('processes', os.environ['WORLD_SIZE'])", encoding="utf-8")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2"]
    command += ["--config_file", str(ROOT / "workflow/accelerate.yaml"), str(script)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split().count("processes") == 2 == done.stdout.split().count("2")


def test_a_lone_process_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(
        "extract.core.launch.ctypes.CDLL", lambda *_: pytest.fail("prctl was called")
    )
    end_with_launcher()
    assert launched_processes() == 1 and is_first_process()
