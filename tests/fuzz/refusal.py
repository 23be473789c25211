"""What a trial may be refused: its own input, and nothing that was accepted or written before."""

from collections.abc import Iterator
from contextlib import contextmanager

from extract.core.errors import MnerError


class Refused(Exception):
    """The input of a trial was refused as it may be: the trial is over without a finding."""


@contextmanager
def may_refuse() -> Iterator[None]:
    """End the trial where the input is refused; every MnerError elsewhere is a finding.

    Raises:
        Refused: an MnerError was raised.
    """
    try:
        yield
    except MnerError as error:
        raise Refused from error
