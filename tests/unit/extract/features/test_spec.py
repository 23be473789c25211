"""Same meaning, same fingerprint; other meaning, other fingerprint."""

import json
import random
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extract.__main__ import main
from extract.core.digests import canonical, digest
from extract.core.errors import ConfigError, DataError, MissingFileError
from extract.extractors import vgg
from extract.features.spec import (
    FeatureSpec,
    complete_spec,
    define,
    definition_digest,
    load_plugin,
    read_spec,
)

# sha256 of b"abc", FIPS 180-2, appendix B.1.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

CATALOGUE = {
    "tower": {"path": "/models/tower", "sha256": ABC},
    "moved": {"path": "/elsewhere/tower", "sha256": ABC.upper(), "fetch": "get it"},
    "other": {"path": "/models/tower", "sha256": "0" * 64},
    "place": {"path": "/models/tower"},
    "place_2": {"path": "/elsewhere/tower"},
    "place_3": {"path": "/models/tower", "fetch": "get it", "sha256": None},
    "made": {"random": {"kind": "vgg"}, "seed": 1},
    "made_2": {"random": {"kind": "vgg"}, "seed": 2},
}


def define_vgg(
    options: dict[str, Any] | None = None,
    weights: str = "tower",
    *,
    name: str = "x",
    reads: dict[str, str] | None = None,
    **runtime: Any,
) -> dict[str, Any]:
    entry = {"extractor": "vgg", "weights": {"vision": weights}, **runtime}
    entry |= {} if options is None else {"options": options}
    return define(name, entry, CATALOGUE, reads or {})


def print_of(*arguments: Any, **more: Any) -> str:
    return definition_digest(define_vgg(*arguments, **more))


def test_canonical_json_has_one_form() -> None:
    value = {"b": [1, 2.5, None, True], "a": {"é": "x", "c": 1}}
    assert canonical(value) == '{"a":{"c":1,"é":"x"},"b":[1,2.5,null,true]}'
    assert digest("abc") == digest("abc")
    assert digest("") == "12ae32cb1ec02d01eda3581b127c1fee3b0dc53572ed6baf239721a03d82e126"


def test_the_same_meaning_gives_the_same_fingerprint() -> None:
    defaults = json.loads(json.dumps(vars(vgg.Options())))
    keys = list(defaults)
    random.Random(1).shuffle(keys)
    same = [
        print_of(),
        print_of({}),
        print_of(defaults),
        print_of({key: defaults[key] for key in keys}),
        print_of({keys[0]: defaults[keys[0]]}),
        print_of(name="another_name"),
        print_of(runtime={"batch_size": 99}),
        # The same bytes, stated by their checksum, from another place.
        print_of(None, "moved"),
    ]
    assert len(set(same)) == 1


def test_another_meaning_gives_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = [
        print_of(),
        print_of({"stride_px": 16}),
        print_of(None, "other"),
        # Without a checksum, the place is all that is known.
        print_of(None, "place"),
        print_of(None, "place_2"),
        print_of(None, "made"),
        print_of(None, "made_2"),
        print_of(reads={"boxes": "1"}),
        print_of(reads={"boxes": "2"}),
        print_of(reads={"phrases": "1"}),
        definition_digest(define("x", {"extractor": "random"}, {}, {})),
        definition_digest(define("x", {"extractor": "pixels"}, {}, {})),
    ]
    monkeypatch.setattr(vgg, "VERSION", vgg.VERSION + 1)
    prints.append(print_of())
    assert len(set(prints)) == len(prints)
    assert print_of(None, "place") == print_of(None, "place_3")


def test_mistakes_get_the_near_match() -> None:
    with pytest.raises(ConfigError, match=r"no extractor or grounder 'vg'.*Did you mean 'vgg'"):
        define("x", {"extractor": "vg"}, {}, {})
    with pytest.raises(ConfigError, match=r"x\.options: unknown key 'strid_px'.*'stride_px'"):
        define_vgg({"strid_px": 1})
    with pytest.raises(ConfigError, match=r"x\.weights\.vision: no weights entry 'towr'.*'tower'"):
        define_vgg(weights="towr")
    with pytest.raises(ConfigError, match=r"vgg needs the roles \['vision'\], got none"):
        define("x", {"extractor": "vgg"}, CATALOGUE, {})
    with pytest.raises(ConfigError, match=r"random needs the roles none, got \['vision'\]"):
        define("x", {"extractor": "random", "weights": {"vision": "tower"}}, CATALOGUE, {})


@pytest.mark.parametrize(
    ("name", "package"),
    [("vgg", "extractors"), ("yolo_world", "grounding"), ("textblob", "phrases")],
)
def test_plugins_of_three_packages_have_specs(name: str, package: str) -> None:
    assert load_plugin(name)[0] == f"extract.{package}"


# ---- specs: definitions with the checksums of real files ----


@pytest.fixture
def tower(tmp_path: Path) -> Path:
    path = tmp_path / "tower.bin"
    path.write_bytes(b"abc")
    return path


def complete(tower: Path, **changed: Any) -> FeatureSpec:
    weights = {"vision": {"name": "tower", "path": str(tower)}}
    return complete_spec({"name": "x", "extractor": "vgg", "weights": weights, **changed})


