"""The recorded values: one file a plug-in, and the digests of the modules behind all of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.golden.cases import Case
from tests.golden.code import ROOT, closure, code_digest, module_digest
from tests.golden.summaries import differences

FOLDER = ROOT / "tests/data/golden"
MODULES = "modules.json"
"""Module -> its digest when values were last recorded; it tells which ones changed since."""


@dataclass(frozen=True)
class Finding:
    """What is not as it was recorded."""

    text: str
    is_a_changed_value: bool = False
    """The value changed and VERSION did not: recording it would forget to recompute."""


def compare(case: Case, value: Any) -> Finding | None:
    """Return what a computed value, its VERSION and its code have against the record."""
    path = FOLDER / f"{case.name}.json"
    if not path.is_file():
        return Finding(f"{case.name}: has no recorded value. Run `make golden`.")
    record = json.loads(path.read_text(encoding="utf-8"))
    lines = differences(record["value"], _as_json(value))
    file, *shared = (f"{module.replace('.', '/')}.py" for module in case.stated_in)
    files = f"{file} (in {shared[0]} if all systems changed)" if shared else file
    if record["version"] != case.version:
        return Finding(
            f"{case.name}: {files} states VERSION {case.version}, recorded is {record['version']}. "
            "Run `make golden` to record the new value."
        )
    if lines:
        shown = "\n  ".join(lines[:5])
        return Finding(
            f"{case.name}: computes other values than VERSION {case.version} did, in "
            f"{len(lines)} places:\n  {shown}\nRaise VERSION in {files}, so that what was computed "
            "with the old code is computed again, and run `make golden`; or undo the change.",
            is_a_changed_value=True,
        )
    if record["code"] != code_digest(closure(case.entries)):
        changed = ", ".join(_changed_modules(case)) or "modules that it imports"
        return Finding(
            f"{case.name}: the code behind it changed ({changed}), the recorded value did not. "
            f"If no option computes other values now, confirm it with `make golden`; else raise "
            f"VERSION in {files} first."
        )
    return None


def write(case: Case, value: Any) -> None:
    """Record a value with its VERSION and its code."""
    record = {
        "version": case.version,
        "code": code_digest(closure(case.entries)),
        "value": _as_json(value),
    }
    _write_json(FOLDER / f"{case.name}.json", record)


def write_modules(cases: list[Case]) -> None:
    """Record the digests of all modules that are behind a value."""
    modules = sorted({module for case in cases for module in closure(case.entries)})
    _write_json(FOLDER / MODULES, {module: module_digest(module) for module in modules})


def _changed_modules(case: Case) -> list[str]:
    recorded = json.loads((FOLDER / MODULES).read_text(encoding="utf-8"))
    digests = set(recorded.values())
    return [m for m in closure(case.entries) if module_digest(m) not in digests]


def _as_json(value: Any) -> Any:
    """Return a value as it is read back: tuples are lists, keys are text."""
    return json.loads(json.dumps(value, default=str))


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
