"""Bits that flip and files that are cut off: found and named, or of no consequence."""

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from tests.faults.checks import (
    expect,
    expect_error,
    expect_lost,
    expect_no_strays,
    expect_same,
    expect_success,
)
from tests.faults.corpus import BATCH, Corpus, make_corpus
from tests.faults.damage import cut, flip_bit, remove
from tests.faults.processes import import_commands, run_to_end
from tests.faults.row import Row
from tests.faults.stages import Extraction, Fit
from tests.faults.tally import Tally
from tests.faults.trainings import EPOCHS, Training, make_trainings

NAME = "damaged_files"
N_IMAGES = 16
SHARE = 5
"""Trials of each kind: the rounds divided by this."""


def run(folder: Path, rng: random.Random, rounds: int) -> list[Row]:
    """Damage parts, shards, stores, training states and tables."""
    import_commands("extract", ["extract.features.engine", "extract.features.inputs"])
    import_commands("train", ["train.training.loop", "train.training.overlap"])
    corpus = make_corpus(folder / "corpus", N_IMAGES)
    images = make_trainings(folder / "tweets")[1]
    trials = max(2, rounds // SHARE)
    return [
        _parts(corpus, folder / "parts", rng, trials),
        *_stores(corpus, folder / "stores", rng, trials),
        _store_of_a_training(images, folder / "grid", rng, trials),
        _training_state(images, folder / "state", rng, trials),
        _tables(corpus, images, folder / "tables", rng, trials),
    ]


def _parts(corpus: Corpus, folder: Path, rng: random.Random, trials: int) -> Row:
    """A damaged part of a shard under construction is computed again; the result is the same."""
    tally = Tally("damaged part of a shard", "rows of the part and of those after it")
    stage = Extraction(corpus, "pixels")
    whole, left = folder / "whole", folder / "left"
    for out in (whole, left):
        out.mkdir(parents=True)
    expect_success(run_to_end(stage.command(whole), folder / "whole.log"))
    stage.complete(whole)
    run_to_end(stage.command(left), folder / "left.log", _die_at_append(N_IMAGES // BATCH))
    for number in range(trials):
        out = folder / str(number)
        shutil.copytree(left, out)
        parts = sorted(out.glob("*.partial/*.h5"))
        chosen = rng.randrange(len(parts))
        with tally.run(rng.choice((flip_bit, cut))(parts[chosen], rng)):
            again = run_to_end(stage.command(out), folder / f"{number}.log")
            expect_success(again)
            lost = again.summary()["computed"] - (N_IMAGES - BATCH * len(parts))
            tally.lose(lost)
            expect_lost(lost, BATCH * (len(parts) - chosen), "rows")
            stage.complete(out)
            expect_same(stage.results(out), stage.results(whole))
            expect_no_strays(out)
    return tally.row


def _stores(corpus: Corpus, folder: Path, rng: random.Random, trials: int) -> list[Row]:
    """A damaged shard is not merged, a damaged store not verified; or nothing of it matters."""
    stage = Extraction(corpus, "pixels")
    folder.mkdir(parents=True)
    expect_success(run_to_end(stage.command(folder), folder / "shard.log"))
    shard, merged = stage.shard(folder), folder / "pixels.h5"
    expect_success(run_to_end(corpus.merge([shard], merged), folder / "merge.log"))
    expected, report = merged.read_bytes(), folder / "qc.json"
    expect_success(run_to_end(corpus.verify(merged, report), folder / "verify.log"))
    qc = report.read_bytes()
    of_shards = Tally("damaged shard", "refused by merge")
    of_stores = Tally("damaged store", "found by verify")
    for number in range(trials):
        shard_copy, store_copy = folder / f"{number}.shard.h5", folder / str(number) / "pixels.h5"
        store_copy.parent.mkdir()
        shutil.copyfile(shard, shard_copy)
        shutil.copyfile(merged, store_copy)
        damage, log = rng.choice((flip_bit, cut)), folder / f"{number}.log"
        with of_shards.run(damage(shard_copy, rng)):
            out = folder / f"{number}.h5"
            ended = run_to_end(corpus.merge([shard_copy], out), log)
            _refused_or(ended, shard_copy.name, lambda out=out: out.read_bytes() == expected)
        with of_stores.run(damage(store_copy, rng)):
            out = folder / f"{number}.json"
            ended = run_to_end(corpus.verify(store_copy, out), log)
            _refused_or(ended, store_copy.name, lambda out=out: out.read_bytes() == qc)
    return [of_shards.row, of_stores.row]


def _refused_or(ended, name: str, is_harmless: Callable[[], bool]) -> None:
    """The command refused the file, or gave what it gives for the undamaged one."""
    if ended.code == 0:
        expect(is_harmless(), "neither refused nor harmless")
    else:
        expect(ended.code == 2 and name in ended.log, f"exit {ended.code}: {ended.log[-300:]!r}")
        expect("Traceback" not in ended.log, f"a traceback: {ended.log[-300:]!r}")


def _store_of_a_training(training: Training, folder: Path, rng: random.Random, trials: int) -> Row:
    """A damaged store is refused before the first epoch."""
    tally = Tally("damaged store in training", "refused before the first epoch")
    folder.mkdir(parents=True)
    store = training.folder / "grid.h5"
    original = store.read_bytes()
    expect_success(run_to_end(training.command(folder / "whole"), folder / "whole.log"))
    expected = training.results(folder / "whole")
    for number in range(trials):
        out = folder / str(number)
        with tally.run(rng.choice((flip_bit, cut))(store, rng)):
            ended = run_to_end(training.command(out), folder / f"{number}.log")
            expect(ended.code == 0 or "epoch 1/" not in ended.log, "an epoch was trained")
            same = lambda out=out: training.results(out) == expected  # noqa: E731
            _refused_or(ended, store.name, same)
        store.write_bytes(original)
    return tally.row


def _training_state(training: Training, folder: Path, rng: random.Random, trials: int) -> Row:
    """A damaged state is dropped with a warning: the training starts anew, to the same bytes."""
    tally = Tally("damaged training state", "epochs: training starts anew")
    folder.mkdir(parents=True)
    stage = Fit(training)
    left, whole = folder / "left", folder / "whole"
    expect_success(run_to_end(stage.command(whole), folder / "whole.log"))
    run_to_end(stage.command(left), folder / "left.log", _die_in_epoch(4))
    files = sorted(path for path in (left / "run/state").rglob("*") if path.is_file())
    expect(len(files) > 3, "no state was left")
    for number in range(max(trials, len(files))):
        out = folder / str(number)
        shutil.copytree(left, out)
        path = out / files[number % len(files)].relative_to(left)
        with tally.run(rng.choice((flip_bit, cut, remove))(path, rng)):
            again = run_to_end(stage.command(out), folder / f"{number}.log")
            expect_success(again)
            n_begun = again.log.count(f"/{EPOCHS}: loss")
            lost = n_begun - (EPOCHS - 3)
            tally.lose(lost)
            expect_lost(lost, 3, "epochs")
            if lost:
                expect("training starts anew" in again.log, "nothing was said of it")
            expect_same(stage.results(out), stage.results(whole))
            expect_no_strays(out)
    return tally.row


def _tables(
    corpus: Corpus, training: Training, folder: Path, rng: random.Random, trials: int
) -> Row:
    """Manifests and samples that are cut off inside a line, or are no text, are named."""
    tally = Tally("damaged table", "images.tsv, train.jsonl: named")
    folder.mkdir(parents=True)
    stage = Extraction(corpus, "pixels")
    cases = [
        (corpus.bench.manifest, stage.command(folder)),
        (training.folder / "samples/train.jsonl", training.command(folder / "run")),
    ]
    for number in range(trials):
        path, command = cases[number % 2]
        original = path.read_bytes()
        damage = rng.choice((_break_line, _break_encoding))
        with tally.run(damage(path, rng)):
            expect_error(run_to_end(command, folder / f"{number}.log"), path.name)
        path.write_bytes(original)
    return tally.row


def _break_line(path: Path, rng: random.Random) -> str:
    """Cut the file off inside a line."""
    lines = path.read_bytes().splitlines(keepends=True)
    number = rng.randrange(1, len(lines))
    path.write_bytes(b"".join(lines[:number]) + lines[number][:4])
    return f"{path.name}: cut off in line {number + 1}"


def _break_encoding(path: Path, rng: random.Random) -> str:
    """Put a byte into the file that is no UTF-8."""
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data))
    data[place] = 0xFF
    path.write_bytes(data)
    return f"{path.name}: byte {place} is 0xFF"


def _die_at_append(number: int) -> Callable[[], None]:
    """Return a change that kills the child before its n-th batch is written."""

    def change() -> None:
        from extract.store.writer import FeatureWriter

        append, calls = FeatureWriter.append, [0]

        def counted(writer: FeatureWriter, results: list) -> None:
            calls[0] += 1
            if calls[0] == number:
                os.killpg(0, signal.SIGKILL)
            append(writer, results)

        FeatureWriter.append = counted

    return change


def _die_in_epoch(number: int) -> Callable[[], None]:
    """Return a change that kills the child at the beginning of an epoch."""

    def change() -> None:
        from train.training.loop import Trainer

        run_epoch = Trainer._run_epoch

        def counted(trainer: Trainer, epoch: int) -> None:
            if epoch == number:
                os.killpg(0, signal.SIGKILL)
            run_epoch(trainer, epoch)

        Trainer._run_epoch = counted

    return change
