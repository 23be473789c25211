"""The main path: images -> batches -> extractor -> writer, resumed where it was stopped."""

import json
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from extract.errors import ConfigError
from extract.extractors.base import Box, Extractor, Item, ItemFeatures, Outputs, Phrase
from extract.images import UnreadableImage, load_image
from extract.logs import Progress
from extract.manifest import STATUS, ImageRow
from extract.options import options_from
from extract.provenance import code_version, package_versions
from extract.spec import FeatureSpec, digest, load_plugin
from extract.store import FeatureStore, FeatureWriter, Header
from extract.weights import resolve_weights

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """What items carry besides their image, by image id; empty where the extractor reads none."""

    phrases: Mapping[str, tuple[Phrase, ...]] = field(default_factory=dict)
    captions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    annotations: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    boxes: FeatureStore | None = None


@dataclass(frozen=True)
class Runtime:
    """Knobs that change no value."""

    device: str = "auto"
    batch_size: int = 16
    workers: int = 2


def select_shard(rows: Sequence[Any], shard: str) -> list[Any]:
    """Return the contiguous part `k-of-n` (k from 1); n > len(rows) gives empty parts.

    Raises:
        ConfigError: not of the form `3-of-8` with 1 <= k <= n.
    """
    k, _, n = shard.partition("-of-")
    if not (k.isdigit() and n.isdigit() and 1 <= int(k) <= int(n)):
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
    options = options_from(module.Options, spec.options, f"{spec.name}.options")
    return module.Extractor(options), module.Extractor.outputs(options)


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

    A shard that was stopped continues from `<out>.partial`; rows of `reuse` (an earlier merged
    file) whose spec and inputs are unchanged are copied.

    Returns:
        Status name -> number of items.
    """
    runtime = runtime or Runtime()
    extractor, outputs = make_extractor(spec)
    rows = select_shard(images, shard)
    _refuse_corpus_without_images(spec, extractor, rows)
    items = [_describe_inputs(extractor, row, inputs) for row in rows]
    header = Header(
        fingerprint=spec.fingerprint,
        outputs=outputs,
        ids=tuple(row.image_id for row in rows),
        input_sha256=tuple(digest(item) for item in items),
        image_size=np.array([(row.height, row.width) for row in rows], np.int32).reshape(-1, 2),
    )
    writer = FeatureWriter(out.with_name(out.name + ".partial"), header)
    if writer.note:
        logger.warning("%s %s: this shard starts again", writer.path, writer.note)
    logger.info(
        "%s shard %s: %s VERSION %d, fingerprint %.12s, %d items, %d already done",
        spec.name, shard, spec.extractor, spec.version, spec.fingerprint, len(rows), writer.n_done,
    )  # fmt: skip
    started = time.monotonic()
    job = _Job(spec, extractor, outputs, rows, inputs, header, runtime, reuse)
    progress = Progress(f"{spec.name} shard {shard}", len(rows), done=writer.n_done)
    counts: dict[str, int] = dict.fromkeys(STATUS, 0)
    try:
        first = writer.n_done
        for results in job.results(first):
            writer.append(results)
            progress.update(len(results))
        writer.finish(out, _provenance(spec, extractor))
    finally:
        if writer.is_open:
            writer.close()
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
        reuse: Path | None,
    ) -> None:
        self.spec, self.extractor, self.outputs, self.rows = spec, extractor, outputs, rows
        self.inputs, self.runtime = inputs, runtime
        self.copied = 0
        self.device = ""
        self._batch_size = runtime.batch_size
        self._old = _reusable(reuse, header)

    def results(self, first: int) -> Iterator[list[ItemFeatures]]:
        """Yield the results of each batch from item `first` on."""
        size = self.runtime.batch_size
        batches = [self.rows[i : i + size] for i in range(first, len(self.rows), size)]
        with ThreadPoolExecutor(max_workers=max(1, self.runtime.workers)) as pool:
            # Two batches ahead keep the decoders busy with bounded memory.
            ahead = [pool.map(self._prepare, batch) for batch in batches[:2]]
            for number in range(len(batches)):
                prepared = list(ahead.pop(0))
                if number + 2 < len(batches):
                    ahead.append(pool.map(self._prepare, batches[number + 2]))
                yield self._finish(prepared)

    def _prepare(self, row: ImageRow) -> Item | ItemFeatures:
        """Return an item to extract, or the result when none has to be computed."""
        old = self._old(row.image_id)
        if old is not None:
            self.copied += 1
            return old
        needs = self.extractor.needs
        if row.status != "ok" and needs != {"captions"}:
            return self._bad(row.status, row.reason or row.status)
        image = None
        if "image" in needs:
            try:
                image = load_image(Path(row.path))
            except UnreadableImage as error:
                return self._bad("unreadable", str(error))
        return make_item(self.extractor, row.image_id, self.inputs, image)

    def _bad(self, status: str, reason: str) -> ItemFeatures:
        return _empty(self.outputs, status, reason)

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
                results += self.extractor.extract(batch)
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
        self.device = resolve_device(self.runtime.device) if self.extractor.roles else "cpu"
        entries = self.spec.weights
        for role, entry in entries.items():
            if "random" in entry:
                logger.warning("%s: RANDOM weights for role %s (asked for)", self.spec.name, role)
        paths = {role: resolve_weights(entry, entry["name"]) for role, entry in entries.items()}
        self.extractor.load(paths, self.device)


def make_item(extractor: Extractor, image_id: str, inputs: Inputs, image: Any = None) -> Item:
    """Return the item of one image with exactly what the extractor needs."""
    needs = extractor.needs
    boxes = None
    if "boxes" in needs and inputs.boxes is not None:
        boxes = inputs.boxes.item(image_id).boxes
    return Item(
        image_id=image_id,
        image=image,
        phrases=tuple(inputs.phrases.get(image_id, ())) if "phrases" in needs else (),
        boxes=boxes,
        captions=tuple(inputs.captions.get(image_id, ())) if "captions" in needs else (),
        annotations=tuple(inputs.annotations.get(image_id, ())) if "annotations" in needs else (),
    )


def _describe_inputs(extractor: Extractor, row: ImageRow, inputs: Inputs) -> list[Any]:
    """Return, JSON-able, all that the rows of one image depend on."""
    item = make_item(extractor, row.image_id, inputs)
    # The image counts for its status even where only its phrases or boxes are read.
    parts: list[Any] = [] if extractor.needs == {"captions"} else [row.sha256, row.status]
    if extractor.needs == {"captions"}:
        parts.append(row.image_id)
    parts += [[p.text, p.start, p.end] for p in item.phrases]
    parts += list(item.captions)
    parts += [[b.text, list(b.xyxy), repr(b.score)] for b in item.annotations]
    return parts + ([item.boxes.tolist()] if item.boxes is not None else [])


def _refuse_corpus_without_images(
    spec: FeatureSpec, extractor: Extractor, rows: Sequence[ImageRow]
) -> None:
    needs_image = extractor.needs != {"captions"}
    if needs_image and rows and all(row.status == "no_images" for row in rows):
        raise ConfigError(
            f"{spec.name}: {spec.extractor} reads images, but the corpus has none (`images: null`). "
            "Leave it out of `run.feature_sets` or give the corpus its image folder."
        )


def _empty(outputs: Outputs, status: str, reason: str) -> ItemFeatures:
    from dataclasses import replace

    from extract.extractors.base import nothing_found

    return replace(nothing_found(reason, outputs), status=STATUS[status])


def _reusable(path: Path | None, header: Header) -> Callable[[str], ItemFeatures | None]:
    """Return a look-up of unchanged rows in an earlier merged file."""
    if path is None or not path.is_file():
        return lambda image_id: None
    store = FeatureStore(path)
    if store.fingerprint != header.fingerprint:
        logger.info("%s is of another spec: nothing is reused", path)
        return lambda image_id: None
    old = store.input_sha256()
    new = dict(zip(header.ids, header.input_sha256, strict=True))

    def look_up(image_id: str) -> ItemFeatures | None:
        if old.get(image_id) != new[image_id]:
            return None
        item = store.item(image_id)
        return ItemFeatures(
            item.features, item.text, item.boxes, item.scores, item.labels, item.status, item.reason
        )

    return look_up


def _provenance(spec: FeatureSpec, extractor: Extractor) -> dict[str, Any]:
    tools = extractor.tool_versions() if hasattr(extractor, "tool_versions") else {}
    return {
        "code": code_version(),
        "spec": spec.provenance(),
        "packages": package_versions(),
        "tools": tools,
    }


def _log_summary(
    spec: FeatureSpec, shard: str, counts: dict[str, int], computed: int, seconds: float, job: _Job
) -> None:
    summary = {
        "features": spec.name,
        "shard": shard,
        "status": counts,
        "computed": computed - job.copied,
        "copied": job.copied,
        "seconds": round(seconds, 1),
        "items_per_s": round(computed / seconds, 1) if seconds else None,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    if job.device == "cuda":
        torch = sys.modules["torch"]
        summary["peak_gpu_mb"] = torch.cuda.max_memory_allocated() // 2**20
        summary["device"] = torch.cuda.get_device_name()
    logger.info("%s", json.dumps(summary))
