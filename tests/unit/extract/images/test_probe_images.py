"""The door: what an image may cost, what a dying decoder costs, and what is known already."""

import errno
import io
import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, features

from extract.core.digests import file_sha256
from extract.core.errors import DataError, MnerError
from extract.core.system import NamedSystemError
from extract.images import probe, unchanged
from extract.images.decode import ImageTooCostly
from extract.images.files import UnreadableImage
from extract.images.limits import ImageLimits
from extract.images.probe import probe_folder
from extract.images.probe_cache import ProbeCache
from extract.images.probe_pool import ProbePool
from extract.images.unchanged import load_unchanged
from extract.tables.images_table import ImageRow

# Loaded by every Python that starts: stands for a decoder with a fault.
FAULTY_DECODER = """
import os, signal
from PIL import Image
opened, images = Image.open, []
Image.MAX_IMAGE_PIXELS = 100

def open_(file, **options):
    data = file.getvalue()
    images.append(data)
    if b"CRASH" in data or (b"WORN" in data and len(images) > 1):
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"STRANGE" in data:
        raise KeyError("tag\\x1b[2J")
    return opened(file, **options)

Image.open = open_
"""

# Stands for a disk or a file server with a fault, at the images called `b`.
FAULTY_DISK = """
import os
fstat = os.fstat

def fstat_(descriptor):
    if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/b.png"):
        raise OSError(ERRNO, os.strerror(ERRNO))
    return fstat(descriptor)

os.fstat = fstat_
"""


def png(width: int = 3, height: int = 2, *, note: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (width % 256, height % 256, 9)).save(buffer, "PNG")
    return buffer.getvalue() + note