def test_a_spec_has_the_checksum_of_the_weights(tower: Path) -> None:
    spec = complete(tower)
    assert spec.weights["vision"]["sha256"] == ABC
    assert spec.version == vgg.VERSION
    assert spec.options == json.loads(json.dumps(vars(vgg.Options())))


def test_a_spec_is_of_bytes_not_of_places(tower: Path, tmp_path: Path) -> None:
    before = complete(tower).fingerprint
    moved = tower.rename(tmp_path / "moved.bin")
    weights = {"vision": {"name": "other", "path": str(moved), "sha256": ABC, "fetch": "x"}}
    assert complete(moved).fingerprint == before
    assert complete(moved, weights=weights).fingerprint == before
    assert complete(moved, name="other").fingerprint == before
    moved.write_bytes(b"abd")
    assert complete(moved).fingerprint != before
    with pytest.raises(ConfigError, match=rf"moved\.bin: 3 bytes with sha256 .*expects {ABC}.*`x`"):
        complete(moved, weights=weights)
    moved.unlink()
    with pytest.raises(MissingFileError, match=r"weights\.tower: .*moved\.bin"):
        complete(moved)


def test_everything_that_decides_values_is_in_the_fingerprint(tower: Path) -> None:
    spec = complete(tower)
    others = [
        replace(spec, extractor="clip"),
        replace(spec, version=99),
        replace(spec, options={**spec.options, "stride_px": 16}),
        replace(spec, weights={"vision": {**spec.weights["vision"], "sha256": "0"}}),
        replace(spec, weights={"other": spec.weights["vision"]}),
        replace(spec, reads={"boxes": "1"}),
    ]
    assert len({spec.fingerprint, *(other.fingerprint for other in others)}) == 7


def test_a_definition_may_leave_out_what_is_default(tower: Path) -> None:
    filled = define("x", {"extractor": "vgg", "weights": {"vision": "t"}}, {"t": {"path": "p"}}, {})
    filled["weights"] = {"vision": {"name": "t", "path": str(tower)}}
    assert complete_spec(filled) == replace(complete(tower), weights=complete_spec(filled).weights)
    assert complete_spec(filled).fingerprint == complete(tower).fingerprint


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"version": 77}, "vgg is at VERSION 1, the definition is for 77"),
        ({"option": {}}, "definition: unknown key 'option'.*Did you mean 'options'"),
        ({"options": {"stride": 1}}, "unknown key 'stride'"),
        ({"extractor": 3}, "definition.extractor: expected str"),
        ({"weights": {}}, "needs the roles"),
    ],
)
def test_a_definition_is_checked(tower: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        complete(tower, **changed)


def test_provenance_has_no_path(tower: Path) -> None:
    shown = complete(tower).provenance()
    assert str(tower.parent) not in json.dumps(shown)
    assert shown["weights"] == {"vision": {"name": "tower", "sha256": ABC}}
    assert shown["fingerprint"] == complete(tower).fingerprint


# ---- spec files ----


def write(folder: Path, definition: dict[str, Any]) -> Path:
    out = folder / "spec.json"
    assert main(["spec", "--definition", json.dumps(definition), "--out", str(out)]) == 0
    return out


def test_a_spec_file_is_read_back(tower: Path, tmp_path: Path) -> None:
    weights = {"vision": {"name": "tower", "path": str(tower)}}
    path = write(tmp_path, {"name": "x", "extractor": "vgg", "weights": weights})
    assert read_spec(path) == complete(tower)
    before = path.read_bytes()
    definition = tmp_path / "definition.json"
    definition.write_text(json.dumps({"weights": weights, "extractor": "vgg", "name": "x"}))
    assert main(["spec", "--definition", f"@{definition}", "--out", str(path)]) == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 2),
        ("extractor", "pixels"),
        ("options", {"dim": 7}),
        ("reads", {"boxes": "x"}),
        ("fingerprint", "0" * 64),
        ("fingerprint", None),
    ],
)
def test_a_spec_edited_by_hand_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    path = write(tmp_path, {"name": "x", "extractor": "random"})
    record = json.loads(path.read_text())
    assert record[key] != value
    path.write_text(json.dumps({**record, key: value}))
    with pytest.raises(DataError, match=r"spec\.json: was edited by hand"):
        read_spec(path)


def test_a_moved_weights_path_may_be_edited(tower: Path, tmp_path: Path) -> None:
    weights = {"vision": {"name": "tower", "path": str(tower)}}
    path = write(tmp_path, {"name": "x", "extractor": "vgg", "weights": weights})
    record = json.loads(path.read_text())
    changed = deepcopy(record)
    changed["weights"]["vision"]["path"] = "elsewhere"
    path.write_text(json.dumps(changed))
    assert read_spec(path).weights["vision"]["path"] == "elsewhere"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"name": "x"}', b'{"a": 1}', b"\xff"])
def test_what_is_no_spec_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "spec.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"spec\.json: is not a spec"):
        read_spec(path)
    with pytest.raises(MissingFileError, match="python -m extract spec"):
        read_spec(tmp_path / "none.json")
