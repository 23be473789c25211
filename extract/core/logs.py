"""Logging to stderr in one format, and progress that suits a terminal and a log file alike."""

import logging
import re
import sys
import time

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


# Control characters (Unicode categories Cc, without tab and line feed, and Zl, Zp), what turns the
# direction of writing (UAX 9), and lone surrogates, which no encoding can write.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Return text that cannot command the terminal: control characters as `\\u001b`.

    Ids, file names and tokens come from outside and stand in messages. Tabs and line feeds stay.
    The text of a JSON value keeps its meaning.
    """
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class PrintableFormatter(logging.Formatter):
    """Writes a record whose message stays on its line, whatever the data in it.

    A line feed in the message would begin a line that looks like another record; a traceback has
    its lines.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record, before a traceback is added."""
        return printable(super().formatMessage(record)).replace("\n", "\\n")


def configure_logging(*, debug: bool = False) -> None:
    """Send all log records to stderr; only command lines call this."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter(_FORMAT))
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler])
    for noisy in ("PIL", "matplotlib", "httpx", "urllib3", "fontTools", "filelock", "h5py"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


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

    def update(self, count: int) -> None:
        """Add `count` finished items."""
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
        )
        if self._terminal:
            end = "\n" if self.done >= self.total else ""
            sys.stderr.write(f"\r{line}\x1b[K{end}")
            sys.stderr.flush()
        else:
            self._logger.info(line)
