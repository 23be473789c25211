"""The main path: images -> batches -> extractor -> writer, resumed where it was stopped."""

import json
import logging
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from extract.core.digests import digest
from extract.core.errors import ConfigError
from extract.core.logs import Progress
from extract.core.options import options_from
from extract.core.provenance import code_version, package_versions
from extract.core.system import keep_freed_memory
from extract.extractors.base import Extractor
from extract.features.reuse import EarlierRows, keep_finished, keep_part, unmerged_files
from extract.features.spec import FeatureSpec, load_plugin
from extract.images.unchanged import load_unchanged
from extract.networks.precision import warn_if_slower
from extract.networks.weights import check_weights, resolve_weights
from extract.store import FeatureStore, FeatureWriter, Header
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, Box, Item, ItemFeatures, Outputs, Phrase, nothing_found

logger = logging.getLogger(__name__)

# Of copied items that are written at once.
_MAX_COPIES = 1024
_MAX_COPIED_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Inputs:
    """What items carry besides their image, by image id; None where it was not given."""

    phrases: Mapping[str, tuple[Phrase, ...]] | None = None
    captions: Mapping[str, tuple[str, ...]] | None = None
    annotations: Mapping[str, tuple[Box, ...]] | None = None
    boxes: FeatureStore | None = None


@dataclass(frozen=True)
class Runtime:
    """Knobs that change no value."""

    device: str = "auto"
    batch_size: int = 16
    workers: int = 2
    threads: int = 0
    """Compute threads; 0 leaves the libraries' default."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.workers < 1 or self.threads < 0:
            raise ConfigError(
                "batch size and workers must be at least 1 and threads at least 0, got "
                f"{self.batch_size}, {self.workers} and {self.threads}"
            )


def select_shard(rows: Sequence[Any], shard: str) -> list[Any]:
    """Return the contiguous part `k-of-n` (k from 1); n > len(rows) gives empty parts.

    Raises:
        ConfigError: not of the form `3-of-8` with 1 <= k <= n.
    """
    k, _, n = shard.partition("-of-")
    if not (k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
        raise ConfigError(f"--shard: expected k-of-n such as 3-of-8, got '{shard}'")
    bounds = np.linspace(0, len(rows), int(n) + 1).round().astype(int)
    return list(rows[bounds[int(k) - 1] : bounds[int(k)]])


def make_extractor(spec: FeatureSpec) -> tuple[Extractor, Outputs]:
    """Return the extractor of a spec, weights not yet loaded, and its columns."""
    _, module = load_plugin(spec.extractor)
    if spec.version != module.VERSION:
        raise ConfigError(
            f"{spec.name}: the spec is for {spec.extractor} VERSION {spec.version}, the code is at "
            f"{module.VERSION}. Write the spec again."
        )
    extractor = module.Extractor(options_from(module.Options, spec.options, f"{spec.name}.options"))
    entries = spec.weights
    outputs = extractor.outputs_from(
        lambda role: resolve_weights(entries[role], entries[role]["name"])
    )
    return extractor, outputs


def resolve_device(device: str) -> str:
    """Return `cpu` or `cuda`; `auto` is cuda where torch finds one."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def run_extraction(
    spec: FeatureSpec,
    images: Sequence[ImageRow],
    out: Path,
    inputs: Inputs,
    *,
    shard: str = "1-of-1",
    runtime: Runtime | None = None,
    reuse: Path | None = None,
) -> dict[str, int]:
    """Compute one shard of a feature set and write it to `out`.

    A shard that was stopped continues from the folder `<out>.partial`. Rows that were computed
    before with the same spec from the same inputs are copied: those of `reuse` (an earlier merged
    file) and those of runs that were not merged.

    Returns:
        Status name -> number of items.
    """
    runtime = runtime or Runtime()
    extractor, outputs = make_extractor(spec)
    _refuse_missing_inputs(spec, extractor, images, inputs)
    rows = select_shard(images, shard)
    header = _header(spec, extractor, outputs, rows, inputs)
    partial = out.with_name(out.name + ".partial")
    writer = FeatureWriter(partial, header, set_aside=lambda part: keep_part(part, out))
    first, started = writer.n_done, time.monotonic()
    if writer.note:
        logger.warning("%s %s: continued from item %d only", writer.path, writer.note, first)
    logger.info(
        "%s shard %s: %s VERSION %d, fingerprint %.12s, %d items, %d already done",
        spec.name, shard, spec.extractor, spec.version, spec.fingerprint, len(rows), first,
    )  # fmt: skip
    files = [*([reuse] if reuse else []), *unmerged_files(out)] if first < len(rows) else []
    earlier = EarlierRows(files, header, rows)
    job = _Job(spec, extractor, outputs, rows, inputs, header, runtime, earlier)
    progress = Progress(f"{spec.name} shard {shard}", len(rows), done=first)
    for results in job.results(first):
        writer.append(results)
        progress.update(len(results))
    writer.finish(out, _provenance(spec, extractor), keep=keep_finished)
    with FeatureStore(out) as store:
        counts = store.status_counts()
    _log_summary(spec, shard, counts, len(rows) - first, time.monotonic() - started, job)
    return counts


