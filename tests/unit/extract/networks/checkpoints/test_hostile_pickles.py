"""Foreign files with code in them are refused before anything of it runs."""

import errno
import json
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from extract.core.errors import DataError, MissingFileError
from extract.core.system import NamedSystemError
from extract.interop.crop_archives import load_dictionary
from extract.networks.checkpoints.reading import from_folder, load_pretrained, read_tensors
from extract.networks.checkpoints.torch_files import first_line
from tests.builders.extract.evil_pickles import FORMATS, Evil, as_compressed, as_legacy, as_zip
from train.systems.ita import released_checkpoint
from train.training.run_folder.conversion import read_state

LOADERS: dict[str, Callable[[Path], Any]] = {
    "checkpoint": read_tensors,
    "crop dictionary": load_dictionary,
    "state dict": read_state,
}


def image_tensors(path: Path) -> Any:
    """Read through the importer of `img_vgg_features.pt`."""
    from extract.interop.artefacts import vgg_pt

    return vgg_pt._load(path)


def yolo(path: Path) -> Any:
    """Read through the grounder; needs ultralytics."""
    pytest.importorskip("ultralytics")
    from extract.grounding.yolo_world import load_detector

    return load_detector(path, "cpu")


LOADERS |= {"image tensors": image_tensors, "yolo": yolo}


def assert_no_unsafe_advice(error: Exception) -> None:
    """Libraries advise, in their messages, to run what is in a file or to name it safe."""
    advice = r"weights_only|safe_globals|trust_remote_code|trusted|arbitrary code|yolo26"
    assert not re.search(advice, str(error)), error


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "Weights only load failed. In PyTorch 2.6, we changed the default value of the "
            "`weights_only` argument in `torch.load` from `False` to `True`. Re-running "
            "`torch.load` with `weights_only` set to `False` will likely succeed.\n"
            "Please file an issue: WeightsUnpickler error: Unsupported global: GLOBAL a.b was not "
            "an allowed global by default. Please use `torch.serialization.add_safe_globals([b])`.",
            "Unsupported global: GLOBAL a.b was not an allowed global by default",
        ),
        (
            "Cannot use ``weights_only=True`` with TorchScript archives. In PyTorch 2.6, we "
            "changed the default of `weights_only`. It can result in arbitrary code execution.",
            "RuntimeError",
        ),
        ("\x1b[31mThe repository has code.\x1b[0m Pass `trust_remote_code=True`.", "The repository"
         " has code"),
        ("unexpected EOF, expected 5 more bytes. The file might be corrupted.", "unexpected EOF,"
         " expected 5 more bytes. The file might be corrupted"),
        ("", "RuntimeError"),
    ],
)  # fmt: skip
def test_what_a_library_says_is_quoted_without_its_advice(text: str, kept: str) -> None:
    assert first_line(RuntimeError(text)) == kept


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "pwned"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("loader", LOADERS)
def test_code_in_a_torch_file_does_not_run(
    tmp_path: Path, marker: Path, loader: str, form: str
) -> None:
    path = tmp_path / "foreign.pth"
    FORMATS[form](path, {"a": torch.zeros(2), "b": Evil(marker)})
    with pytest.raises(DataError, match=r"foreign\.pth") as caught:
        LOADERS[loader](path)
    assert not marker.exists()
    assert_no_unsafe_advice(caught.value)


@pytest.mark.parametrize("form", FORMATS)
def test_ita_keeps_code_inert(tmp_path: Path, marker: Path, form: str) -> None:
    """Its checkpoints are pickles of live objects, of which nothing is called."""
    path = tmp_path / "best-model.pt"
    FORMATS[form](path, {"state_dict": {}, "tag_dictionary": Evil(marker), "x": Evil(marker)})
    with pytest.raises(DataError, match=r"best-model\.pt") as caught:
        released_checkpoint.read_checkpoint(path)
    assert not marker.exists()
    assert_no_unsafe_advice(caught.value)


def test_a_high_place_of_the_memo_takes_no_memory(tmp_path: Path) -> None:
    as_legacy(tmp_path / "best-model.pt", {"state_dict": {}})
    data = (tmp_path / "best-model.pt").read_bytes()
    # BINPUT 0 becomes LONG_BINPUT 2**24 - 1.
    high = data.replace(b"}q\x00", b"}r\xff\xff\xff\x00")
    assert high != data
    (tmp_path / "best-model.pt").write_bytes(high)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"best-model\.pt: expected a dict with state_dict"):
        released_checkpoint.read_checkpoint(tmp_path / "best-model.pt")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("write", [as_zip, as_legacy])
