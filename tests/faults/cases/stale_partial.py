"""A `.partial` folder of something else: said in the log, never continued, the result is right."""

import json
import random
from collections.abc import Callable
from pathlib import Path

from tests.faults.checks import contents, expect, expect_no_strays, expect_same, expect_success
from tests.faults.corpus import Corpus, make_corpus
from tests.faults.processes import extract, import_commands, run_to_end
from tests.faults.row import Row
from tests.faults.stages import Extraction
from tests.faults.tally import Tally

NAME = "stale_partial"
N_IMAGES = 16
PLUGIN = "clip"
UNDONE = f"{PLUGIN}.1-of-1.h5.partial"


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Leave each kind of partial result behind, then run."""
    import_commands(
        "extract", ["extract.features.engine", "extract.features.inputs", "torch", "transformers"]
    )
    corpus = make_corpus(folder / "corpus", N_IMAGES)
    stage = Extraction(corpus, PLUGIN)
    whole = folder / "whole"
    whole.mkdir()
    expect_success(run_to_end(stage.command(whole), folder / "whole.log"))
    stage.complete(whole)
    tally = Tally("stale .partial", "other weights, options, shard count, foreign files")
    kinds = {
        "other weights": (_of_other_weights, "another fingerprint"),
        "other options": (_of_other_options, "another fingerprint"),
        "foreign files": (_foreign, "is damaged"),
        "a file": (_a_file, "is a file"),
        "other shard count": (_of_other_count, ""),
    }
    for name, (leave, note) in kinds.items():
        out = folder / name.replace(" ", "_")
        out.mkdir()
        with tally.run(name):
            leave(corpus, out)
            again = run_to_end(stage.command(out), out.with_suffix(".log"))
            expect_success(again)
            expect(note in again.log, f"{note!r} is not in the log: {again.log[-300:]!r}")
            stage.complete(out)
            expect_same(contents(out, f"{PLUGIN}*.h5"), contents(whole, "*.h5"))
            expect_no_strays(out)
    return [tally.row]


def _die_after(n_batches: int) -> Callable[[], None]:
    """Return a change that kills the child when it has written so many batches."""

    def change() -> None:
        import os
        import signal

        from extract.store.writer import FeatureWriter

        append = FeatureWriter.append

        def counted(writer: FeatureWriter, results: list) -> None:
            append(writer, results)
            if len(list(writer.path.glob("*.h5"))) >= n_batches:
                os.killpg(0, signal.SIGKILL)

        FeatureWriter.append = counted

    return change


def _cut_off(corpus: Corpus, out: Path, *flags: object, shard: str = f"{PLUGIN}.1-of-1.h5") -> None:
    """Leave a partial result of a command."""
    command = corpus.features(PLUGIN, out / shard, *flags)
    ended = run_to_end(command, out / "left.log", _die_after(2))
    expect(ended.is_killed, f"not killed: {ended.log[-300:]!r}")
    (out / "left.log").unlink()


def _with_other_spec(corpus: Corpus, out: Path, change: Callable[[dict], None]) -> None:
    """Leave a partial result of a changed definition under the same name."""
    spec = corpus.bench.folder / "specs" / f"{PLUGIN}.json"
    original = spec.read_bytes()
    definition = json.loads(original)
    change(definition)
    keys = ("name", "extractor", "options", "weights")
    chosen = json.dumps({key: definition[key] for key in keys})
    try:
        expect_success(
            run_to_end(extract("spec", "--definition", chosen, "--out", spec), out / "spec.log")
        )
        _cut_off(corpus, out)
    finally:
        spec.write_bytes(original)


def _of_other_weights(corpus: Corpus, out: Path) -> None:
    from extract.networks.random_weights import write_random_weights
    from tests.builders.extract.tiny_plugins import _VISION

    other = out.with_suffix(".pt")
    write_random_weights({"kind": "clip", "projection_dim": 12, **_VISION}, 7, other)

    def change(definition: dict) -> None:
        definition["weights"] = {"vision": {"name": "clip_vision", "path": str(other)}}

    _with_other_spec(corpus, out, change)


def _of_other_options(corpus: Corpus, out: Path) -> None:
    path = corpus.bench.folder / "weights" / f"{PLUGIN}_vision.pt"

    def change(definition: dict) -> None:
        definition["options"] = {**definition["options"], "dtype": "float32"}
        definition["weights"] = {"vision": {"name": f"{PLUGIN}_vision", "path": str(path)}}

    _with_other_spec(corpus, out, change)


def _foreign(corpus: Corpus, out: Path) -> None:
    (out / UNDONE).mkdir()
    (out / UNDONE / "00000000.h5").write_bytes(b"not HDF5")
    (out / UNDONE / "notes.txt").write_text("mine")


def _a_file(corpus: Corpus, out: Path) -> None:
    (out / UNDONE).write_bytes(b"something")


def _of_other_count(corpus: Corpus, out: Path) -> None:
    _cut_off(corpus, out, "--shard", "2-of-2", shard=f"{PLUGIN}.2-of-2.h5")
    expect((out / f"{PLUGIN}.2-of-2.h5.partial").is_dir(), "nothing was left behind")
