"""Named values of the command line."""

from pathlib import Path

import pytest

from extract.core.errors import ConfigError
from train.commands.arguments import parse_assignments, parse_paths


def test_values_keep_their_order_and_equals_signs() -> None:
    assert list(parse_assignments(["b=1", "a=x=y"], "--rows", "ROW=RUN").items()) == [
        ("b", "1"),
        ("a", "x=y"),
    ]
    assert parse_paths(["a=b=c"], "--samples", "DATASET=PATH") == {"a": Path("b=c")}


@pytest.mark.parametrize("wrong", ["a", "=b", "a="])
def test_another_form_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match=f"--samples {wrong}: expected DATASET=PATH"):
        parse_paths([wrong], "--samples", "DATASET=PATH")


def test_a_name_is_given_once() -> None:
    with pytest.raises(ConfigError, match="--samples a=c: 'a' is given twice"):
        parse_paths(["a=b", "a=c"], "--samples", "DATASET=PATH")
