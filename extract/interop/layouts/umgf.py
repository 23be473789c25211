"""UMGF's folder: one file a tweet and column, and four crops an image, one an entity type.

- `my_data/<name>/{train,valid,test}/<n>_{s,l,p}.txt`: tokens, tags (type OTHER, not MISC) and image
  id of tweet n, tab-separated, without a line end, which the loader would keep.
- `data/<name>/image/<id>/crop_{person,miscellaneous,location,organization}_<id>.jpg`: the best box
  of each type word. The loader stops at the first file that it cannot open, so all four are always
  there: where a type word has no box the whole image stands in, as UMGF's authors do, and where
  there is no image a one-coloured picture.

The crops must come from a grounding store whose phrases are the type words.

Source: the loader of github.com/TransformersWsz/UMGF and the note on crops in its fork of
onestage_grounding (Zhang et al. 2021, Multi-modal Graph Fusion for Named Entity Recognition with
Targeted Visual Guidance, AAAI).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from extract.core.errors import ConfigError, DataError
from extract.interop.exports import place_file, place_image, write_stand_in
from extract.interop.layouts.base import (
    Corpus,
    check_tokens,
    count_unlabelled,
    file_ids,
    project_tags,
)
from extract.tables.samples import SPLITS

HELP = "UMGF: a file a tweet, and one crop a type word; run its ddp_mmner.py in the folder."
NEEDS = ("crops",)
TAKES = ()

_TYPE_NAMES = {"MISC": "OTHER"}


@dataclass(frozen=True)
class Options:
    """The phrase of the grounding store whose best box is each type's crop, in any case."""

    person: str = "person"
    miscellaneous: str = "miscellaneous"
    location: str = "location"
    organization: str = "organization"


def export(corpus: Corpus, out: Path, options: Options) -> dict[str, Any]:
    """Write the folder; return counts.

    Raises:
        ConfigError: a split is missing, or no crop is of a type word.
        DataError: UMGF cannot represent an image id or a token.
    """
    missing = [split for split in SPLITS if split not in corpus.samples]
    if missing:
        raise ConfigError(f"--samples: UMGF also reads {', '.join(missing)}.")
    names = file_ids(corpus.image_ids, "UMGF")
    for split in SPLITS:
        _write_texts(corpus, out / "my_data" / corpus.name / split, split, names)
    return {
        "samples": {split: len(corpus.samples[split]) for split in SPLITS},
        "unlabelled": count_unlabelled(corpus),
        "crops": _write_crops(corpus, out / "data" / corpus.name / "image", options, names),
    }


def _write_texts(corpus: Corpus, folder: Path, split: str, names: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for number, sample in enumerate(corpus.samples[split]):
        check_tokens(sample)
        columns = {
            "s": "\t".join(sample.tokens),
            "l": "\t".join(project_tags(sample, _TYPE_NAMES)),
            "p": names[sample.image_id],
        }
        for column, text in columns.items():
            (folder / f"{number}_{column}.txt").write_bytes(text.encode("utf-8"))


def _write_crops(
    corpus: Corpus, folder: Path, options: Options, names: dict[str, str]
) -> dict[str, int]:
    """Write four pictures an image: crop, else whole image, else stand-in."""
    queries = {kind: query.casefold() for kind, query in asdict(options).items()}
    best: dict[tuple[str, str], str] = {}
    for crop in sorted(corpus.crops.crops, key=lambda crop: crop.row):
        if crop.crop is not None:
            best.setdefault((crop.image_id, crop.phrase.casefold()), crop.crop)
    if best and not any(phrase in queries.values() for _, phrase in best):
        raise DataError(
            f"{corpus.crops.path}: no crop is of a type word ({', '.join(queries.values())}). "
            "Ground these words as the phrases of every image, or name your queries in --options."
        )
    counts = {"crops": 0, "whole_images": 0, "stand_ins": 0}
    for image_id, name in names.items():
        image = corpus.images[image_id]
        for kind, query in queries.items():
            target = folder / name / f"crop_{kind}_{name}.jpg"
            if (image_id, query) in best:
                place_file(corpus.crops.path / best[image_id, query], target, corpus.link)
                counts["crops"] += 1
            elif image.status == "ok":
                place_image(image, target, corpus.link)
                counts["whole_images"] += 1
            else:
                write_stand_in(target)
                counts["stand_ins"] += 1
    return counts