@pytest.mark.parametrize("n_more", [0, 300])
def test_what_torch_saves_is_read(tmp_path: Path, write: Callable[..., None], n_more: int) -> None:
    more = {f"x{i}": torch.zeros(1) for i in range(n_more)}
    write(tmp_path / "a.pth", {"w": torch.arange(3), **more})
    assert read_tensors(tmp_path / "a.pth")["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("reader", [read_tensors, released_checkpoint.read_checkpoint])
@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), NamedSystemError, "a.pth"),
        (RuntimeError("open failed, strerror: Input/output error"), NamedSystemError, "a.pth"),
        (MemoryError(), DataError, "takes more memory than there is"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), DataError, "more memory"),
        (OSError("no tensors"), DataError, "torch"),
    ],
)
def test_what_was_not_read_is_not_called_a_pickle(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reader: Callable[[Path], Any],
    error: Exception,
    raised: type[Exception],
    message: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    as_zip(tmp_path / "a.pth", {"w": torch.arange(3)})
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(raised, match=message) as caught:
        reader(tmp_path / "a.pth")
    assert ("run code" in str(caught.value)) == (message == "torch" and reader is read_tensors)


def test_an_archive_that_was_not_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    as_zip(tmp_path / "a.pth", {"w": torch.arange(3)})
    monkeypatch.setattr(zipfile, "is_zipfile", fail)
    with pytest.raises(NamedSystemError) as caught:
        read_tensors(tmp_path / "a.pth")
    assert caught.value.filename == str(tmp_path / "a.pth")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    as_compressed(path, {"w": torch.zeros(5_000_000)})
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"bomb\.pth: .*compressed archive"):
        read_tensors(path)


def as_stored(directory: bytes) -> bytes:
    """Return a central directory that calls all of its parts uncompressed and small."""
    changed, at = bytearray(directory), 0
    while at < len(changed):
        changed[at + 10 : at + 12] = b"\0\0"
        changed[at + 20 : at + 28] = struct.pack("<II", 1, 1)
        at += 46 + sum(struct.unpack_from("<HHH", changed, at + 28))
    return bytes(changed)


def two_directories(data: bytes) -> bytes:
    """`zipfile` reads the second, as it counts from the end; torch counts from the beginning."""
    end = data.rindex(b"PK\5\6")
    _, start = struct.unpack_from("<II", data, end + 12)
    return data[:end] + as_stored(data[start:end]) + data[end:]


def two_zip64_records(data: bytes) -> bytes:
    """`zipfile` reads the second, as it stands before its locator; torch goes where that points."""
    end = data.rindex(b"PK\5\6")
    (n_parts,) = struct.unpack_from("<H", data, end + 10)
    length, start = struct.unpack_from("<II", data, end + 12)

    def record(start: int) -> bytes:
        numbers = (44, 45, 45, 0, 0, n_parts, n_parts, length, start)
        return struct.pack("<4sQ2H2I4Q", b"PK\6\6", *numbers)

    first = data[:end] + record(start)
    second = first + as_stored(data[start:end]) + record(len(first))
    return second + struct.pack("<4sIQI", b"PK\6\7", 0, end, 1) + data[end:]


def half_a_record_more(data: bytes) -> bytes:
    """`zipfile` finds no archive, torch the whole record before."""
    return data + b"PK\5\6"


