"""Overlapping windows over an input that is longer than the encoder reads at once."""

from typing import NamedTuple


class Window(NamedTuple):
    """Content pieces `start:stop` are read together; the states of `kept_start:kept_stop` count."""

    start: int
    stop: int
    kept_start: int
    kept_stop: int


def cut_windows(length: int, size: int) -> list[Window]:
    """Cut a sequence into windows that overlap by about half.

    At each join both windows give up half of the overlap, so that every kept state saw context on
    both sides. With 510 pieces a window the overlap is 256 and the start advances by 254.

    Args:
        length: pieces in all, without special pieces.
        size: pieces a window holds, at least 2.

    Returns:
        At least one window; the kept parts follow each other and cover everything once.

    Source: the windowing of ITA's released code (Wang et al. 2022), restated.
    """
    overlap = min((size + 2) // 2, size - 1)
    windows = [Window(0, min(size, length), 0, min(size, length))]
    while windows[-1].stop < length:
        start = windows[-1].start + size - overlap
        stop = min(start + size, length)
        join = start + overlap // 2
        windows[-1] = windows[-1]._replace(kept_stop=join)
        windows.append(Window(start, stop, join, stop))
    return windows
