"""Published numbers beside ours, and whether the two may be compared.

`published.json` has two parts. `encoders`: name -> `parameters` in words and the values of `config`
(config.json of transformers) that tell the encoder. `results`: published scores, see `Published`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from extract.core.errors import ConfigError
from train.training.run_folder.names import ASSETS, RUN

TABLE = Path(__file__).with_name("published.json")
PROVENANCES = ("own", "second_hand")
NO_ENCODER = "word vectors"
"""What a system without a pretrained text encoder has."""


@dataclass(frozen=True)
class Published:
    """A published score of a system."""

    system: str
    dataset: str
    """Id of the config: twitter2015, twitter2017, ..."""
    f1: float
    """Entity micro F1 on test, percent."""
    encoder: str
    """As the source names it."""
    source: str
    """Publication, and the table or page that the number was read from."""
    provenance: str
    """`own`: of the authors' publication or repository; `second_hand`: of somebody else's table."""
    comparable_if: dict[str, Any]
    """`encoder`: names of which a run must have one; `features`: roles that it must read; `n_test`:
    tweets of the test split, which tells corpora of one name apart, not their copies."""
    obstacle: str = ""
    """Why no run of ours is comparable; empty where one can be."""
    doubts: Sequence[str] = ()
    """What is not known of it and could make it another quantity."""
    note: str = ""


@dataclass(frozen=True)
class RunFacts:
    """What decides whether a run may be compared."""

    encoder: str
    """A name of published.json, `word vectors`, or the shape of another; empty if not known."""
    features: frozenset[str]
    n_test: int
    gold: str = "original"
    """Which tags it was trained on."""
    precision: str = ""
    """`fp32` or `bf16`, what it was trained and is scored in; empty if not known."""


@cache
def published_table() -> tuple[dict[str, dict[str, Any]], tuple[Published, ...]]:
    """Return the encoders and the results of published.json.

    Raises:
        ConfigError: an entry breaks the form above.
    """
    content = json.loads(TABLE.read_text(encoding="utf-8"))
    results = tuple(Published(**entry) for entry in content["results"])
    for entry in results:
        where = f"{TABLE.name}: {entry.system} on {entry.dataset}"
        if entry.provenance not in PROVENANCES:
            raise ConfigError(f"{where}: provenance should be one of {', '.join(PROVENANCES)}.")
        if not 0 < entry.f1 < 100 or not entry.source:
            raise ConfigError(f"{where}: an F1 in percent and its source are needed.")
    return content["encoders"], results


def run_facts(folder: Path, n_test: int) -> RunFacts:
    """Return what run.json and the saved encoder config of a run folder tell.

    Scores may lie in another folder than their run; the encoder is then not known.
    """
    run, config = Path(folder) / RUN, Path(folder) / ASSETS / "encoder" / "config.json"
    if not run.is_file():
        return RunFacts("", frozenset(), n_test)
    encoder = NO_ENCODER
    if config.is_file():
        encoder = encoder_name(json.loads(config.read_text(encoding="utf-8")))
    info = json.loads(run.read_text(encoding="utf-8"))
    recipe = info.get("recipe", {})
    return RunFacts(
        encoder,
        frozenset(info.get("features", {})),
        n_test,
        gold=recipe.get("gold", "original"),
        precision=recipe.get("precision", ""),
    )


def encoder_name(config: Mapping[str, Any]) -> str:
    """Return the name of a text encoder by the shape of its network, or that shape."""
    for name, entry in published_table()[0].items():
        if all(config.get(key) == value for key, value in entry["config"].items()):
            return name
    layers, width = (config.get(key, "?") for key in ("num_hidden_layers", "hidden_size"))
    return f"{config.get('model_type', 'encoder')}, {layers} layers of {width}"


def published_for(system: str, dataset: str, facts: RunFacts) -> Published | None:
    """Return the published score that is nearest to a run: comparable, else of its encoder."""
    entries = [e for e in published_table()[1] if (e.system, e.dataset) == (system, dataset)]
    entries.sort(key=lambda e: (bool(obstacles(e, facts)), not _same_encoder(e, facts)))
    return entries[0] if entries else None


def obstacles(entry: Published, facts: RunFacts) -> list[str]:
    """Return why a run may not be compared with a published score; empty where it may."""
    found = [entry.obstacle] if entry.obstacle else []
    if not facts.encoder:
        found.append("the encoder of the run is not known (no run.json beside its metrics)")
    elif not _same_encoder(entry, facts):
        wanted = entry.comparable_if["encoder"]
        sizes = _size(facts.encoder), _size(wanted[0], entry.encoder)
        found.append("other encoder ({}, against {})".format(*sizes))
    missing = [role for role in entry.comparable_if["features"] if role not in facts.features]
    if facts.encoder and missing:
        found.append(f"without {', '.join(missing)}")
    if facts.n_test != entry.comparable_if["n_test"]:
        found.append(f"{facts.n_test} test tweets against {entry.comparable_if['n_test']}")
    if facts.gold != "original":
        found.append(f"trained on the {facts.gold} gold")
    return found


def verdict(reasons: Sequence[str], doubts: Sequence[str] = ()) -> str:
    """Return `no:` with the reasons, else `unclear:` with what is not known, else `yes`."""
    if reasons:
        return f"no: {'; '.join(reasons)}"
    return f"unclear: {'; '.join(doubts)}" if doubts else "yes"


def _same_encoder(entry: Published, facts: RunFacts) -> bool:
    return facts.encoder in entry.comparable_if["encoder"]


def _size(name: str, shown: str = "") -> str:
    """Return an encoder with the number of its parameters, where that is known."""
    parameters = published_table()[0].get(name, {}).get("parameters")
    return f"{shown or name}, {parameters}" if parameters else shown or name
