"""One command lays every file that the published configuration names."""

from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("ultralytics")

from tests.builders.hub.__main__ import BUILDERS, main

CONFIG = Path(__file__).parents[4] / "workflow/config/published.yaml"


def named_files() -> dict[str, dict[str, Any]]:
    """Return the path of each file that published.yaml names, and its entry of weights."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    found = {entry["path"]: entry for entry in config["weights"].values()}
    options = (model.get("options", {}) for model in config["models"].values())
    vectors = {o["word_vectors"] for o in options if o.get("word_vectors")}
    return {path: found.get(path, {}) for path in (*found, *vectors)}


def is_folder(entry: dict[str, Any]) -> bool:
    """Return whether a hub's tool fetches the entry: a folder of files."""
    return entry.get("fetch", "").startswith("hf download ")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder above `weights/`, with all files in it."""
    folder = tmp_path_factory.mktemp("kit")
    main(["--out", str(folder / "weights")])
    return folder


@pytest.mark.parametrize("path", named_files())
def test_every_file_of_the_published_config_is_built(kit: Path, path: str) -> None:
    assert (kit / path).exists()


def test_nothing_else_is_built() -> None:
    assert {f"weights/{name}" for name in BUILDERS} == set(named_files())


@pytest.mark.parametrize("path", [p for p, e in named_files().items() if is_folder(e)])
def test_a_folder_holds_what_its_fetch_command_names(kit: Path, path: str) -> None:
    words = named_files()[path]["fetch"].split()
    wanted = words[3 : words.index("--local-dir")]
    assert "config.json" in wanted
    assert [file for file in wanted if not (kit / path / file).is_file()] == []


def test_only_what_is_asked_for_is_built(tmp_path: Path) -> None:
    main(["--out", str(tmp_path), "--only", "dino-vitb16"])
    assert [file.name for file in tmp_path.iterdir()] == ["dino-vitb16"]