def scans(count: int, side: int = 1500) -> bytes:
    """A progressive JPEG whose last scan comes many times: each is decoded."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (90, 20, 30)).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * count + whole[-2:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


@pytest.fixture
def faulty_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faulty").mkdir()
    (tmp_path / "faulty/sitecustomize.py").write_text(FAULTY_DECODER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "faulty"))


def rows_of(folder: Path, workers: int = 1, **limits: int) -> dict[str, ImageRow]:
    ids = sorted(path.stem for path in folder.iterdir())
    rows = probe_folder(ids, folder, workers, limits=ImageLimits(**limits))
    assert [row.image_id for row in rows] == ids
    return {row.image_id: row for row in rows}


def assert_unreadable(row: ImageRow, reason: str) -> None:
    assert (row.status, row.reason) == ("unreadable", reason)
    assert (row.sha256, row.height, row.width) == ("", 0, 0)


def test_an_image_that_takes_too_long_costs_itself_alone(folder: Path) -> None:
    (folder / "a.png").write_bytes(png())
    (folder / "b.jpg").write_bytes(scans(20_000))
    (folder / "c.png").write_bytes(png(4, 5))
    rows = rows_of(folder, max_seconds=1)
    assert_unreadable(rows["b"], "took over 1 s to decode")
    assert (rows["a"].status, rows["c"].status) == ("ok", "ok")


def test_seconds_are_counted_for_each_image_alone(folder: Path) -> None:
    """Sixteen images of a fifth of a second each are no image of three."""
    for number in range(16):
        (folder / f"{number}.jpg").write_bytes(scans(200) + bytes([number]))
    rows = rows_of(folder, max_seconds=1)
    assert {row.status for row in rows.values()} == {"ok"}


@pytest.mark.parametrize(("slow", "status"), [(0, "ok"), (1, "unreadable")])
def test_images_of_little_work_outlive_a_limit_of_the_whole_process(
    folder: Path, repo_root: Path, slow: int, status: str
) -> None:
    """As `ulimit -t` sets it on login nodes; it is lower here than what one image may take."""
    ids = ["0"] if slow else [str(number) for number in range(12)]
    for image_id in ids:
        (folder / f"{image_id}.jpg").write_bytes(scans(20_000 if slow else 200))
    code = (
        "import sys; from pathlib import Path; from extract.images.probe import probe_folder; "
        "rows = probe_folder(sys.argv[2:], Path(sys.argv[1]), 1); "
        "print({(row.status, row.reason) for row in rows})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), *ids],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (3, 3)),
    )
    reason = "took all of the 3 s that the system allows (`ulimit -t`) to decode" if slow else ""
    assert done.stdout == f"{ {(status, reason)} }\n"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("is_cached", [False, True])
def test_a_disk_that_fails_stops_the_run_and_condemns_no_image(
    folder: Path,
    number: int,
    is_cached: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in "abc":
        (folder / f"{name}.png").write_bytes(png())
    cache = folder.parent / "probes.tsv" if is_cached else None
    faulty = folder.parent / "faulty"
    faulty.mkdir()
    (faulty / "sitecustomize.py").write_text(FAULTY_DISK.replace("ERRNO", str(number)))
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(faulty))
        with pytest.raises(NamedSystemError) as caught:
            probe_folder(["a", "b", "c"], folder, 1, cache=cache)
    assert (caught.value.errno, caught.value.filename) == (number, str(folder / "b.png"))
    rows = probe_folder(["a", "b", "c"], folder, 1, cache=cache)
    assert [row.status for row in rows] == ["ok", "ok", "ok"]


def test_an_image_that_needs_too_much_memory_costs_itself_alone(folder: Path) -> None:
    (folder / "a.png").write_bytes(png())
    (folder / "b.png").write_bytes(png(6000, 6000))
    (folder / "c.png").write_bytes(png(4, 5))
    rows = rows_of(folder, max_memory_mb=64)
    assert_unreadable(rows["b"], "needs over 64 MB to decode")
    assert (rows["a"].status, rows["c"].status) == ("ok", "ok")
    assert rows_of(folder, max_memory_mb=512)["b"].status == "ok"


def test_limits_of_pixels_and_of_bytes(folder: Path) -> None:
    (folder / "pixels.png").write_bytes(png(12, 8))
    (folder / "bytes.png").write_bytes(png(note=bytes(2**20)))
    rows = rows_of(folder, max_pixels=95, max_file_mb=1)
    assert_unreadable(rows["pixels"], "12 x 8 pixels are over the limit of 95")
    assert_unreadable(rows["bytes"], "the file is over the limit of 1 MB")
    rows = rows_of(folder, max_pixels=96, max_file_mb=2)
    assert {row.status for row in rows.values()} == {"ok"}


@pytest.mark.usefixtures("faulty_decoder")
@pytest.mark.parametrize("workers", [1, 3])
def test_a_crash_of_the_decoder_costs_its_image_alone(folder: Path, workers: int) -> None:
    for number in range(8):
        (folder / f"{number}.png").write_bytes(png(note=b"CRASH" if number == 3 else b""))
    rows = rows_of(folder, workers)
    assert_unreadable(rows.pop("3"), "crashed the decoder (signal 11)")
    assert {row.status for row in rows.values()} == {"ok"}


@pytest.mark.usefixtures("faulty_decoder")
def test_what_earlier_images_did_to_the_decoder_condemns_no_other(folder: Path) -> None:
    (folder / "a.png").write_bytes(png())
    (folder / "b.png").write_bytes(png(note=b"WORN"))
    assert rows_of(folder)["b"].status == "ok"


@pytest.mark.usefixtures("faulty_decoder")
def test_a_complaint_is_shown_without_control_characters(folder: Path) -> None:
    (folder / "a.png").write_bytes(png(note=b"STRANGE"))
    assert_unreadable(rows_of(folder)["a"], "broken image data: 'tag\\x1b[2J'")


@pytest.mark.usefixtures("faulty_decoder")
def test_the_limit_in_the_config_is_the_only_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow has one of its own, over which it warns, and over twice of which it stops."""
    (folder / "a.png").write_bytes(png(40, 40))
    row = rows_of(folder, max_pixels=1600)["a"]
    assert (row.status, row.height, row.width) == ("ok", 40, 40)
    # Over the default, which no later stage may fall back to.
    monkeypatch.setattr(ImageLimits, "max_pixels", 100)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert load_unchanged(row).size == (40, 40)


