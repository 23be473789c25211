"""Configs that are more than settings are refused, with the file, the line or the key."""

import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from extract.core.errors import ConfigError, MissingFileError
from workflow.plan.catalogue import check_config
from workflow.plan.config_files import check_config_files
from workflow.plan.config_values import Validator, check_values

BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 10)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture(scope="module")
def schema(repo_root: Path) -> dict[str, Any]:
    return yaml.safe_load((repo_root / "workflow/schemas/config.schema.yaml").read_text())


@pytest.fixture
def default(repo_root: Path) -> dict[str, Any]:
    return yaml.safe_load((repo_root / "workflow/config/default.yaml").read_text())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: !!python/object/apply:os.system ['touch pwned']\n", r"c\.yaml:2: the tag"),
        ("a: !!python/name:os.system\n", r"c\.yaml:1: the tag"),
        ("a: !include other.yaml\n", r"c\.yaml:1: the tag"),
        ("__use_yte__: true\na: ?1 + 1\n", r"c\.yaml:1: a YAML template"),
        ("run:\n  seeds: [1]\nx: 1\nrun: {}\n", r"c\.yaml:4: the key 'run' is also in line 1"),
        ("a: {b: 1, 'b': 2}\n", r"c\.yaml:1: the key 'b' is also"),
        ("a: [1\n", r"c\.yaml: not YAML"),
        ("a: \x07\n", r"c\.yaml: not YAML"),
        ("[" * 5000, r"c\.yaml: not YAML"),
        ("a: " + "x" * 2_000_000, r"c\.yaml: over 1000000 bytes"),
    ],
)
def test_a_file_that_is_no_plain_settings_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        check_config_files([tmp_path / "c.yaml"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,\n\t"b": {"c": 1, "c": 2}}', r"c\.json: the key 'c' is twice in one mapping"),
        ('{\n\t"__use_yte__": true}', r"c\.json: the key __use_yte__ is for YAML"),
        ("[" * 100_000, r"c\.json: not YAML"),
    ],
)
def test_json_that_is_no_plain_settings_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ConfigError, match=words):
        check_config_files([tmp_path / "c.json"])


@pytest.mark.parametrize(
    "text",
    [
        '{\n\t"run": {\n\t\t"seeds": [1]\n\t},\n\t"a": {"run": 1}\n}\n',
        "a: &a {x: 1}\nb: &b {y: 2}\nc:\n  <<: *a\n  <<: *b\n  z: 3\n",
        "a: &a {x: 1}\nb: &b {y: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n",
    ],
)
def test_what_snakemake_reads_as_plain_settings_is_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    check_config_files([tmp_path / "c"])


def test_the_shipped_configs_are_plain(repo_root: Path, tmp_path: Path) -> None:
    check_config_files(sorted((repo_root / "workflow/config").glob("*.yaml")))
    (tmp_path / "bomb.yaml").write_text(BOMB)
    check_config_files([tmp_path / "bomb.yaml"])  # what it stands for is counted by check_values
    with pytest.raises(MissingFileError):
        check_config_files([tmp_path / "none.yaml"])


def test_a_file_can_be_checked_before_snakemake_reads_it(repo_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"__use_yte__: true\na: ?open({str(tmp_path / 'pwned')!r}, 'w')\n")
    command = [sys.executable, "-m", "workflow.plan.config_files", str(path)]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "template" in done.stderr
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (yaml.safe_load(BOMB), "more than 100000 values"),
        ({1: "x"}, "key 1 is no plain text"),
        ({"a\n": "x"}, r"key 'a\\n' is no plain text"),
        ({"\x1b[2J": "x"}, "is no plain text"),
        ({None: "x"}, "is no plain text"),
        ("x" * 200_000, "over 100000 characters"),
        ("a\0b", "NUL"),
        (yaml.safe_load("2020-01-01"), "got a date"),
        (b"x", "got a bytes"),
    ],
)
def test_values_are_bounded_and_plain(value: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_values({"run": {"options": value}})


def test_a_config_that_holds_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="levels"):
        check_values(yaml.safe_load("&a {b: *a}"))


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a b", "$(touch x)", "a'; touch x; '", "mine\n", "a\nb", "", "é", "-x"]
)
@pytest.mark.parametrize("kind", ["datasets", "feature_sets", "models", "weights", "exports"])
def test_names_of_catalogues_are_plain_words(
    default: dict[str, Any], schema: dict[str, Any], kind: str, name: str
) -> None:
    entries = default.setdefault(kind, {})
    default[kind] = {**entries, name: next(iter(entries.values()), {})}
    with pytest.raises(ConfigError, match=rf"config\.{kind}"):
        check_config(default, schema)


def test_a_pattern_ends_where_the_value_ends(
    default: dict[str, Any], schema: dict[str, Any]
) -> None:
    default["sample"] = {"tweets": "400 100 400\n"}
    with pytest.raises(ConfigError, match=r"config\.sample\.tweets"):
        check_config(default, schema)


@pytest.mark.parametrize(
    ("pattern", "legal", "refused"),
    [
        (r"^a$", "a", "a\n"),
        (r"^a\$$", "a$", "a"),
        (r"^\\$", "\\", "\\\n"),
        (r"^[$a]+$", "a$", "a\n"),
        (r"^[]$]b$", "$b", "b"),
        (r"^[^]$]b$", "ab", "$b"),
    ],
)
def test_only_a_dollar_that_is_the_end_is_the_end(pattern: str, legal: str, refused: str) -> None:
    validator = Validator({"pattern": pattern})
    assert validator.is_valid(legal)
    assert not validator.is_valid(refused)


def test_roles_and_paths_reach_the_shell_as_they_are(repo_root: Path) -> None:
    """The function that makes `--store role=path` quotes both."""
    evil = "a'; touch pwned; '"
    names: dict[str, Any] = {"shlex": shlex}
    for file, function in (("common", "flag"), ("train_inputs", "store_flags")):
        text = (repo_root / f"workflow/rules/{file}.smk").read_text()
        start = text.index(f"def {function}(")
        exec(text[start : text.index("\n\n\n", start)], names)
    names["CATALOGUE"] = SimpleNamespace(model_features=lambda run: {evil: "clip", "$(x)": "y"})
    flags = names["store_flags"](SimpleNamespace(run="r", dataset="d"))
    path = "results/d/features/{}.h5"
    assert shlex.split(flags) == [
        "--store", f"{evil}={path.format('clip')}", "--store", f"$(x)={path.format('y')}",
    ]  # fmt: skip
