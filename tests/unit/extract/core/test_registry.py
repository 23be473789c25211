"""One plug-in is one file: it is found by its name, and a wrong name gets the nearest one."""

from pathlib import Path

import pytest

from extract.core.errors import ConfigError
from extract.core.registry import available, load_module


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    # A name of its own for each test: a package is imported once a process.
    name = f"plugins_{tmp_path.name}"
    folder = tmp_path / name
    folder.mkdir()
    for stem in ("__init__", "base", "vgg", "clip"):
        (folder / f"{stem}.py").write_text(f"NAME = {stem!r}\n")
    (folder / "notes.txt").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_every_file_is_a_plugin(package: str) -> None:
    assert available(package) == ("clip", "vgg")
    assert load_module(package, "vgg").NAME == "vgg"


def test_a_new_file_is_found_by_itself(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "new_one.py").write_text("NAME = 'new'\n")
    assert available(package) == ("clip", "new_one", "vgg")


@pytest.mark.parametrize(
    "name", ["base", "__init__", "VGG", "vgg.py", "../vgg", "notes", "", "v.g"]
)
def test_other_names_are_refused(package: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{package}: no '{name}'; known: clip, vgg"):
        load_module(package, name)


def test_a_near_match_is_suggested(package: str) -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'vgg'\?"):
        load_module(package, "vgg16")


def test_what_the_project_ships_is_there() -> None:
    expected = {
        "corpora.readers": {"conll_imgid", "snap", "twitter2015", "twitter2017"},
        "phrases": {"nltk", "spacy", "textblob"},
        "grounding": {"annotations", "yolo_world"},
        "extractors": {"caption", "caption_list", "clip", "ocr", "pixels", "random", "vgg"},
    }
    for package, names in expected.items():
        assert names <= set(available(f"extract.{package}"))


@pytest.mark.parametrize("name", available("extract.corpora.readers"))
def test_a_dataset_says_where_it_comes_from(name: str) -> None:
    module = load_module("extract.corpora.readers", name)
    for constant in ("CITATION", "LICENCE"):
        assert isinstance(getattr(module, constant), str)
    assert set(module.SPLIT_FILES) in ({"train", "valid", "test"}, {"predict"})
    assert callable(module.iter_samples)
    assert set(module.EXPECTED) in (set(), {"train", "valid", "test"})
