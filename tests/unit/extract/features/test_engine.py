"""The path from images to a merged feature file, with the `random` extractor and with fakes."""

import hashlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from extract.__main__ import main
from extract.core.errors import ConfigError, DataError
from extract.extractors import base, random
from extract.features import engine
from extract.features.engine import Inputs, Runtime, run_extraction, select_shard
from extract.features.spec import FeatureSpec
from extract.images.decode import load_image
from extract.store import FeatureStore, merge_shards
from extract.tables.images_table import ImageRow, read_images, write_images
from extract.tables.rows import STATUS, Item, ItemFeatures, Outputs, Phrase, nothing_found
from tests.builders.extract.feature_files import read_all

# p1 belongs to two samples, p3 is missing, p4 is corrupt.
TEXTS = {"train": ["p0", "p1", "p2", "p3"], "valid": ["p1", "p4"], "test": ["p5", "p6.v2", "p7"]}
IDS = ["p0", "p1", "p2", "p3", "p4", "p5", "p6.v2", "p7"]
BAD = {"p3": "missing", "p4": "unreadable"}


def png(seed: int) -> bytes:
    size = (5 + seed, 7)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


class Corpus:
    """A corpus of tiny images and the commands that work on it."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.folder, self.caplog = folder, caplog
        self.images = folder / "images"
        self.images.mkdir()
        for number, image_id in enumerate(IDS):
            if image_id not in BAD:
                (self.images / f"{image_id}.png").write_bytes(png(number))
        (self.images / "p4.jpg").write_bytes(b"\xff\xd8\xff broken")
        self.write_texts(TEXTS)
        self.prepare()
        self.spec({"dim": 4, "rows": 2})

    def write_texts(self, texts: dict[str, list[str]]) -> None:
        for split, ids in texts.items():
            lines = "".join(f"IMGID:{image_id}\nhello\tO\n\n" for image_id in ids)
            (self.folder / f"{split}.txt").write_text(lines)

    def run(self, command: str, *arguments: object) -> None:
        self.caplog.clear()
        assert main([command, *map(str, arguments)]) == 0

    def prepare(self, *, images: bool = True) -> None:
        given = ["--images", self.images] if images else []
        self.run(
            "dataset", "--reader", "conll_imgid", "--root", self.folder, *given,
            "--max-bad-images", "0.5", "--out", self.folder / "out",
        )  # fmt: skip

    def spec(self, options: dict[str, Any]) -> None:
        definition = {"name": "noise", "extractor": "random", "options": options}
        spec = self.folder / "spec.json"
        self.run("spec", "--definition", json.dumps(definition), "--out", spec)

    def shard(self, shard: str = "1-of-1", *flags: object) -> dict[str, Any]:
        """Compute one shard; return the summary, the last line of the log."""
        self.run(
            "features", "--spec", self.folder / "spec.json", "--images", self.manifest,
            "--shard", shard, "--out", self.folder / f"{shard}.h5", *flags,
        )  # fmt: skip
        return json.loads(self.caplog.records[-1].getMessage())

    def features(self, name: str, *flags: object, n_shards: int = 1) -> dict[str, int]:
        """Compute all shards and merge them; return the sums of the summaries."""
        shards = [f"{k}-of-{n_shards}" for k in range(1, n_shards + 1)]
        summaries = [self.shard(shard, *flags) for shard in shards]
        files = [self.folder / f"{shard}.h5" for shard in shards]
        out = self.folder / f"{name}.h5"
        self.run("merge", "--shards", *files, "--images", self.manifest, "--out", out)
        self.run("verify", out, "--images", self.manifest, "--out", self.folder / "qc.json")
        return {key: sum(s[key] for s in summaries) for key in ("computed", "copied")}

    @property
    def manifest(self) -> Path:
        return self.folder / "out/images.tsv"

    def sha256(self, name: str) -> str:
        return hashlib.sha256((self.folder / f"{name}.h5").read_bytes()).hexdigest()


@pytest.fixture
def corpus(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Corpus:
    caplog.set_level("INFO")
    return Corpus(tmp_path, caplog)


def test_from_images_to_a_verified_file(corpus: Corpus) -> None:
    assert corpus.features("noise", n_shards=3) == {"computed": 8, "copied": 0}
    extractor = random.Extractor(random.Options(dim=4, rows=2))
    with FeatureStore(corpus.folder / "noise.h5") as store:
        assert store.ids == IDS
        for image_id, item in store.items():
            if image_id in BAD:
                assert item.n_rows == 0
                assert item.reason
                continue
            image = load_image(corpus.images / f"{image_id}.png")
            (expected,) = extractor.extract([Item(image_id, image)])
            np.testing.assert_array_equal(item.features, expected.features)
        counts = {name: n for name, n in store.status_counts().items() if n}
        assert counts == {"ok": 6, "missing": 1, "unreadable": 1}
        assert store.provenance["counts"] == store.status_counts()
        assert store.provenance["spec"]["options"]["dim"] == 4
        # No path of this machine.
        assert corpus.folder.as_posix() not in json.dumps(store.provenance)
    with h5py.File(corpus.folder / "noise.h5") as file:
        sizes = [(row.height, row.width) for row in read_images(corpus.manifest)]
        assert [tuple(size) for size in file["items/image_size"][:]] == sizes
        assert sizes[0] == (5, 7)
        assert sizes[3] == sizes[4] == (0, 0)


def test_the_log_says_what_was_done(corpus: Corpus) -> None:
    summary = corpus.shard("2-of-3")
    first = corpus.caplog.records[0].getMessage()
    assert "shard 2-of-3" in first
    assert "0 already done" in first
    assert summary["features"] == "noise"
    assert summary["shard"] == "2-of-3"
    assert sum(summary["status"].values()) == summary["computed"]
    for key in ("seconds", "items_per_s", "peak_rss_mb"):
        assert summary[key] is not None


@pytest.mark.parametrize("n_rows", [0, 1, 2, 7, 8])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 11])
def test_shards_are_contiguous_and_together_everything(n_rows: int, n: int) -> None:
    rows = list(range(n_rows))
    parts = [select_shard(rows, f"{k}-of-{n}") for k in range(1, n + 1)]
    assert [row for part in parts for row in part] == rows
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    "shard", ["0-of-2", "3-of-2", "1-of-0", "1", "a-of-b", "-1-of-2", "²-of-3"]
)
def test_a_shard_is_k_of_n(shard: str) -> None:
    with pytest.raises(ConfigError, match="expected k-of-n such as 3-of-8"):
        select_shard([1, 2], shard)


@pytest.mark.parametrize("flags", [("--batch-size", 1), ("--batch-size", 3, "--workers", 4)])
def test_runtime_knobs_and_shards_change_no_byte(corpus: Corpus, flags: tuple[object]) -> None:
    corpus.features("one")
    corpus.features("other", *flags)
    corpus.features("shards", *flags, n_shards=11)
    assert corpus.sha256("one") == corpus.sha256("other") == corpus.sha256("shards")


def test_a_permuted_manifest_permutes_the_rows(corpus: Corpus) -> None:
    corpus.features("noise")
    rows = read_images(corpus.manifest)
    order = [5, 3, 0, 7, 1, 6, 2, 4]
    write_images(corpus.manifest, [rows[i] for i in order])
    corpus.features("permuted")
    before = FeatureStore(corpus.folder / "noise.h5")
    after = FeatureStore(corpus.folder / "permuted.h5")
    assert after.ids == [IDS[i] for i in order]
    for image_id, item in after.items():
        np.testing.assert_array_equal(item.features, before.item(image_id).features)
        assert item.status == before.item(image_id).status


def test_a_stopped_run_continues(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus.features("whole", "--batch-size", 2)
    (corpus.folder / "1-of-1.h5").unlink()
    extract, extracted = random.Extractor.extract, []

    def interrupted(self: random.Extractor, batch: Sequence[Item]) -> list:
        # p0 p1 | p2 (p3) | (p4) p5 | p6.v2 p7
        if any(item.image_id == "p5" for item in batch) and len(extracted) == 3:
            raise KeyboardInterrupt
        extracted.extend(item.image_id for item in batch)
        return extract(self, batch)

    monkeypatch.setattr(random.Extractor, "extract", interrupted)
    with pytest.raises(AssertionError, match="130"):
        corpus.shard("1-of-1", "--batch-size", 2)
    assert not (corpus.folder / "1-of-1.h5").exists()
    extracted.append("-- stopped")
    # Another batch size: the rest is batched anew.
    assert corpus.features("continued", "--batch-size", 3) == {"computed": 4, "copied": 0}
    assert extracted == ["p0", "p1", "p2", "-- stopped", "p5", "p6.v2", "p7"]
    assert corpus.sha256("continued") == corpus.sha256("whole")


def test_unchanged_rows_are_copied_and_changed_ones_computed(corpus: Corpus) -> None:
    corpus.features("old")
    old = corpus.folder / "old.h5"
    assert corpus.features("same", "--reuse", old) == {"computed": 0, "copied": 8}
    assert corpus.sha256("same") == corpus.sha256("old")
    # One image gets other bytes, one is new, one goes; the new one moves all rows after it.
    (corpus.images / "p5.png").write_bytes(png(50))
    (corpus.images / "new.png").write_bytes(png(99))
    corpus.write_texts({"train": ["new", "p0", "p1", "p2", "p3"], "test": ["p5", "p7"]})
    corpus.prepare()
    corpus.features("fresh")
    for n_shards in (1, 3):
        name = f"reused {n_shards}"
        done = corpus.features(name, "--reuse", old, n_shards=n_shards)
        assert done == {"computed": 2, "copied": 6}
        assert corpus.sha256(name) == corpus.sha256("fresh")
    assert FeatureStore(corpus.folder / "fresh.h5").ids == [
        "new", "p0", "p1", "p2", "p3", "p4", "p5", "p7",
    ]  # fmt: skip


def test_a_mended_image_is_computed(corpus: Corpus) -> None:
    corpus.features("old")
    (corpus.images / "p3.png").write_bytes(png(3))
    (corpus.images / "p4.jpg").write_bytes(b"")
    corpus.prepare()
    done = corpus.features("new", "--reuse", corpus.folder / "old.h5")
    # p4 is as unreadable as before, but for another reason.
    assert done == {"computed": 2, "copied": 6}
    with FeatureStore(corpus.folder / "new.h5") as store:
        assert store.item("p3").n_rows == 2
        assert store.item("p4").reason == "empty file"


def test_another_spec_or_a_broken_file_is_not_reused(corpus: Corpus) -> None:
    corpus.features("old")
    old = corpus.folder / "old.h5"
    corpus.spec({"dim": 4, "rows": 2, "seed": 1})
    assert corpus.features("seed", "--reuse", old) == {"computed": 8, "copied": 0}
    with h5py.File(old, "r+") as file:
        file.attrs["format_version"] = "2.0"
    assert corpus.features("version", "--reuse", old) == {"computed": 8, "copied": 0}
    assert corpus.features("absent", "--reuse", "no.h5") == {"computed": 8, "copied": 0}
    old.write_bytes(b"garbage")
    assert corpus.features("garbage", "--reuse", old) == {"computed": 8, "copied": 0}
    assert corpus.sha256("seed") == corpus.sha256("garbage")


@pytest.mark.parametrize("content", [png(70), b"no longer an image", None])
def test_an_image_that_changed_since_the_manifest_stops_the_run(
    corpus: Corpus, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    """Else its rows would be filed under the checksum of the image that was there before."""
    path = corpus.images / "p2.png"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AssertionError, match="2 == 0"):
        corpus.shard()
    message = capsys.readouterr().err
    assert "p2.png: image 'p2' changed since images.tsv was made" in message
    assert "dataset" in message


def test_image_features_of_a_corpus_without_images_are_a_config_error(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus.prepare(images=False)
    assert {row.status for row in read_images(corpus.manifest)} == {"no_images"}
    # Also of an empty shard.
    for shard in ("1-of-1", "1-of-99"):
        with pytest.raises(AssertionError, match="2 == 0"):
            corpus.shard(shard)
        assert "noise: random reads images, but the corpus has none" in capsys.readouterr().err


def test_captions_of_a_corpus_without_images(corpus: Corpus) -> None:
    corpus.prepare(images=False)
    captions = corpus.folder / "captions.txt"
    captions.write_text("p0.jpg :a dog\np0.jpg :two : dogs\np6.v2.png :a cat\nelse.jpg :x\n")
    definition = {"name": "given", "extractor": "caption_list"}
    corpus.run("spec", "--definition", json.dumps(definition), "--out", corpus.folder / "spec.json")
    corpus.features("given", "--captions", captions, n_shards=2)
    with FeatureStore(corpus.folder / "given.h5") as store:
        assert store.item("p0").text == ("a dog", "two : dogs")
        assert store.item("p6.v2").text == ("a cat",)
        assert store.status_counts()["nothing_found"] == 6


# ---- fakes ----

SPEC = FeatureSpec("fake", "fake", 1, {}, {}, {})


@dataclass(frozen=True)
class NoOptions:
    """None."""


class Fake(base.Extractor):
    """One row an image: its width. Remembers its batches."""

    @classmethod
    def outputs(cls, options: NoOptions) -> Outputs:
        return Outputs(feature_dim=1, feature_dtype="float32")

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.batches: list[int] = []

    def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
        self.batches.append(len(batch))
        return [ItemFeatures(features=np.array([[item.image.width]])) for item in batch]


@pytest.fixture
def rows(tmp_path: Path) -> list[ImageRow]:
    """Eight readable images, 1 to 8 pixels wide."""
    found = []
    for width in range(1, 9):
        path = tmp_path / f"w{width}.png"
        Image.new("RGB", (width, 2)).save(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        found.append(ImageRow(path.stem, path.as_posix(), sha256, 2, width, "ok"))
    return found


def use(monkeypatch: pytest.MonkeyPatch, extractor: type[base.Extractor]) -> None:
    module = SimpleNamespace(VERSION=1, Options=NoOptions, Extractor=extractor)
    monkeypatch.setattr(engine, "load_plugin", lambda name: ("fakes", module))


def widths(path: Path) -> list[float]:
    with FeatureStore(path) as store:
        return [item.features.item() for _, item in store.items()]


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("limit", "batches"),
    [(8, [8]), (5, [8, 4, 4]), (3, [8, 4, 2, 2, 2, 2]), (1, [8, 4, 2, *[1] * 8])],
)
def test_out_of_memory_halves_the_batch(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[ImageRow],
    limit: int,
    batches: list[int],
) -> None:
    tried: list[int] = []

    class Hungry(Fake):
        def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
            tried.append(len(batch))
            if len(batch) > limit:
                raise OutOfMemoryError
            return super().extract(batch)

    use(monkeypatch, Hungry)
    run_extraction(SPEC, rows, tmp_path / "x.h5", Inputs(), runtime=Runtime(batch_size=8))
    assert tried == batches
    assert widths(tmp_path / "x.h5") == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_smaller_batch_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow]
) -> None:
    tried: list[int] = []

    class Hungry(Fake):
        def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
            tried.append(len(batch))
            if len(batch) > 2:
                raise OutOfMemoryError
            return super().extract(batch)

    use(monkeypatch, Hungry)
    run_extraction(SPEC, rows, tmp_path / "x.h5", Inputs(), runtime=Runtime(batch_size=4))
    assert tried == [4, 2, 2, 2, 2]


@pytest.mark.parametrize("error", [OutOfMemoryError, RuntimeError])
def test_other_errors_and_memory_for_one_image_stop_the_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[ImageRow],
    error: type[Exception],
) -> None:
    class Broken(Fake):
        def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
            raise error

    use(monkeypatch, Broken)
    with pytest.raises(error):
        run_extraction(SPEC, rows, tmp_path / "x.h5", Inputs())
    assert not (tmp_path / "x.h5").exists()


def test_results_are_never_shifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow]
) -> None:
    class Forgetful(Fake):
        def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
            return super().extract(batch)[1:]

    use(monkeypatch, Forgetful)
    with pytest.raises(ValueError, match="shorter"):
        run_extraction(SPEC, rows, tmp_path / "x.h5", Inputs())


@pytest.mark.parametrize("name", ["phrases", "boxes", "captions", "annotations"])
def test_an_input_that_was_not_given_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow], name: str
) -> None:
    class Needy(Fake):
        needs = frozenset({"image", name})

    use(monkeypatch, Needy)
    with pytest.raises(ConfigError, match=f"fake: fake reads {name}; give it --{name}"):
        run_extraction(SPEC, rows, tmp_path / "x.h5", Inputs())


def test_what_an_item_carries_decides_whether_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow]
) -> None:
    """The phrases of an image are part of its input, those of others are not."""
    seen: list[str] = []

    class Reader(Fake):
        needs = frozenset({"image", "phrases"})

        def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
            seen.extend(f"{item.image_id}: {len(item.phrases)}" for item in batch)
            return super().extract(batch)

    use(monkeypatch, Reader)
    phrases = {"w1": (Phrase("a dog", 0, 2),), "w2": (Phrase("a cat", 0, 2),)}
    old = tmp_path / "old.h5"
    run_extraction(SPEC, rows[:3], old, Inputs(phrases=phrases))
    assert seen == ["w1: 1", "w2: 1", "w3: 0"]
    seen.clear()
    phrases["w2"] = (Phrase("a cat", 1, 3),)
    phrases["w3"] = (Phrase("a", 0, 1), Phrase("b", 1, 2))
    run_extraction(SPEC, rows[:3], tmp_path / "new.h5", Inputs(phrases=phrases), reuse=old)
    assert seen == ["w2: 1", "w3: 2"]


def test_threads_reach_a_torch_that_was_imported_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow]
) -> None:
    calls: list[int] = []
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=calls.append))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    use(monkeypatch, Fake)
    run_extraction(SPEC, rows, tmp_path / "x.h5", Inputs())
    assert calls == []
    run_extraction(SPEC, rows, tmp_path / "x.h5", Inputs(), runtime=Runtime(threads=3))
    assert calls == [3]
    assert engine.os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize("knob", [{"batch_size": 0}, {"workers": 0}, {"threads": -1}])
def test_runtime_knobs_are_checked(knob: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least"):
        Runtime(**knob)


def test_a_spec_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow]
) -> None:
    use(monkeypatch, Fake)
    with pytest.raises(ConfigError, match="VERSION 7, the code is at 1"):
        run_extraction(replace(SPEC, version=7), rows, tmp_path / "x.h5", Inputs())


def test_a_manifest_that_lies_about_a_checksum_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow]
) -> None:
    use(monkeypatch, Fake)
    rows[5] = replace(rows[5], sha256="0" * 64)
    with pytest.raises(DataError, match=r"w6\.png: image 'w6' changed .*other bytes"):
        run_extraction(SPEC, rows, tmp_path / "x.h5", Inputs())


def test_a_shard_equals_its_part_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow]
) -> None:
    use(monkeypatch, Fake)
    run_extraction(SPEC, rows, tmp_path / "part.h5", Inputs(), shard="2-of-3")
    run_extraction(SPEC, select_shard(rows, "2-of-3"), tmp_path / "own.h5", Inputs())
    assert read_all(tmp_path / "part.h5") == read_all(tmp_path / "own.h5")
    assert widths(tmp_path / "part.h5") == [4, 5]


class FakeWithTool(Fake):
    """An extractor that calls a program."""

    version = "1.0"

    def tool_versions(self) -> dict[str, str]:
        return {"program": self.version}


def test_rows_of_another_release_of_a_program_are_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow]
) -> None:
    use(monkeypatch, FakeWithTool)
    old = tmp_path / "old.h5"
    run_extraction(SPEC, rows, tmp_path / "old.shard", Inputs())
    merge_shards([tmp_path / "old.shard"], old)
    sums = FeatureStore(old).input_sha256()
    run_extraction(SPEC, rows, tmp_path / "same.h5", Inputs(), reuse=old)
    assert FeatureStore(tmp_path / "same.h5").input_sha256() == sums
    monkeypatch.setattr(FakeWithTool, "version", "2.0")
    run_extraction(SPEC, rows, tmp_path / "new.h5", Inputs(), reuse=old)
    found = FeatureStore(tmp_path / "new.h5").input_sha256()
    assert not set(found.values()) & set(sums.values())


def test_a_good_image_that_failed_once_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow]
) -> None:
    class Failing(Fake):
        fails = True

        def extract(self, batch: Sequence[Item]) -> list[ItemFeatures]:
            found = super().extract(batch)
            if self.fails:
                lost = nothing_found("no result within 300 s", self.outputs(None))
                found[0] = replace(lost, status=STATUS["unreadable"])
            return found

    use(monkeypatch, Failing)
    run_extraction(SPEC, rows, tmp_path / "old.shard", Inputs(), runtime=Runtime(batch_size=99))
    merge_shards([tmp_path / "old.shard"], tmp_path / "old.h5")
    assert FeatureStore(tmp_path / "old.h5").status_counts()["unreadable"] == 1
    monkeypatch.setattr(Failing, "fails", False)
    run_extraction(SPEC, rows, tmp_path / "new.h5", Inputs(), reuse=tmp_path / "old.h5")
    assert FeatureStore(tmp_path / "new.h5").status_counts()["ok"] == len(rows)


def test_weights_that_were_replaced_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[ImageRow]
) -> None:
    """Rows of two checkpoints would else stand in one store under the checksum of the first."""
    weights = tmp_path / "vgg16.pth"
    weights.write_bytes(b"old")
    sha256 = hashlib.sha256(b"old").hexdigest()
    entry = {"name": "net", "path": str(weights), "sha256": sha256}
    use(monkeypatch, Fake)
    spec = replace(SPEC, weights={"vision": entry})
    run_extraction(spec, rows, tmp_path / "old.h5", Inputs())
    weights.write_bytes(b"new")
    with pytest.raises(ConfigError, match=f"the spec was made with {sha256}.*write the spec again"):
        run_extraction(spec, rows, tmp_path / "new.h5", Inputs())
