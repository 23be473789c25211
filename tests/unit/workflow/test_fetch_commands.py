"""Every command that a config, a page or a message tells users to type, as the tool reads it."""

import re
import shlex
from pathlib import Path
from typing import Any

import huggingface_hub.cli.download as hf_download
import pytest
import yaml
from click.testing import CliRunner
from huggingface_hub.cli.hf import app

from extract.core.errors import MissingFileError
from extract.networks.weights import resolve_weights

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted((ROOT / "workflow/config").glob("*.yaml"))
WEIGHTS = {"model.safetensors", "pytorch_model.bin"}
# Roles whose networks read text, and those that read images.
TEXT = {"encoder", "text", "clip", "captioner"}
IMAGES = {"vision", "dino", "clip", "captioner"}


def entries() -> dict[str, dict[str, Any]]:
    """Return the weights entries with a command, of every shipped config."""
    found = {}
    for path in CONFIGS:
        weights = yaml.safe_load(path.read_text(encoding="utf-8")).get("weights") or {}
        found |= {name: entry for name, entry in weights.items() if "fetch" in entry}
    return found


def roles_of(name: str) -> set[str]:
    """Return the roles in which the shipped configs use a weights entry."""
    used = set()
    for path in CONFIGS:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        for kind in ("feature_sets", "models"):
            for entry in (config.get(kind) or {}).values():
                used |= {role for role, given in entry.get("weights", {}).items() if given == name}
    return used


def quoted_commands() -> list[str]:
    """Return the downloads that pages, code and messages quote."""
    places = [ROOT / "README.md", *(ROOT / "data").glob("*.md"), ROOT / "train/README.md"]
    places += [path for part in ("extract", "train") for path in (ROOT / part).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in [*places, *CONFIGS]]
    return [" ".join(c.split()) for t in texts for c in re.findall(r"`(hf download [^`]*)`", t)]


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what the command line of huggingface_hub asks its functions for."""
    asked: list[dict[str, Any]] = []

    def snapshot(**given: Any) -> str:
        asked.append(given)
        return "folder"

    def one_file(**given: Any) -> str:
        asked.append({**given, "allow_patterns": [given["filename"]], "ignore_patterns": None})
        return "file"

    monkeypatch.setattr(hf_download, "snapshot_download", snapshot)
    monkeypatch.setattr(hf_download, "hf_hub_download", one_file)
    return asked


def typed(command: str, downloads: list[dict[str, Any]]) -> dict[str, Any]:
    """Type a command; return what is asked of the hub."""
    name, *words = shlex.split(command)
    assert name == "hf"
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "Ignoring" not in result.output
    return downloads.pop()


def names_only(command: str, downloads: list[dict[str, Any]]) -> list[str]:
    """Return the files that a command fetches; it names each of them."""
    asked = typed(command, downloads)
    names = asked["allow_patterns"]
    assert names and asked["ignore_patterns"] is None
    assert not re.search(r"[*?\[]|--|/$", " ".join(names)), command
    assert not re.search(r"--(include|exclude)", command), command
    return names


FOLDERS = [name for name, entry in entries().items() if entry["fetch"].startswith("hf ")]
FILES = [name for name in entries() if name not in FOLDERS]


def test_most_checkpoints_come_from_the_hub() -> None:
    assert len(FOLDERS) >= 5 and len(FILES) >= 4


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_arrives_with_all_that_its_roles_read(
    name: str, downloads: list[dict[str, Any]]
) -> None:
    entry, roles = entries()[name], roles_of(name)
    names = names_only(entry["fetch"], downloads)
    assert typed(entry["fetch"], downloads)["local_dir"] == entry["path"]
    assert len(set(names)) == len(names)
    assert "config.json" in names
    assert len(WEIGHTS & set(names)) == 1
    assert roles
    if roles & TEXT:
        assert {"tokenizer.json", "tokenizer_config.json"} <= set(names)
    if roles & IMAGES:
        assert "preprocessor_config.json" in names


@pytest.mark.parametrize("name", FILES)
def test_a_file_arrives_where_its_entry_looks(name: str) -> None:
    entry = entries()[name]
    tool, options, create, flag, path, address = shlex.split(entry["fetch"])
    # Without -f the page of an error would be saved as the checkpoint.
    assert (tool, options, create, flag) == ("curl", "-fL", "--create-dirs", "-o")
    assert path == entry["path"]
    assert address.startswith("https://") and address.rpartition("/")[2] == Path(path).name


def test_quoted_commands_name_their_files(downloads: list[dict[str, Any]]) -> None:
    for command in quoted_commands():
        assert names_only(command, downloads)


@pytest.mark.parametrize("name", FOLDERS)
def test_the_message_of_an_absent_folder_can_be_typed(
    name: str,
    downloads: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    entry = {**entries()[name], "sha256": "0" * 64}
    with pytest.raises(MissingFileError) as caught:
        resolve_weights(entry, name)
    (command,) = re.findall("Get it: `([^`]*)`", str(caught.value))
    assert command == entry["fetch"]
    assert names_only(command, downloads)


@pytest.mark.parametrize(
    "command",
    ['hf download a/b --include "*.json" "*.txt"', 'hf download a/b --exclude "*.h5" "*.msgpack"'],
)
def test_a_list_after_one_option_would_be_seen(
    command: str, downloads: list[dict[str, Any]]
) -> None:
    """The installed parser takes one value an option; what follows would be file names."""
    with pytest.raises(AssertionError), pytest.warns(UserWarning, match="Ignoring"):
        names_only(command, downloads)
