"""The learning rate of each update of a whole training."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.builders.courses import recorded
from tests.builders.short_trainings import EPOCHS, short_training
from train.training.loop import fit

pytestmark = pytest.mark.usefixtures("dummy")

PEAKS = {"encoder": 0.01, "head": 0.05}
LENGTHS = [3, 4, 5, 6] * 5
# Five batches an epoch: with a warm-up of 0.3 the rates rise into the second of four epochs.
N_UPDATES, N_WARM = 20, 6
PLACES = np.arange(N_UPDATES)
WARM = PLACES / N_WARM
LEFT = (N_UPDATES - PLACES) / (N_UPDATES - N_WARM)
SHARES = {
    ("linear", 0.0): 1 - PLACES / N_UPDATES,
    ("linear", 0.3): np.minimum(WARM, LEFT),
    ("cosine", 0.0): np.cos(np.pi / 2 * PLACES / N_UPDATES) ** 2,
    ("cosine", 0.3): np.where(WARM < 1, WARM, np.sin(np.pi / 2 * LEFT) ** 2),
    ("constant", 0.0): np.ones(N_UPDATES),
    ("constant", 0.3): np.minimum(WARM, 1),
}


@pytest.mark.parametrize(("schedule", "warmup"), SHARES)
def test_each_group_has_its_share_of_the_peak_at_each_update(
    tmp_path: Path, schedule: str, warmup: float
) -> None:
    job = short_training(tmp_path, LENGTHS, lr=PEAKS, schedule=schedule, warmup=warmup)
    updates = recorded(lambda: fit(job)).updates
    assert len(updates) == N_UPDATES
    for update, share in zip(updates, SHARES[schedule, warmup], strict=True):
        assert {name for name, _ in update.rates} == set(PEAKS)
        for name, rate in update.rates:
            assert rate == pytest.approx(share * PEAKS[name], abs=1e-12)


def test_the_schedule_counts_updates_and_not_batches(tmp_path: Path) -> None:
    """Five batches are three updates of two, two and one."""
    job = short_training(tmp_path, LENGTHS, accumulation=2, warmup=0.25)
    rates = [update.rates[0][1] for update in recorded(lambda: fit(job)).updates]
    rising, falling = np.arange(3) / 3, np.arange(9, 0, -1) / 9
    assert rates == pytest.approx([*(0.05 * rising), *(0.05 * falling)])


def test_the_history_has_the_rates_of_the_last_update_of_each_epoch(tmp_path: Path) -> None:
    job = short_training(tmp_path, LENGTHS, lr=PEAKS, warmup=0.3)
    epochs = recorded(lambda: fit(job)).epochs
    lines = (job.out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == EPOCHS
    for epoch, line in zip(epochs, lines, strict=True):
        assert json.loads(line)["lr"] == dict(epoch.updates[-1].rates)