@pytest.mark.parametrize("hide", [two_directories, two_zip64_records, half_a_record_more])
def test_a_zip_bomb_is_not_hidden_from_the_check(
    tmp_path: Path, hide: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "bomb.pth"
    as_compressed(path, {"w": torch.zeros(5_000_000)})
    path.write_bytes(hide(path.read_bytes()))
    # Torch itself unpacks it.
    assert len(torch.load(path, weights_only=True)["w"]) == 5_000_000
    with pytest.raises(DataError, match=r"bomb\.pth: .*(parts ends where|no end)"):
        read_tensors(path)


CLIP = {
    "model_type": "clip_vision_model", "architectures": ["CLIPVisionModel"], "hidden_size": 8,
    "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "image_size": 8,
    "patch_size": 4,
}  # fmt: skip


def make_folder(folder: Path, **files: object) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_a_bin_with_code_is_refused_by_name(tmp_path: Path, marker: Path) -> None:
    from transformers import CLIPVisionModel

    folder = make_folder(tmp_path / "clip", config=CLIP)
    as_zip(folder / "pytorch_model.bin", {"w": Evil(marker)})
    with pytest.raises(DataError, match=r"clip: .*run code.*safetensors") as caught:
        load_pretrained(CLIPVisionModel, folder)
    assert not marker.exists()
    assert_no_unsafe_advice(caught.value)


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "a/b.bin", "..", 7, "x\0y"]
)
@pytest.mark.parametrize("index", ["model.safetensors.index", "pytorch_model.bin.index"])
def test_parts_of_a_checkpoint_are_files_of_its_folder(
    tmp_path: Path, index: str, name: object
) -> None:
    from transformers import CLIPVisionModel

    folder = make_folder(tmp_path / "clip", config=CLIP, **{index: {"weight_map": {"w": name}}})
    with pytest.raises(DataError, match=r"index\.json: the part .* is not a file name"):
        load_pretrained(CLIPVisionModel, folder)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", '{"weight_map": []}'])
def test_an_index_that_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    folder = make_folder(tmp_path / "clip", config=CLIP)
    (folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(DataError, match=r"model\.safetensors\.index\.json"):
        from_folder(lambda *_, **__: None, folder)


@pytest.mark.parametrize("kind", ["AutoConfig", "AutoModel", "AutoTokenizer", "AutoImageProcessor"])
def test_code_of_a_checkpoint_does_not_run(tmp_path: Path, marker: Path, kind: str) -> None:
    import transformers

    classes = {"AutoConfig": "code.C", "AutoModel": "code.M"}
    config = {"model_type": "evil", "auto_map": classes}
    tokenizer = {"auto_map": {"AutoTokenizer": ["code.T", None]}, "tokenizer_class": "T"}
    processor = {"auto_map": {"AutoImageProcessor": "code.P"}, "image_processor_type": "P"}
    folder = make_folder(
        tmp_path / "evil",
        config=config,
        tokenizer_config=tokenizer,
        preprocessor_config=processor,
    )
    (folder / "code.py").write_text(f"open({str(marker)!r}, 'w')\nclass C: pass\nM = T = P = C\n")
    with pytest.raises(DataError, match=r"evil: .*Python code of its own"):
        from_folder(getattr(transformers, kind).from_pretrained, folder)
    assert not marker.exists()


def test_checkpoints_are_opened_by_the_two_guarded_functions_alone(repo_root: Path) -> None:
    """No other module calls the loaders that could run code, but for ITA's inert one."""
    pattern = re.compile(
        r"\.from_pretrained\(|torch\.load\(|pickle\.loads?\(|np\.load\(|joblib|trust_remote_code"
    )
    found = {
        path.relative_to(repo_root).as_posix()
        for package in ("extract", "train")
        for path in (repo_root / package).rglob("*.py")
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    assert found == {
        "extract/networks/checkpoints/reading.py",
        "extract/networks/checkpoints/torch_files.py",
        "train/systems/ita/released_checkpoint.py",
    }


def test_a_pickled_tagger_is_not_read(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nltk")
    import pickle

    import nltk

    from extract.phrases.nltk import Backend, Options

    for name in ("averaged_perceptron_tagger", "averaged_perceptron_tagger_eng"):
        folder = tmp_path / "taggers" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(Evil(marker)))
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(MissingFileError, match="averaged_perceptron_tagger_eng"):
        Backend(Options()).load(None)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('[nlp]\nlang = "en"\npipeline = ["t"]\n[components]\n[components.t]\nsource = "evil"\n',
         "takes t from another package"),
        ("[[[", "is no pipeline's"),
    ],
)  # fmt: skip
def test_a_pipeline_imports_no_other(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, config: str, words: str
) -> None:
    pytest.importorskip("spacy")
    from extract.phrases.spacy import Backend, Options

    package = tmp_path / "evil"
    package.mkdir()
    (package / "__init__.py").write_text(f"open({str(marker)!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (folder / "config.cfg").write_text(config)
    with pytest.raises(DataError, match=words):
        Backend(Options()).load(folder)
    assert not marker.exists()
