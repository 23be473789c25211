"""`make golden`: confirm the recorded values, and record those whose VERSION was raised."""

import sys
import tempfile
from pathlib import Path

from tests.golden.cases import all_cases
from tests.golden.records import compare, write, write_modules


def main() -> int:
    """Compute every value; return 1 where one changed under its VERSION, which is not recorded."""
    refused = 0
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        cases = all_cases(Path(folder))
        for case in cases:
            value = case.compute()
            finding = compare(case, value)
            if finding is None:
                continue
            print(finding.text, file=sys.stderr)
            if finding.is_a_changed_value:
                refused += 1
            else:
                write(case, value)
                print(f"{case.name}: recorded", file=sys.stderr)
    if not refused:
        write_modules(cases)
    return int(refused > 0)


if __name__ == "__main__":
    sys.exit(main())
