"""The fingerprint of a feature set: same meaning, same print; other meaning, other print."""

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from extract.core.digests import canonical, digest
from extract.core.registry import load_module
from extract.extractors import clip, random
from extract.features.spec import FeatureSpec, define, definition_digest
from extract.grounding import yolo_world
from tests.builders.extract.strategies import TEXT

SHA256 = st.text("0123456789abcdef", min_size=64, max_size=64)
OPTIONS = {
    "dim": st.integers(1, 64),
    "rows": st.integers(1, 9),
    "seed": st.integers(0, 9),
    "source": st.sampled_from(["id", "pixels"]),
    "dtype": st.sampled_from(["float16", "float32"]),
}
SOME_OPTIONS = st.fixed_dictionaries({}, optional=OPTIONS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def reordered(data: st.DataObject, value: Any) -> Any:
    """Return an equal value whose mappings are in another order."""
    if isinstance(value, dict):
        keys = data.draw(st.permutations(list(value)))
        return {key: reordered(data, value[key]) for key in keys}
    return [reordered(data, item) for item in value] if isinstance(value, list) else value


@given(JSON, st.data())
def test_the_order_of_keys_says_nothing(value: Any, data: st.DataObject) -> None:
    assert digest(reordered(data, value)) == digest(value)


@given(JSON, JSON)
def test_other_values_have_other_prints(a: Any, b: Any) -> None:
    # JSON's own comparison: 1, 1.0 and true are three values to it.
    assert (digest(a) == digest(b)) == (canonical(a) == canonical(b))
    assume(a != b)
    assert digest(a) != digest(b)


def fingerprints(
    extractor: str, options: dict[str, Any], weights: dict[str, Any] | None = None, **reads: str
) -> tuple[str, str]:
    """Return the fingerprints of the definition, and of the spec that is made of it."""
    names = {role: f"{role}_weights" for role in weights or {}}
    catalogue = {names[role]: entry for role, entry in (weights or {}).items()}
    definition = {"extractor": extractor, "options": options, "weights": names}
    found = define("a", definition, catalogue, reads)
    sums = {role: {**e, "sha256": e["sha256"].lower()} for role, e in found["weights"].items()}
    return definition_digest(found), FeatureSpec(**{**found, "weights": sums}).fingerprint


@given(SOME_OPTIONS)
def test_a_default_is_the_same_written_out_or_not(options: dict[str, Any]) -> None:
    written = {**vars(random.Options()), **options}
    assert fingerprints("random", written) == fingerprints("random", options)


@given(SOME_OPTIONS, st.sampled_from(sorted(OPTIONS)), st.data())
def test_every_option_counts(options: dict[str, Any], name: str, data: st.DataObject) -> None:
    before = {**vars(random.Options()), **options}
    value = data.draw(OPTIONS[name].filter(lambda value: value != before[name]))
    pairs = zip(
        fingerprints("random", {**options, name: value}),
        fingerprints("random", options),
        strict=True,
    )
    assert all(a != b for a, b in pairs)


def of_detector(**options: Any) -> tuple[str, str]:
    weights = {"detector": {"sha256": "0" * 64}, "text": {"sha256": "1" * 64}}
    return fingerprints("yolo_world", options, weights)


@given(st.integers(0, 1))
def test_a_number_is_the_same_as_int_and_as_float(number: int) -> None:
    assert of_detector(threshold=number) == of_detector(threshold=float(number))
    assert of_detector(threshold=-0.0) == of_detector(threshold=0)


@given(st.floats(0, 1), st.floats(0, 1))
def test_other_numbers_count_to_the_last_bit(a: float, b: float) -> None:
    assert (of_detector(threshold=a) == of_detector(threshold=b)) == (a == b)


PLACE = st.fixed_dictionaries(
    {}, optional={"path": TEXT, "fetch": TEXT, "revision": TEXT, "package": TEXT}
)


def of_tower(sha256: str, place: dict[str, Any], **reads: str) -> tuple[str, str]:
    return fingerprints("clip", {}, {"vision": {**place, "sha256": sha256}}, **reads)


@given(SHA256, PLACE, PLACE)
def test_the_place_of_weights_of_known_checksum_says_nothing(
    sha256: str, place: dict[str, Any], other: dict[str, Any]
) -> None:
    assert of_tower(sha256, place) == of_tower(sha256.upper(), other)


@given(SHA256, SHA256, PLACE)
def test_other_weights_count(a: str, b: str, place: dict[str, Any]) -> None:
    assume(a != b)
    assert all(x != y for x, y in zip(of_tower(a, place), of_tower(b, place), strict=True))


@given(SHA256, SHA256)
def test_what_is_read_counts(a: str, b: str) -> None:
    for x, y in zip(of_tower("0" * 64, {}, boxes=a), of_tower("0" * 64, {}, boxes=b), strict=True):
        assert (x == y) == (a == b)
    assert of_tower("0" * 64, {}, boxes=a) != of_tower("0" * 64, {}, phrases=a)


@given(SOME_OPTIONS, st.integers(1, 9))
def test_the_version_counts(options: dict[str, Any], more: int) -> None:
    module = load_module("extract.extractors", "random")
    before = fingerprints("random", options)
    module.VERSION += more
    try:
        assert all(a != b for a, b in zip(before, fingerprints("random", options), strict=True))
    finally:
        module.VERSION -= more


def test_the_plugins_of_these_tests_have_roles_as_assumed() -> None:
    assert set(clip.Extractor.roles) == {"vision"}
    assert set(yolo_world.Extractor.roles) == {"detector", "text"}
