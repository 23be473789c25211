"""Logging to stderr in one format, and progress that suits a terminal and a log file alike."""

import logging
import os
import sys
import time

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(*, debug: bool = False) -> None:
    """Send all log records to stderr; only command lines call this."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO, format=_FORMAT, stream=sys.stderr
    )
    for noisy in ("PIL", "matplotlib", "httpx", "urllib3", "fontTools", "filelock", "h5py"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def set_offline() -> None:
    """Forbid downloads and telemetry of every library that knows a switch for it."""
    offline = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "ULTRALYTICS_SAFE_LOAD": "1",
        "WANDB_MODE": "disabled",
        "TOKENIZERS_PARALLELISM": "false",
    }
    for name, value in offline.items():
        os.environ.setdefault(name, value)


class Progress:
    """Say how far a long loop is: one rewritten line on a terminal, else a line each 30 s.

    Args:
        label: what is being done, e.g. `shard 3-of-8`.
        total: number of items in all.
        done: items already done by an earlier run.
        unit: plural noun of the items.
    """

    INTERVAL_S = 30.0

    def __init__(self, label: str, total: int, *, done: int = 0, unit: str = "images") -> None:
        self.label, self.total, self.done, self.unit = label, total, done, unit
        self._first = done
        self._started = self._last = time.monotonic()
        self._logger = logging.getLogger("progress")
        self._terminal = sys.stderr.isatty()

    def update(self, count: int, note: str = "") -> None:
        """Add `count` finished items; `note` is shown as it is, e.g. `1 unreadable`."""
        self.done += count
        now = time.monotonic()
        interval = 0.2 if self._terminal else self.INTERVAL_S
        if now - self._last < interval and self.done < self.total:
            return
        self._last = now
        rate = (self.done - self._first) / max(now - self._started, 1e-9)
        left = (self.total - self.done) / rate if rate else float("inf")
        line = (
            f"{self.label}: {self.done}/{self.total} {self.unit}, {rate:.1f}/s, {left:.0f} s left"
            + (f", {note}" if note else "")
        )
        if self._terminal:
            end = "\n" if self.done >= self.total else ""
            sys.stderr.write(f"\r{line}\x1b[K{end}")
            sys.stderr.flush()
        else:
            self._logger.info(line)
