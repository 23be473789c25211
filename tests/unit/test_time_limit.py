"""The list of tests that take too long for `make test`."""

import pytest

from tests.conftest import LIMIT_S, over_the_limit


def report(name: str, when: str, seconds: float, *marks: str) -> pytest.TestReport:
    return pytest.TestReport(
        name, (name, 1, name), dict.fromkeys(marks, 1), "passed", None, when, duration=seconds
    )


def test_a_long_test_is_listed_and_a_slow_one_may_be_long():
    reports = [
        report("short", "call", LIMIT_S - 0.1),
        report("long", "call", LIMIT_S + 0.1),
        report("marked", "call", LIMIT_S + 9, "slow"),
        "a warning, which has no duration",
    ]
    assert over_the_limit(reports) == ["5.1 s long"]


def test_shared_fixtures_do_not_count_and_the_longest_is_first():
    reports = [
        report("second", "call", LIMIT_S + 1),
        report("first", "call", LIMIT_S + 4),
        report("other", "setup", LIMIT_S + 9),
        report("other", "call", 0.1),
    ]
    assert over_the_limit(reports) == ["9.0 s first", "6.0 s second"]
