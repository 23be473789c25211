"""`phrases`: samples -> what to look for in their images, one JSON line a sample.

That is noun phrases or nouns with token offsets, or a word an entity type: the backend says.
"""

import argparse
import json
import logging
import time
from pathlib import Path

from extract.core.errors import ConfigError, DataError
from extract.core.files import atomic_path
from extract.core.options import options_from
from extract.core.registry import load_module
from extract.phrases.base import PhraseExtractor
from extract.tables.rows import Phrase
from extract.tables.samples import Sample, read_samples

HELP = "Find the noun phrases (or nouns) of samples, with token offsets."
EXAMPLE = (
    "python -m extract phrases --backend textblob "
    "--samples results/x/samples/train.jsonl --out results/x/phrases/textblob.jsonl"
)

_BATCH = 256

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare backend, samples and output."""
    parser.add_argument("--backend", default="textblob", help="a file in extract/phrases/")
    parser.add_argument("--samples", type=Path, nargs="+", required=True, help="samples/*.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines: id, phrases")
    parser.add_argument("--options", default="{}", help='as JSON, e.g. {"query": "nouns"}')
    parser.add_argument("--weights", type=Path, help="model folder of a backend that has one")


def run(args: argparse.Namespace) -> None:
    """Write a record for every sample, in order; a sample without phrase gets an empty list."""
    backend = load_backend(args.backend, args.options)
    samples = [sample for path in args.samples for sample in read_samples(path)]
    _check_unique(samples)
    logger.info("phrases: backend %s, %d samples", args.backend, len(samples))
    backend.load(args.weights)
    started = time.monotonic()
    n_phrases, without = 0, []
    with atomic_path(args.out) as tmp, tmp.open("w", encoding="utf-8") as file:
        for first in range(0, len(samples), _BATCH):
            chunk = samples[first : first + _BATCH]
            for sample, phrases in zip(chunk, _find(backend, chunk), strict=True):
                file.write(json.dumps(_record(sample, phrases), ensure_ascii=False) + "\n")
                n_phrases += len(phrases)
                if not phrases:
                    without.append(sample.id)
    logger.debug("no phrase in: %s", " ".join(without))
    counts = {"samples": len(samples), "phrases": n_phrases, "no_phrase": len(without)}
    logger.info(json.dumps({**counts, "seconds": round(time.monotonic() - started, 1)}))


def load_backend(name: str, options_json: str = "{}") -> PhraseExtractor:
    """Return the backend of that name with its options; its model is not opened yet.

    Raises:
        ConfigError: no such backend, or the options are not its own.
    """
    module = load_module("extract.phrases", name)
    try:
        mapping = json.loads(options_json)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--options: not JSON ({error.msg}): {options_json!r}") from error
    return module.Backend(options_from(module.Options, mapping, f"phrases {name} options"))


def _find(backend: PhraseExtractor, samples: list[Sample]) -> list[list[Phrase]]:
    return backend.phrases_of_many(
        [sample.tokens for sample in samples], [sample.id for sample in samples]
    )


def _record(sample: Sample, phrases: list[Phrase]) -> dict:
    items = [{"text": item.text, "start": item.start, "end": item.end} for item in phrases]
    return {"id": sample.id, "phrases": items}


def _check_unique(samples: list[Sample]) -> None:
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise DataError(f"--samples: sample id {sample.id!r} occurs twice")
        seen.add(sample.id)
