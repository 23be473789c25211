"""Trainings that are broken off on their way, as by a kill."""

import pytest

from train.training.loop import FitJob, fit


class Stop(BaseException):
    """Raised in place of a kill."""


def stop_before(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, calls: int, job: FitJob
) -> None:
    """Train up to the n-th call of a method."""
    original, left = getattr(owner, name), calls

    def counted(self: object, *arguments: object) -> object:
        nonlocal left
        left -= 1
        if not left:
            raise Stop
        return original(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(owner, name, counted)
        fit(job)