def test_later_stages_decode_the_very_bytes_that_they_compared(folder: Path) -> None:
    (folder / "a.png").write_bytes(png())
    row = rows_of(folder)["a"]
    (folder / "a.png").write_bytes(png(9, 9))
    with pytest.raises(DataError, match=r"a\.png: image 'a' changed .*other bytes"):
        load_unchanged(row)
    (folder / "a.png").unlink()
    os.mkfifo(folder / "a.png")
    with pytest.raises(DataError, match="not a file"):
        load_unchanged(row)


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (UnreadableImage("broken image data: x"), DataError, "Delete probes.tsv beside images.tsv"),
        (ImageTooCostly("no memory"), MnerError, "not enough memory for image 'a'. Give"),
        (MemoryError(), MnerError, "not enough memory for image 'a'. Give"),
    ],
)
def test_the_listed_bytes_that_cannot_be_decoded_are_no_changed_image(
    folder: Path,
    raised: Exception,
    kind: type[MnerError],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "a.png").write_bytes(png())
    row = rows_of(folder)["a"]

    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(unchanged, "decode_image", fail)
    with pytest.raises(kind) as caught:
        load_unchanged(row)
    assert type(caught.value) is kind
    assert words in str(caught.value) and "changed" not in str(caught.value)


def test_a_disk_that_fails_has_changed_no_image(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.png").write_bytes(png())
    row = rows_of(folder)["a"]

    def fail(path: Path) -> bytes:
        raise NamedSystemError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(unchanged, "read_image_file", fail)
    with pytest.raises(NamedSystemError):
        load_unchanged(row)


def test_workers_end_with_the_pool(folder: Path) -> None:
    (folder / "a.png").write_bytes(png())
    with ProbePool(ImageLimits()) as pool:
        pool.probe(folder / "a.png")
        worker = pool._idle.get()
        pool._idle.put(worker)
        assert worker._process.poll() is None
    assert worker._process.poll() is not None


# What is known of an earlier run.


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return the names of the files that were decoded since the last call."""
    names: list[str] = []
    probe = ProbePool.probe

    def spy(self: ProbePool, path: Path):
        names.append(path.name)
        return probe(self, path)

    monkeypatch.setattr(ProbePool, "probe", spy)

    def taken() -> list[str]:
        found = sorted(names)
        names.clear()
        return found

    return taken


def test_what_is_known_is_not_decoded_again(
    folder: Path, decoded: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache = folder.parent / "probes.tsv"
    for number in range(4):
        (folder / f"{number}.png").write_bytes(png(number + 1))
    (folder / "broken.png").write_bytes(b"\x89PNG")
    ids = ["0", "1", "2", "3", "broken", "gone"]
    first = probe_folder(ids, folder, 2, cache=cache)
    assert len(decoded()) == 5
    assert probe_folder(ids, folder, 2, cache=cache) == first
    # A broken image may be one that a new decoder reads.
    assert decoded() == ["broken.png"]
    assert "images: 1 decoded, 4 known from an earlier run" in caplog.text
    (folder / "1.png").write_bytes(png(7, 7))
    (folder / "gone.png").write_bytes(png(2))
    rows = probe_folder(ids, folder, 2, cache=cache)
    # What `gone.png` holds was `1.png` before.
    assert decoded() == ["1.png", "broken.png"]
    assert [(row.height, row.width) for row in rows if row.image_id in "1 gone"] == [(7, 7), (2, 2)]
    assert rows[5].sha256 == file_sha256(folder / "gone.png")


def test_the_same_image_twice_in_a_first_run_is_not_known_from_an_earlier_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in "abc":
        (folder / f"{name}.png").write_bytes(png())
    hashed: list[Path] = []
    monkeypatch.setattr(
        probe, "image_file_sha256", lambda path, **_: hashed.append(path) or "0" * 64
    )
    probe_folder(["a", "b", "c"], folder, 1, cache=folder.parent / "probes.tsv")
    assert "images: 3 decoded, 0 known from an earlier run" in caplog.text
    assert hashed == []  # the decoding process reads each file, once
    probe_folder(["a"], folder, 1, cache=folder.parent / "probes.tsv")
    assert hashed == [folder / "a.png"]


def test_other_codecs_of_the_same_pillow_decode_all_again(
    folder: Path, decoded: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = folder.parent / "probes.tsv"
    (folder / "a.png").write_bytes(png())
    probe_folder(["a"], folder, 1, cache=cache)
    version = features.version
    for codec in ("jpg", "webp", "libtiff", "jpg_2000"):
        decoded()
        monkeypatch.setattr(
            features, "version", lambda name, other=codec: None if name == other else version(name)
        )
        probe_folder(["a"], folder, 1, cache=cache)
        assert decoded() == ["a.png"], codec


def test_the_file_has_the_images_of_the_corpus_alone(folder: Path) -> None:
    cache = folder.parent / "probes.tsv"
    for number in range(3):
        (folder / f"{number}.png").write_bytes(png(number + 1))
    probe_folder(["0", "1", "2"], folder, 1, cache=cache)
    probe_folder(["2", "0"], folder, 1, cache=cache)
    lines = cache.read_text().splitlines()
    assert [line.split("\t")[0] for line in lines[1:]] == sorted(
        file_sha256(folder / f"{number}.png") for number in (0, 2)
    )


@pytest.mark.parametrize("limits", [{"max_pixels": 7}, {"max_memory_mb": 100}, {"max_seconds": 9}])
def test_other_limits_decode_all_again(
    folder: Path, decoded: Callable[[], list[str]], limits: dict[str, int]
) -> None:
    cache = folder.parent / "probes.tsv"
    (folder / "a.png").write_bytes(png(4))
    probe_folder(["a"], folder, 1, cache=cache)
    decoded()
    (row,) = probe_folder(["a"], folder, 1, cache=cache, limits=ImageLimits(**limits))
    assert decoded() == ["a.png"]
    assert row.status == ("unreadable" if "max_pixels" in limits else "ok")


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-5],
        lambda text: text.replace("\t2\t", "\t-2\t"),
        lambda text: text + "x",
        lambda text: text + "\n",
        lambda text: text.replace("\t", " "),
        lambda text: "",
        lambda text: json.dumps({**json.loads(text.split("\n")[0]), "version": "0"}) + "\n",
    ],
)
def test_a_damaged_file_is_not_used(
    folder: Path, decoded: Callable[[], list[str]], damage: Callable[[str], str]
) -> None:
    cache = folder.parent / "probes.tsv"
    (folder / "a.png").write_bytes(png())
    probe_folder(["a"], folder, 1, cache=cache)
    whole = cache.read_text()
    decoded()
    cache.write_text(damage(whole))
    probe_folder(["a"], folder, 1, cache=cache)
    assert decoded() == ["a.png"]
    assert cache.read_text() == whole


def test_what_a_stopped_run_found_is_kept(
    folder: Path, decoded: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = folder.parent / "probes.tsv"
    for number in range(3):
        (folder / f"{number}.png").write_bytes(png(number + 1))

    added, add = [], ProbeCache.add

    def interrupted(self: ProbeCache, probe: object) -> None:
        add(self, probe)
        added.append(probe)
        if len(added) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProbeCache, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        probe_folder(["0", "1", "2"], folder, 1, cache=cache)
    monkeypatch.setattr(ProbeCache, "add", add)
    decoded()
    probe_folder(["0", "1", "2"], folder, 1, cache=cache)
    # The third was perhaps in work when the interrupt came.
    assert decoded() in ([], ["2.png"])


@pytest.mark.parametrize("name", ["max_pixels", "max_file_mb", "max_seconds", "max_memory_mb"])
def test_limits_are_positive(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        ImageLimits(**{name: 0})