class _Job:
    """The batches of one shard: decode ahead in threads, extract in order."""

    def __init__(
        self,
        spec: FeatureSpec,
        extractor: Extractor,
        outputs: Outputs,
        rows: Sequence[ImageRow],
        inputs: Inputs,
        header: Header,
        runtime: Runtime,
        earlier: EarlierRows,
    ) -> None:
        self.spec, self.extractor, self.outputs, self.rows = spec, extractor, outputs, rows
        self.inputs, self.input_sha256, self.runtime = inputs, header.input_sha256, runtime
        self.copied: list[int] = []
        """Places in `rows` of the items taken from earlier files."""
        self.device = ""
        """Where the weights are; empty before they are loaded."""
        self.loading_s = 0.0
        """Seconds to import the libraries and load the weights."""
        self._batch_size = runtime.batch_size
        self._earlier = earlier

    def results(self, first: int) -> Iterator[list[ItemFeatures]]:
        """Yield the results from item `first` on: of each batch that is computed, when it is.

        Batches of copies alone are joined: a file each would cost more than the copying.
        """
        waiting: list[ItemFeatures] = []
        for prepared in self._prepared(first):
            waiting += self._finish(prepared)
            is_computed = any(isinstance(item, Item) for item in prepared)
            if is_computed or len(waiting) >= _MAX_COPIES or _n_bytes(waiting) >= _MAX_COPIED_BYTES:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _prepared(self, first: int) -> Iterator[list[Item | ItemFeatures]]:
        """Yield the batches from item `first` on, each item decoded or copied."""
        size = self.runtime.batch_size
        places = range(first, len(self.rows))
        batches = [places[i : i + size] for i in range(0, len(places), size)]
        with ThreadPoolExecutor(max_workers=max(1, self.runtime.workers)) as pool:
            # Two batches ahead keep the decoders busy with bounded memory.
            ahead = [pool.map(self._prepare, batch) for batch in batches[:2]]
            for number in range(len(batches)):
                prepared = list(ahead.pop(0))
                if number + 2 < len(batches):
                    ahead.append(pool.map(self._prepare, batches[number + 2]))
                yield prepared

    def _prepare(self, place: int) -> Item | ItemFeatures:
        """Return an item to extract, or the result when none has to be computed."""
        copy = self._earlier.get(self.input_sha256[place])
        if copy is not None:
            self.copied.append(place)
            return copy
        row = self.rows[place]
        if row.status != "ok" and _reads_images(self.extractor):
            empty = nothing_found(row.reason or row.status, self.outputs)
            return replace(empty, status=STATUS[row.status])
        if "image" not in self.extractor.needs:
            return make_item(self.extractor, row.image_id, self.inputs)
        image = load_unchanged(row, draft_px=self.extractor.draft_px)
        item = make_item(self.extractor, row.image_id, self.inputs, image)
        prepared = self.extractor.prepare(item)
        # A square of the network's size is kept in place of the whole photo.
        return item if prepared is None else replace(item, image=None, prepared=prepared)

    def _finish(self, prepared: Sequence[Item | ItemFeatures]) -> list[ItemFeatures]:
        todo = [item for item in prepared if isinstance(item, Item)]
        done = iter(self._extract(todo)) if todo else iter(())
        return [next(done) if isinstance(item, Item) else item for item in prepared]

    def _extract(self, items: list[Item]) -> list[ItemFeatures]:
        """Extract, halving the batch whenever the GPU runs out of memory."""
        self._load_weights()
        results: list[ItemFeatures] = []
        while len(results) < len(items):
            batch = items[len(results) : len(results) + self._batch_size]
            try:
                found = self.extractor.extract(batch)
                results += [result for _, result in zip(batch, found, strict=True)]
            except RuntimeError as error:
                if type(error).__name__ != "OutOfMemoryError" or len(batch) == 1:
                    raise
                self._batch_size = max(1, len(batch) // 2)
                logger.warning("out of GPU memory: batch size is now %d", self._batch_size)
        return results

    def _load_weights(self) -> None:
        """Load weights at the first batch that computes something."""
        if self.device:
            return
        started = time.monotonic()
        self.device = resolve_device(self.runtime.device) if self.extractor.roles else "cpu"
        entries = self.spec.weights
        for role, entry in entries.items():
            if "random" in entry:
                logger.warning("%s: RANDOM weights for role %s (asked for)", self.spec.name, role)
        paths = {role: resolve_weights(entry, entry["name"]) for role, entry in entries.items()}
        for role, entry in entries.items():
            check_weights(entry, paths[role], of_spec=True)
        threads = self.runtime.threads
        if threads:
            # Read by torch when it is imported; set below where it already was.
            os.environ["OMP_NUM_THREADS"] = str(threads)
        if self.device == "cpu":
            keep_freed_memory()
        compute = getattr(self.extractor.options, "compute", "float32")
        warn_if_slower("bf16" if compute == "bfloat16" else "fp32", self.device)
        self.extractor.load(paths, self.device)
        self.loading_s = time.monotonic() - started
        if threads and "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)


def _n_bytes(results: Sequence[ItemFeatures]) -> int:
    """Return the size of the features, the column that may be large."""
    return sum(0 if result.features is None else result.features.nbytes for result in results)


def make_item(extractor: Extractor, image_id: str, inputs: Inputs, image: Any = None) -> Item:
    """Return the item of one image with exactly what the extractor needs."""
    needs = extractor.needs
    listed = {
        name: tuple(getattr(inputs, name).get(image_id, ()))
        for name in ("phrases", "captions", "annotations")
        if name in needs
    }
    boxes = inputs.boxes.item(image_id).boxes if "boxes" in needs else None
    return Item(image_id=image_id, image=image, boxes=boxes, **listed)


def _header(
    spec: FeatureSpec,
    extractor: Extractor,
    outputs: Outputs,
    rows: Sequence[ImageRow],
    inputs: Inputs,
) -> Header:
    # Another release of a program would give other rows: what it is counts as an input.
    tools = sorted(_tool_versions(extractor).items())
    sums = (digest([*_describe_inputs(extractor, row, inputs), *tools]) for row in rows)
    return Header(
        fingerprint=spec.fingerprint,
        outputs=outputs,
        ids=tuple(row.image_id for row in rows),
        input_sha256=tuple(sums),
        image_size=np.array([(row.height, row.width) for row in rows], np.int32).reshape(-1, 2),
    )


def _describe_inputs(extractor: Extractor, row: ImageRow, inputs: Inputs) -> list[Any]:
    """Return, JSON-able, all that the rows of one image depend on."""
    item = make_item(extractor, row.image_id, inputs)
    # The image counts for its status even where only its phrases or boxes are read.
    parts: list[Any] = [row.sha256, row.status, row.reason] if _reads_images(extractor) else []
    parts += [row.image_id] if "id" in extractor.needs else []
    parts += [[p.text, p.start, p.end] for p in item.phrases]
    parts += list(item.captions)
    parts += [[b.text, list(b.xyxy), repr(b.score)] for b in item.annotations]
    return parts + ([item.boxes.tolist()] if item.boxes is not None else [])


def _reads_images(extractor: Extractor) -> bool:
    """True for all but extractors of the corpus's own texts."""
    return extractor.needs != {"captions"}


def _refuse_missing_inputs(
    spec: FeatureSpec, extractor: Extractor, images: Sequence[ImageRow], inputs: Inputs
) -> None:
    for name in sorted(extractor.needs - {"image", "id"}):
        if getattr(inputs, name) is None:
            raise ConfigError(f"{spec.name}: {spec.extractor} reads {name}; give it --{name}.")
    no_images = images and all(row.status == "no_images" for row in images)
    if no_images and _reads_images(extractor):
        raise ConfigError(
            f"{spec.name}: {spec.extractor} reads images, but the corpus has none "
            "(`images: null`). Leave it out of `run.feature_sets` or give the corpus its folder."
        )


def _tool_versions(extractor: Extractor) -> dict[str, str]:
    """Return the programs outside Python that an extractor calls."""
    return extractor.tool_versions() if hasattr(extractor, "tool_versions") else {}


def _provenance(spec: FeatureSpec, extractor: Extractor) -> dict[str, Any]:
    """Only what the inputs determine: an interrupted or reusing run writes the same."""
    return {
        "code": code_version(),
        "spec": spec.provenance(),
        "packages": package_versions(),
        "tools": _tool_versions(extractor),
    }


def _log_summary(
    spec: FeatureSpec, shard: str, counts: dict[str, int], done: int, seconds: float, job: _Job
) -> None:
    summary = {
        "features": spec.name,
        "shard": shard,
        "status": counts,
        "computed": done - len(job.copied),
        "copied": len(job.copied),
        "seconds": round(seconds, 2),
        "loading_s": round(job.loading_s, 2),
        "items_per_s": round(done / seconds, 1) if seconds else None,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    if job.device == "cuda":
        torch = sys.modules["torch"]
        summary["peak_gpu_mb"] = torch.cuda.max_memory_allocated() // 2**20
        summary["device"] = torch.cuda.get_device_name()
    logger.info("%s", json.dumps(summary))
