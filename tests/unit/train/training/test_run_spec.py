"""Recipes, run specs, roles and learning rates."""

import json
from pathlib import Path

import pytest

from extract.core.errors import ConfigError, MissingFileError
from train.commands.arguments import parse_roles
from train.training.recipe import Recipe, rate_of
from train.training.run_spec import RunSpec, check_roles, check_weights_roles, read_run_spec


def write(path: Path, mapping: dict) -> Path:
    path.write_text(json.dumps(mapping), encoding="utf-8")
    return path


def test_a_spec_is_read_with_its_recipe(tmp_path: Path) -> None:
    recipe = {"epochs": 3, "lr": {"encoder": 5e-6, "crf": 1}, "precision": "bf16"}
    mapping = {"run": "ita", "system": "ita", "recipe": recipe, "features": {"text": "ocr"}}
    spec = read_run_spec(write(tmp_path / "s.json", mapping))
    assert spec.variant == "main" and spec.options == {} and spec.features == {"text": "ocr"}
    assert spec.recipe == Recipe(epochs=3, lr={"encoder": 5e-6, "crf": 1.0}, precision="bf16")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"varant": "main"}, "Did you mean 'variant'"),
        ({"variant": "shufled"}, "Did you mean 'shuffled'"),
        ({"variant": "without"}, r"variant must be main, .* or without_<role>, got 'without'"),
        ({"recipe": {"epoch": 3}}, r"recipe.*Did you mean 'epochs'"),
        ({"recipe": {"epochs": 0}}, "epochs must be at least 1"),
        ({"recipe": {"clip": -1}}, "clip must not be negative"),
        ({"recipe": {"warmup": 1.5}}, "fraction"),
        ({"recipe": {"lr": {"crf": -1}}}, r"lr\.crf"),
        ({"recipe": {"lr": "5e-6"}}, r"recipe\.lr"),
        ({"recipe": {"eps": 0}}, "eps"),
    ],
)
def test_typos_and_ranges(tmp_path: Path, changes: dict, message: str) -> None:
    path = write(tmp_path / "s.json", {"run": "r", "system": "s", **changes})
    with pytest.raises(ConfigError, match=message):
        read_run_spec(path)


def test_unreadable_specs(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such run spec"):
        read_run_spec(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{\n'", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.json:2: not JSON"):
        read_run_spec(tmp_path / "bad.json")
    with pytest.raises(ConfigError, match="missing key system"):
        read_run_spec(write(tmp_path / "s.json", {"run": "r"}))


def test_weights_are_those_of_the_roles() -> None:
    check_weights_roles("ita", ("encoder",), ["encoder"])
    with pytest.raises(ConfigError, match=r"ita\.weights: needs the roles encoder, got none"):
        check_weights_roles("ita", ("encoder",), [])
    with pytest.raises(ConfigError, match="needs the roles none, got encoder"):
        check_weights_roles("acn", (), ["encoder"])


def test_stores_and_roles() -> None:
    parsed = parse_roles(["a=x=y.h5", "b=z.h5"], "--store")
    assert parsed == {"a": Path("x=y.h5"), "b": Path("z.h5")}
    for wrong, message in ((["a"], "expected role=path"), (["a=x", "a=y"], "twice")):
        with pytest.raises(ConfigError, match=message):
            parse_roles(wrong, "--store")
    needed = {"captions": "captions, best first"}
    check_roles("ita", needed, {"captions": "x"})
    with pytest.raises(ConfigError, match="captions \\(captions, best first\\)"):
        check_roles("ita", needed, {})
    with pytest.raises(ConfigError, match="Did you mean 'captions'"):
        check_roles("ita", needed, {"caption": "x"})


def test_rates() -> None:
    groups = ["encoder", "head", "gate"]
    lr = {"encoder": 1e-5, "default": 1e-3, "crf": 0.05}
    assert rate_of("encoder", lr, groups) == 1e-5
    assert rate_of("gate", lr, groups) == 1e-3
    with pytest.raises(ConfigError, match="Did you mean 'gate'"):
        rate_of("head", {"gates": 1.0, "default": 1.0}, groups)
    with pytest.raises(ConfigError, match="no rate for the group 'head'"):
        rate_of("head", {"encoder": 1.0}, groups)


def test_a_spec_names_run_and_system_only() -> None:
    assert RunSpec("r", "s") == RunSpec("r", "s", "main", {}, Recipe(), {})
