"""metrics.json files and predictions -> groups of seeds, what every table is made of.

A group is a dataset, a system and a variant, over seeds. A main run that trained a second view
named `text` gives the variant `text_view` as well: the same weights without the image. Other views
stay in metrics.json.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from extract.core.errors import DataError, MissingFileError
from train.measures.metrics import per_tweet_counts
from train.measures.predictions import TaggedText, read_predictions

K = TypeVar("K", bound=Hashable)

BASELINE = "text_crf"
MAIN = "main"
VARIANT_ORDER = (MAIN, "text_view", "shuffled", "blank")
"""The variants that every system can have; `without_<role>` and others follow by name."""


@dataclass(frozen=True)
class SeedResult:
    """One view of one evaluated run."""

    dataset: str
    system: str
    variant: str
    run: str
    seed: int
    slices: dict[str, dict[str, Any]]
    """Slice -> scores."""
    predictions: Path
    repaired: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Slice -> scores against the repaired gold, where the corpus has one."""


Group = tuple[str, str, str]
"""(dataset, system, variant)"""


def read_results(paths: Sequence[Path], dataset: str = "") -> dict[Group, list[SeedResult]]:
    """Read metrics.json files into groups of seeds.

    Args:
        paths: metrics.json files; their predictions lie beside them.
        dataset: id for files that name none.

    Returns:
        Groups in the order of the files, the baseline first and variants of a system together
        (`variant_order`); seeds ascending.

    Raises:
        MissingFileError: no such file.
        DataError: a run and seed is given twice.
    """
    results = [result for path in paths for result in read_views(Path(path), dataset)]
    groups = group_seeds(_tell_apart(results), lambda r: (r.dataset, r.system, r.variant))
    return {key: groups[key] for key in _ordered(groups)}


def group_seeds(
    results: Iterable[SeedResult], key: Callable[[SeedResult], K]
) -> dict[K, list[SeedResult]]:
    """Return results by key, in order of appearance; the seeds of each ascending.

    Raises:
        DataError: a run and seed is given twice.
    """
    groups: dict[K, list[SeedResult]] = defaultdict(list)
    for result in results:
        group = groups[key(result)]
        if any(other.seed == result.seed for other in group):
            raise DataError(
                f"{result.predictions.parent}: dataset {result.dataset}, run {result.run}, seed "
                f"{result.seed} is given twice."
            )
        group.append(result)
    for group in groups.values():
        group.sort(key=lambda result: result.seed)
    return dict(groups)


def read_views(path: Path, dataset: str = "") -> list[SeedResult]:
    """Return the headline view of a metrics.json and, of a main run, its text view.

    Raises:
        DataError: the file holds something else, such as a diagnosis.
        MissingFileError: no such file.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; `python -m train evaluate` writes it.")
    metrics = json.loads(path.read_text(encoding="utf-8"))
    if "views" not in metrics:
        raise DataError(
            f"{path}: expected the scores that `python -m train evaluate` writes. A diagnosis "
            "(best_test.json) is no result."
        )
    headline, variant = metrics["headline_view"], metrics["variant"]
    chosen = {headline: (variant, "predictions.conll")}
    trained = metrics.get("trained_views", metrics["views"])
    if variant == MAIN and headline != "text" and "text" in trained:
        chosen["text"] = ("text_view", "predictions_text.conll")
    return [
        SeedResult(
            dataset=metrics["dataset"] or dataset,
            system=metrics["system"],
            variant=label,
            run=metrics["run"],
            seed=metrics["seed"],
            slices=metrics["views"][view],
            predictions=path.parent / name,
            repaired=metrics.get("repaired", {}).get(view, {}),
        )
        for view, (label, name) in chosen.items()
    ]


def variant_order(variant: str) -> tuple[int, str]:
    """Return the key that sorts variants: main, text_view, shuffled, blank, then by name."""
    known = variant in VARIANT_ORDER
    return (VARIANT_ORDER.index(variant) if known else len(VARIANT_ORDER), variant)


def entry_of(run: str, variant: str) -> str:
    """Return the model entry whose run or control this is: `ita-shuffled` -> `ita`.

    A control that is an entry of its own belongs to the one it is named after: `ita_shuffled`.
    """
    if variant == MAIN:
        return run
    for separator in "-_":
        run = run.removesuffix(f"{separator}{variant}")
    return run


def _tell_apart(results: list[SeedResult]) -> list[SeedResult]:
    """Name systems that several entries train `system:entry`, so that seeds are not mixed."""
    entries: dict[str, set[str]] = defaultdict(set)
    for result in results:
        entries[result.system].add(entry_of(result.run, result.variant))
    return [
        replace(result, system=f"{result.system}:{entry_of(result.run, result.variant)}")
        if len(entries[result.system]) > 1
        else result
        for result in results
    ]


def _ordered(groups: Iterable[Group]) -> list[Group]:
    """Return groups by dataset and system in order of appearance, the baseline before others."""
    groups = list(groups)
    datasets = list(dict.fromkeys(group[0] for group in groups))
    systems = list(dict.fromkeys(group[1] for group in groups))
    systems.sort(key=lambda system: base_system(system) != BASELINE)
    return sorted(
        groups,
        key=lambda g: (datasets.index(g[0]), systems.index(g[1]), variant_order(g[2])),
    )


def base_system(system: str) -> str:
    """Return the registered name of a system that may be named `system:entry`."""
    return system.partition(":")[0]


def tweet_counts(groups: Mapping[K, Sequence[SeedResult]]) -> dict[K, np.ndarray]:
    """Return each group's per-tweet counts, shape (S, N, 3), all on the same tweets.

    Raises:
        DataError: the predictions are about other tweets or other gold tags.
    """
    taggings = aligned_predictions(chain.from_iterable(groups.values()))
    return {
        name: np.stack(
            [
                per_tweet_counts([t.gold for t in texts], [t.pred for t in texts])
                for texts in islice(taggings, len(results))
            ]
        )
        for name, results in groups.items()
    }


def aligned_predictions(results: Iterable[SeedResult]) -> Iterator[list[TaggedText]]:
    """Yield the predictions of each run of a dataset, all on the same tweets.

    Raises:
        DataError: the predictions are about other tweets or other gold tags.
    """
    reference: list[tuple[list[str], list[str]]] | None = None
    for result in results:
        texts = read_predictions(result.predictions)
        found = [(text.tokens, text.gold) for text in texts]
        reference = found if reference is None else reference
        if found != reference:
            raise DataError(
                f"{result.predictions}: other tweets or gold tags than the first run of "
                f"dataset {result.dataset}. Evaluate all runs on the same samples file."
            )
        yield texts
