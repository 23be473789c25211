"""A tag tells machines apart and names none."""

import platform
import re
from pathlib import Path

import pytest

from extract.core import files
from extract.core.files import machine_tag


def tag_of(monkeypatch: pytest.MonkeyPatch, **changed: object) -> str:
    """Return the tag where a place that it is read from is another one."""
    with monkeypatch.context() as patch:
        for name, value in changed.items():
            patch.setattr(files, name, value)
        return machine_tag.__wrapped__()


def test_another_boot_or_machine_has_another_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "boot").write_text("another boot\n")
    (tmp_path / "pid").symlink_to("pid:[1]")
    boot, namespace = tmp_path / "boot", tmp_path / "pid"
    tags = [
        machine_tag(),
        tag_of(monkeypatch, _BOOT_ID=boot),
        tag_of(monkeypatch, _BOOT_ID=boot, _PID_NAMESPACE=namespace),
        tag_of(monkeypatch, _BOOT_ID=tmp_path / "absent"),
    ]
    monkeypatch.setattr(platform, "node", lambda: "another")
    tags.append(tag_of(monkeypatch))
    assert len(set(tags)) == len(tags)
    assert all(re.fullmatch("[0-9a-f]{8}", tag) for tag in tags)
    assert tag_of(monkeypatch) == tags[-1]
