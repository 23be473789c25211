"""`inspect`: what a feature file holds, in words, for one item or all."""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extract.store import FeatureStore

COMMAND = "inspect"
HELP = "Show what a feature file holds: columns, counts, provenance, or the rows of one id."
EXAMPLE = "python -m extract inspect results/x/features/ocr.h5 --id 17_06_12483"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file and the item."""
    parser.add_argument("file", type=Path, help="merged feature file")
    parser.add_argument("--id", help="image id whose rows to show")


def run(args: argparse.Namespace) -> None:
    """Write JSON to standard output."""
    from extract.core.logs import printable
    from extract.store import FeatureStore

    with FeatureStore(args.file) as store:
        shown = describe_item(store, args.id) if args.id else describe_store(store)
    sys.stdout.write(printable(json.dumps(shown, indent=2, ensure_ascii=False)) + "\n")


def describe_store(store: "FeatureStore") -> dict[str, Any]:
    """Return columns, counts and provenance of a store."""
    return {
        "items": len(store),
        "id_kind": store.id_kind,
        "fingerprint": store.fingerprint,
        "status": store.status_counts(),
        "outputs": vars(store.outputs),
        "provenance": store.provenance,
    }


def describe_item(store: "FeatureStore", image_id: str) -> dict[str, Any]:
    """Return status and rows of one item; features as shape, range and mean."""
    item = store.item(image_id)
    shown: dict[str, Any] = {"id": image_id, "status": item.status, "reason": item.reason}
    if item.features is not None:
        values = item.features.astype("float32")
        shown["features"] = {"shape": list(values.shape)}
        if values.size:
            stats = {"min": values.min(), "max": values.max(), "mean": values.mean()}
            shown["features"] |= {key: float(value) for key, value in stats.items()}
    if item.text is not None:
        shown["text"] = list(item.text)
    if item.boxes is not None:
        shown["boxes"] = item.boxes.tolist()
    if item.scores is not None:
        # JSON has no NaN, which stands for no score.
        shown["scores"] = [None if math.isnan(score) else score for score in item.scores.tolist()]
    if item.labels is not None:
        shown["labels"] = [item.vocabulary["labels"][label] for label in item.labels]
    if item.attributes is not None:
        shown["attributes"] = [item.attributes_of(row) for row in range(item.n_rows)]
    return shown
