"""What is looked for in each file of a run, and where: images, phrases, stores, crops."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from extract.core.errors import ConfigError
from extract.core.registry import available, load_module
from extract.crops.plan import Crop
from extract.features.spec import load_plugin
from extract.store import FeatureStore, StoredItem
from extract.tables.images_table import ImageRow
from extract.tables.rows import STATUS, STATUS_NAMES
from extract.tables.samples import Sample

WANTED_CROPS = 3
"""How many crops of an image HVPNeT and its family read."""

IMAGE_UNITS = ("images", "tweets")
BOX_UNITS = ("boxes", *IMAGE_UNITS)


@dataclass(frozen=True)
class Problem:
    """A kind of loss that a source is searched for."""

    name: str
    meaning: str
    units: tuple[str, ...] = IMAGE_UNITS
    """What is counted: `images`, `tweets`, `boxes`."""
    by_reason: bool = False
    """Whether each reason also has a line of its own."""


@dataclass(frozen=True)
class Finding:
    """One problem of one tweet, or of one box of its image."""

    problem: str
    detail: str = ""
    """Reason or box, in words."""
    row: int = -1
    """Row of the grounding store; -1 where no box is meant."""
    reason: str = ""
    """The detail without what is special to this box; `detail` where left out."""


@dataclass(frozen=True)
class Source:
    """Something that a stage made, and what to look for in it."""

    name: str
    """`images`, or kind and name: `phrases/nltk`, `grounding/yolo_world`."""
    problems: tuple[Problem, ...]
    find: Callable[[Sample], Iterable[Finding]]
    boxes: Mapping[str, int] = field(default_factory=dict)
    """Image id -> its number of boxes."""


_STATUS_PROBLEMS = (
    Problem("missing", "no image file, or not in the file that was imported", by_reason=True),
    Problem("unreadable", "an image file that cannot be decoded or read", by_reason=True),
    Problem("no_images", "the corpus comes without image files"),
)


def images_source(images: Mapping[str, ImageRow]) -> Source:
    """Search images.tsv (image id -> line)."""

    def find(sample: Sample) -> Iterator[Finding]:
        row = images[sample.image_id]
        if row.status != "ok":
            yield Finding(row.status, row.reason)

    return Source("images", _STATUS_PROBLEMS, find)


def phrases_source(name: str, with_phrase: frozenset[str]) -> Source:
    """Search the noun phrases, given the ids of the samples that have one."""
    problem = Problem("no_phrase", "the tweet has no noun phrase", units=("tweets",))

    def find(sample: Sample) -> Iterator[Finding]:
        if sample.id not in with_phrase:
            yield Finding(problem.name)

    return Source(f"phrases/{name}", (problem,), find)


NO_PHRASE = "no phrase"
"""The reason that a grounder gives for an image whose tweets have no phrase."""

_NO_BOX = (
    Problem("no_box", "a readable image without box, for whatever reason"),
    Problem("no_box_no_phrase", "no box, because no tweet of the image has a phrase"),
    Problem(
        "no_box_other",
        "no box for another reason: none above the threshold, or none annotated",
        by_reason=True,
    ),
)
_NOTHING = {
    "captions": Problem("no_caption", "no caption, or blank ones only", by_reason=True),
    "ocr": Problem("no_text", "no word read in the image", by_reason=True),
    "features": Problem("nothing_found", "nothing to compute a row from", by_reason=True),
}
STORE_KINDS = ("grounding", *_NOTHING)
_KIND_OF_ROWS = {"boxes": "grounding", "captions": "captions", "ocr": "ocr"}


def kind_of_store(store: FeatureStore) -> str:
    """Return which of `STORE_KINDS` a store is, by the extractor in its provenance.

    Of an extractor that is not known here, text without boxes and features counts as captions.
    """
    provenance = store.provenance
    extractor = provenance.get("spec", {}).get("extractor", "")
    imported = provenance.get("import", {}).get("kind")
    if imported in available("extract.interop.artefacts"):
        gives = load_module("extract.interop.artefacts", imported).GIVES
        return _KIND_OF_ROWS.get(gives, "features")
    try:
        _, plugin = load_plugin(extractor)
    except ConfigError:
        outputs = store.outputs
        is_text = outputs.text and not (outputs.feature_dim or outputs.boxes or outputs.labels)
        return "captions" if is_text else "features"
    return _KIND_OF_ROWS.get(plugin.Extractor.gives, "features")


def store_source(name: str, store: FeatureStore, kind: str = "") -> Source:
    """Search a feature file; its items are images or, by its `id_kind`, samples."""
    kind = kind or kind_of_store(store)
    is_whole = store.status_counts()["ok"] == len(store) and not store.outputs.text
    has_samples = store.id_kind == "sample"

    @cache
    def findings(item_id: str) -> tuple[Finding, ...]:
        return tuple(_of_item(store.item(item_id), kind))

    def find(sample: Sample) -> tuple[Finding, ...]:
        item_id = sample.id if has_samples else sample.image_id
        # Rows can be long (pixels), so they are not read where nothing can be wrong.
        return () if is_whole and item_id in store else findings(item_id)

    problems = _STATUS_PROBLEMS + (_NO_BOX if kind == "grounding" else (_NOTHING[kind],))
    if has_samples:
        problems = tuple(replace(problem, units=("tweets",)) for problem in problems)
    return Source(f"{kind}/{name}", problems, find)


def _of_item(item: StoredItem, kind: str) -> Iterator[Finding]:
    if item.status == STATUS["nothing_found"]:
        if kind == "grounding":
            yield Finding("no_box", item.reason)
            why = "no_phrase" if item.reason == NO_PHRASE else "other"
            yield Finding(f"no_box_{why}", item.reason)
        else:
            yield Finding(_NOTHING[kind].name, item.reason)
    elif not item.is_ok:
        yield Finding(STATUS_NAMES[item.status], item.reason)
    elif kind in ("captions", "ocr") and not any(text.strip() for text in item.text or ()):
        yield Finding(_NOTHING[kind].name, "blank text")


_CROP_PROBLEMS = (
    Problem(
        "clipped",
        "a crop of a box that reached over the frame; none from a detector that cuts its own boxes",
        BOX_UNITS,
    ),
    Problem("too_small", "no crop: the box is smaller than the least size", BOX_UNITS, True),
    Problem("outside", "no crop: the box is outside the image", BOX_UNITS),
    Problem("fewer_crops", f"fewer than {WANTED_CROPS} crops, images with none included"),
    Problem("no_crop", "no crop at all"),
)


def crops_source(name: str, crops: Iterable[Crop]) -> Source:
    """Search `crops.jsonl`."""
    # By image. Of a crop without a problem nothing but its number stays.
    findings: dict[str, list[Finding]] = defaultdict(list)
    n_boxes: Counter[str] = Counter()
    n_crops: Counter[str] = Counter()
    for crop in crops:
        n_boxes[crop.image_id] += 1
        n_crops[crop.image_id] += crop.crop is not None
        for finding in _of_crop(crop):
            findings[crop.image_id].append(finding)

    def find(sample: Sample) -> Iterator[Finding]:
        image_id = sample.image_id
        yield from findings.get(image_id, ())
        detail = f"{n_crops[image_id]} crops of {n_boxes[image_id]} boxes"
        if n_crops[image_id] < WANTED_CROPS:
            yield Finding("fewer_crops", detail)
        if n_crops[image_id] == 0:
            yield Finding("no_crop", detail)

    return Source(f"crops/{name}", _CROP_PROBLEMS, find, n_boxes)


def _of_crop(crop: Crop) -> Iterator[Finding]:
    box = ", ".join(f"{value:.1f}" for value in crop.box)
    box = f"row {crop.row}, {crop.phrase!r}, box ({box})"
    if crop.dropped is not None:
        # Only what is too small has pixels.
        problem = "outside" if crop.clipped is None else "too_small"
        yield Finding(problem, f"{box}: {crop.dropped}", crop.row, crop.dropped)
    elif _reaches_over(crop):
        yield Finding("clipped", f"{box} cut to {tuple(crop.clipped)}", crop.row)


def _reaches_over(crop: Crop) -> bool:
    """Tell a cut at the frame from the rounding to whole pixels, which only widens a box."""
    (x1, y1, x2, y2), (left, top, right, bottom) = crop.box, crop.clipped
    return x1 < left or y1 < top or x2 > right or y2 > bottom
