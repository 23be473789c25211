"""Options from mappings: conversion, and messages with the place and the near match."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from extract.core.errors import ConfigError
from extract.core.options import convert, options_from


@dataclass(frozen=True)
class Inner:
    size: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Options:
    name: str
    rate: float = 0.5
    layers: int = 2
    is_on: bool = False
    words: tuple[str, ...] = ()
    lr: dict[str, float] = field(default_factory=dict)
    mode: Literal["a", "b"] = "a"
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)
    extra: Any = None

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, got {self.layers}")


def test_values_are_converted() -> None:
    options = options_from(
        Options,
        {
            "name": "x",
            "rate": 1,
            "words": ["u", "v"],
            "lr": {"crf": 1},
            "limit": None,
            "inner": {"size": [3, 4]},
            "extra": [1],
        },
        "spec",
    )
    assert options.rate == 1.0 and isinstance(options.rate, float)
    assert options.words == ("u", "v")
    assert options.lr == {"crf": 1.0} and isinstance(options.lr["crf"], float)
    assert options.inner == Inner((3, 4))
    assert options.extra == [1]
    assert options == options_from(Options, {**vars(options), "inner": {"size": (3, 4)}}, "spec")


@pytest.mark.parametrize(
    ("mapping", "parts"),
    [
        ({"name": "x", "layer": 1}, ["spec", "'layer'", "Did you mean 'layers'?"]),
        ({}, ["spec", "missing key name"]),
        ({"name": 3}, ["spec.name", "expected str", "3 (int)"]),
        ({"name": "x", "layers": True}, ["spec.layers", "expected int", "True (bool)"]),
        ({"name": "x", "layers": 1.5}, ["spec.layers", "expected int"]),
        ({"name": "x", "is_on": 1}, ["spec.is_on", "expected bool"]),
        ({"name": "x", "rate": "5e-6"}, ["spec.rate", "expected float", "5.0e-6"]),
        ({"name": "x", "rate": float("nan")}, ["spec.rate", "finite"]),
        ({"name": "x", "words": "uv"}, ["spec.words", "tuple"]),
        ({"name": "x", "words": [1]}, ["spec.words[0]", "expected str"]),
        ({"name": "x", "lr": {"crf": "x"}}, ["spec.lr.crf", "expected float"]),
        ({"name": "x", "mode": "c"}, ["spec.mode", "'a', 'b'"]),
        ({"name": "x", "limit": "no"}, ["spec.limit", "int | None"]),
        ({"name": "x", "inner": {"siz": [1, 2]}}, ["spec.inner", "Did you mean 'size'?"]),
        ({"name": "x", "inner": {"size": [1]}}, ["spec.inner.size"]),
        ({"name": "x", "layers": 0}, ["spec", "at least 1"]),
    ],
)
def test_a_wrong_mapping_names_place_and_remedy(mapping: dict, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        options_from(Options, mapping, "spec")
    for part in parts:
        assert part in str(caught.value)


def test_a_list_is_not_a_mapping() -> None:
    with pytest.raises(ConfigError, match="spec: expected a mapping"):
        options_from(Options, ["name"], "spec")


def test_minus_zero_is_zero() -> None:
    # Else two equal numbers would have two fingerprints.
    assert str(convert(-0.0, float, "x")) == "0.0"
