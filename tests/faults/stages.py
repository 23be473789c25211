"""The stages of the pipeline that faults happen to."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.faults.checks import contents, expect_success
from tests.faults.corpus import BATCH, Corpus
from tests.faults.kills import Stage
from tests.faults.processes import Command, Ended, SharedCount, extract, run_to_end
from tests.faults.trainings import Training


class Extraction(Stage):
    """`extract features` of one plug-in, then `merge`."""

    limit, unit = BATCH, "rows"

    def __init__(self, corpus: Corpus, plugin: str) -> None:
        self.name, self.corpus, self.plugin = f"features ({plugin})", corpus, plugin
        self._computed = SharedCount()
        corpus.bench.write_spec(plugin)

    def shard(self, out: Path) -> Path:
        """Return the shard's path."""
        return out / f"{self.plugin}.1-of-1.h5"

    def command(self, out: Path) -> Command:
        return self.corpus.features(self.plugin, self.shard(out))

    def change(self) -> None:
        """Count rows as they come from the extractor, before they are written."""
        from extract.store.writer import FeatureWriter

        append = FeatureWriter.append

        def counted(writer: FeatureWriter, results: list) -> None:
            self._computed.add(len(results))
            append(writer, results)

        FeatureWriter.append = counted

    def reset(self) -> None:
        self._computed.value = 0

    def lost(self, out: Path, again: Ended) -> int:
        return self._computed.value + again.summary()["computed"] - len(self.corpus.bench.image_ids)

    def complete(self, out: Path) -> None:
        merged = out / f"{self.plugin}.h5"
        expect_success(run_to_end(self.corpus.merge([self.shard(out)], merged), out / "merge.log"))

    def results(self, out: Path) -> Mapping[str, bytes]:
        return contents(out, "*.h5")


class Crops(Stage):
    """`extract crops` of the annotated boxes: what is counted are crop files."""

    name, limit, unit = "crops", 2, "crops"

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._cut = SharedCount()

    def command(self, out: Path) -> Command:
        bench = self.corpus.bench
        store = bench.folder / "features/annotations.h5"
        flags = ("--store", store, "--images", bench.manifest, "--out", out / "crops")
        return extract("crops", *flags)

    def change(self) -> None:
        """Count crops as they are written, before they are recorded."""
        from extract.crops.record import CropRecord

        add = CropRecord.add

        def counted(record: CropRecord, *arguments: object) -> None:
            self._cut.add(1)
            add(record, *arguments)

        CropRecord.add = counted

    def reset(self) -> None:
        self._cut.value = 0

    def lost(self, out: Path, again: Ended) -> int:
        counts = again.summary()
        return self._cut.value + counts["cut"] - counts["crops"]

    def results(self, out: Path) -> Mapping[str, bytes]:
        return contents(out, "crops/*")


class Fit(Stage):
    """`train fit` of one system."""

    unit = "epochs"

    def __init__(self, training: Training) -> None:
        self.name, self.training = f"fit ({training.name})", training
        self.limit = training.checkpoint_every
        self._begun = SharedCount()

    def command(self, out: Path) -> Command:
        return self.training.command(out / "run")

    def change(self) -> None:
        """Note the last epoch that was begun."""
        from train.training.loop import Trainer

        run_epoch = Trainer._run_epoch

        def noted(trainer: Trainer, epoch: int) -> None:
            self._begun.value = epoch
            run_epoch(trainer, epoch)

        Trainer._run_epoch = noted

    def reset(self) -> None:
        self._begun.value = 0

    def lost(self, out: Path, again: Ended) -> int:
        if "is trained already" in again.log:
            return 0
        times = json.loads((out / "run/fit.run.json").read_text(encoding="utf-8"))
        return self._begun.value - times["resumed_from"]

    def results(self, out: Path) -> Mapping[str, bytes]:
        return self.training.results(out / "run")


class Files(Stage):
    """A stage whose files are made anew as a whole.

    Args:
        name: of the table.
        command: folder -> what writes into it.
        patterns: of the final files; `**` may stand for folders.
    """

    def __init__(self, name: str, command: Callable[[Path], Command], *patterns: str) -> None:
        self.name, self._command, self._patterns = name, command, patterns

    def command(self, out: Path) -> Command:
        return self._command(out)

    def results(self, out: Path) -> Mapping[str, bytes]:
        return contents(out, *self._patterns)


def merge_stage(corpus: Corpus, folder: Path, n_shards: int = 3) -> Files:
    """Make the shards of a pixel store in a folder; return the stage that merges them."""
    corpus.bench.write_spec("pixels")
    shards = [folder / f"pixels.{number}-of-{n_shards}.h5" for number in range(1, n_shards + 1)]
    for shard in shards:
        command = corpus.features("pixels", shard, "--shard", shard.suffixes[-2][1:])
        expect_success(run_to_end(command, shard.with_suffix(".log")))
    return Files("merge", lambda out: corpus.merge(shards, out / "pixels.h5"), "*.h5")
