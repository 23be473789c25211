"""No value changes under its VERSION, and no code behind a value without somebody's look.

`tests/golden` computes the values, `make golden` records them.
"""

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from extract.images import decode
from extract.phrases import tweets
from extract.words import image_text
from tests.golden import code, records
from tests.golden.cases import Case, all_cases
from train.blocks import crf
from train.training import loop

with TemporaryDirectory() as _nowhere:
    NAMES = [case.name for case in all_cases(Path(_nowhere))]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    return {case.name: case for case in all_cases(tmp_path_factory.mktemp("golden"))}


@pytest.mark.parametrize("name", NAMES)
def test_the_value_is_the_recorded_one(cases: dict[str, Case], name: str) -> None:
    finding = records.compare(cases[name], cases[name].compute())
    assert finding is None, finding.text


def test_every_record_is_of_a_plug_in_that_there_is() -> None:
    recorded = {path.stem for path in records.FOLDER.glob("*.json")}
    assert recorded == {*NAMES, Path(records.MODULES).stem}


# What the records notice.


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A case whose value, VERSION and code are recorded."""
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    case = Case("x.y", "1", ("train.blocks.crf",), ("train.blocks.crf",), lambda: None)
    records.write(case, {"loss": [1.5, 2.0], "tags": "O B-PER"})
    records.write_modules([case])
    return case


VALUE = {"loss": [1.5, 2.0], "tags": "O B-PER"}


def test_the_same_value_is_no_finding(recorded: Case) -> None:
    assert records.compare(recorded, VALUE) is None
    # As another processor rounds it.
    assert records.compare(recorded, VALUE | {"loss": (1.501, 2.0)}) is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loss": [1.5, 2.1]}, r"loss\[1\]: 2.0 -> 2.1"),
        ({"tags": "O O"}, "tags: 'O B-PER' -> 'O O'"),
        ({"loss": [1.5]}, r"loss: \[1.5, 2.0\] -> \[1.5\]"),
        ({"new": 1}, "new: new"),
    ],
)
def test_another_value_asks_for_a_version(recorded: Case, changed: dict, message: str) -> None:
    finding = records.compare(recorded, VALUE | changed)
    assert finding.is_a_changed_value
    assert re.search(message, finding.text)
    assert "Raise VERSION in train/blocks/crf.py" in finding.text


def test_a_raised_version_is_recorded(recorded: Case) -> None:
    raised = replace(recorded, version="2")
    finding = records.compare(raised, VALUE | {"tags": "O O"})
    assert not finding.is_a_changed_value and "`make golden`" in finding.text
    records.write(raised, VALUE | {"tags": "O O"})
    assert records.compare(raised, VALUE | {"tags": "O O"}) is None


def test_changed_code_is_to_be_confirmed(recorded: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    source = code.source_of("train.blocks.crf").replace("logsumexp", "amax")
    edit(monkeypatch, "train.blocks.crf", source)
    finding = records.compare(recorded, VALUE)
    assert not finding.is_a_changed_value
    assert "changed (train.blocks.crf)" in finding.text and "confirm" in finding.text


def test_a_new_plug_in_has_to_be_recorded(recorded: Case) -> None:
    finding = records.compare(replace(recorded, name="x.z"), VALUE)
    assert "Run `make golden`" in finding.text


# What counts as code.


def edit(monkeypatch: pytest.MonkeyPatch, module: str, source: str) -> None:
    """Let a module have another text."""
    original = code.source_of
    code.module_digest.cache_clear()
    monkeypatch.setattr(code, "source_of", lambda m: source if m == module else original(m))


SOURCE = """
import torch
from extract.core.errors import DataError

LIMIT = 3

def cut(rows):
    if not rows:
        raise DataError(f"no rows in {rows}")
    return rows[:LIMIT]
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "# At most three.\nLIMIT = 3\n\n"),
        ("LIMIT = 3", 'LIMIT = 3\n"""At most three."""'),
        ("    if not rows", '    """Return the first rows."""\n    if not rows'),
        ("    if not rows", '    logger.info("%d rows", len(rows))\n    if not rows'),
        ("no rows in", "there are no rows in"),
        ("extract.core.errors", "extract.core.refusals"),
    ],
)
def test_words_and_places_do_not_count(old: str, new: str) -> None:
    assert old in SOURCE
    assert code.statements(SOURCE.replace(old, new)) == code.statements(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("[:LIMIT]", "[-LIMIT:]"),
        ("DataError(f", "ValueError(f"),
        ("import torch", "import numpy as torch"),
        ("import DataError", "import StoreError as DataError"),
    ],
)
def test_what_is_computed_counts(old: str, new: str) -> None:
    assert old in SOURCE
    assert code.statements(SOURCE.replace(old, new)) != code.statements(SOURCE)


def test_a_module_may_be_split_and_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    head, tail = SOURCE.split("def cut")
    texts = {"a": SOURCE, "b": "X = 1", "c": head, "d": f"def cut{tail}"}
    monkeypatch.setattr(code, "source_of", texts.__getitem__)
    assert code.code_digest(["a", "b"]) == code.code_digest(["d", "b", "c"])
    assert code.code_digest(["a", "b"]) != code.code_digest(["a"])


@pytest.mark.parametrize(
    ("module", "kinds"),
    [
        ("train.blocks.crf", "systems"),
        ("train.training.optim", "systems"),
        ("train.training.loop", "systems"),
        ("extract.images.decode", "extractors grounding"),
        ("extract.store.writer", "extractors grounding"),
        ("extract.phrases.tweets", "phrases"),
        ("extract.words.image_text", "systems.ita layouts.ita"),
        ("extract.networks.detection", "extractors.regions grounding.faster_rcnn"),
    ],
)
def test_code_that_is_shared_is_behind_all_that_use_it(
    cases: dict[str, Case], module: str, kinds: str
) -> None:
    behind = {name for name in NAMES if module in code.closure(cases[name].entries)}
    expected = {n for n in NAMES for kind in kinds.split() if f"{n}.".startswith(f"{kind}.")}
    # A list of words needs no tweet rules; what is drawn is decoded by nobody.
    assert expected - behind <= {"phrases.type_words"}


# Edits of shared code that change values: each is seen by a plug-in that uses it.


EDITS = {
    "phrases.textblob": (tweets, "_UNSEEN", frozenset({"entity", "mark"})),
    "extractors.pixels": (decode, "_turn_upright", lambda image: image.rotate(180)),
    "extractors.vgg": (decode, "_to_rgb", lambda image: image.convert("RGB")),
    "systems.acn": (loop, "rate_factor", lambda update, n_updates, recipe: 1.0),
    "systems.text_crf": (
        crf.LinearChainCRF,
        "_score",
        lambda self, emissions, *_: emissions.sum((1, 2)),
    ),
    "layouts.ita": (image_text, "split_words", lambda text: text.lower().split(" ")),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_changed_value_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (case,) = (case for case in all_cases(tmp_path) if case.name == name)
    monkeypatch.setattr(*EDITS[name])
    finding = records.compare(case, case.compute())
    assert finding.is_a_changed_value, finding
