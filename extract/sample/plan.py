"""The whole corpus as plans: every tweet, caption, box and picture, before any pixel is drawn.

What decides an entity's type is a property of the tweet (`evidence`), and all entities of a tweet
share it and their type: `words`, the frame of the tweet (the picture agrees); `picture`, the kind
of object drawn; `ocr`, the writing on a sign. Everything else is drawn from pools that do not know
the type.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from extract.core.errors import ConfigError
from extract.sample.captions import (
    KINDS_OF_TYPE,
    NEUTRAL_KINDS,
    NOUNS,
    SIGN,
    TEMPLATES,
    with_article,
)
from extract.sample.draw import draw_picture
from extract.sample.language import (
    CLOSERS,
    CONJUNCTIONS,
    ENTITY_TYPES,
    HASHTAGS,
    NEUTRAL_FRAMES,
    OPENERS,
    TEST_FRAMES,
    TYPED_FRAMES,
    reserved_words,
)
from extract.sample.names import NameMaker
from extract.sample.picture import Box, PicturePlan, plan_picture
from extract.sample.quotas import Dealer, Slot, split_slots
from extract.sample.signs import NEUTRAL_LINES, PHRASES, TEST_PHRASES
from extract.tables.samples import SPLITS

SMALLEST_SPLIT = 4
"""Tweets; fewer cannot hold every kind of evidence and the special files."""

# Special files, all on tweets whose words decide the type, so that they cost no evidence.
SPECIALS = {"train": ("missing", "rgba"), "valid": ("truncated", "exif"), "test": ()}
_PNG_SHARE = 0.05
_ENDINGS = ("", "_", "7", "99", "_x")


@dataclass(frozen=True)
class TweetPlan:
    """One tweet, its image and its gold."""

    image_id: str
    split: str
    evidence: str
    entity_type: str
    names: tuple[str, ...]
    """Surface text of each entity, in token order."""
    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    caption: str
    picture: PicturePlan
    boxes: tuple[tuple[str, Box], ...]
    """(entity name, box) of every entity that has one."""
    suffix: str = ".jpg"
    special: str = ""
    """`missing`, `truncated`, `rgba`, `exif` or nothing."""

    @property
    def file_name(self) -> str:
        """Name of the image file."""
        return f"{self.image_id}{self.suffix}"

    @property
    def is_readable(self) -> bool:
        """Whether the image file will exist and be whole."""
        return self.special not in ("missing", "truncated")


def plan_corpus(seed: int, sizes: Sequence[int] = (400, 100, 400)) -> list[TweetPlan]:
    """Plan the corpus of a seed, in file order: train, valid, test.

    Args:
        seed: any integer; equal seeds and sizes give equal plans.
        sizes: tweets in train, valid and test.

    Raises:
        ConfigError: not three sizes, or one below SMALLEST_SPLIT.
    """
    if len(sizes) != len(SPLITS) or min(sizes) < SMALLEST_SPLIT:
        raise ConfigError(
            f"sample: sizes of train, valid and test must be three numbers of at least "
            f"{SMALLEST_SPLIT}, got {' '.join(map(str, sizes))}"
        )
    rng = random.Random(f"sample corpus {seed}")
    nouns = {noun for group in NOUNS.values() for noun in group}
    names = NameMaker(rng, reserved_words() | nouns)
    plans: list[TweetPlan] = []
    for split, size in zip(SPLITS, sizes, strict=True):
        slots = split_slots(rng, size)
        writer = _SplitWriter(rng, names, split)
        written = [
            writer.write(slot, f"S_{index:06d}") for index, slot in enumerate(slots, len(plans) + 1)
        ]
        plans += _assign_files(rng, written, split)
    return plans


def draw(plan: TweetPlan) -> Image.Image:
    """Return the upright RGB image of a tweet."""
    return draw_picture(plan.picture)


class _SplitWriter:
    """Writes the tweets of one split from pools that it deals evenly."""

    def __init__(self, rng: random.Random, names: NameMaker, split: str) -> None:
        is_test = split == "test"
        self._rng, self._names, self._split = rng, names, split
        self._handles = Dealer(rng, [f"@{names.word()}{rng.choice(_ENDINGS)}" for _ in range(12)])
        self._neutral = Dealer(rng, NEUTRAL_FRAMES)
        self._templates = Dealer(rng, TEMPLATES)
        self._frames, self._phrases, self._kinds = {}, {}, {}
        for name in ENTITY_TYPES:
            extra_frames, extra_phrases = TEST_FRAMES[name], TEST_PHRASES[name]
            self._frames[name] = Dealer(rng, TYPED_FRAMES[name] + (extra_frames if is_test else ()))
            self._phrases[name] = Dealer(rng, PHRASES[name] + (extra_phrases if is_test else ()))
            self._kinds[name] = Dealer(rng, KINDS_OF_TYPE[name])
        self._neutral_kinds = Dealer(rng, NEUTRAL_KINDS)
        # The third noun of a kind is kept for test.
        self._nouns = {
            kind: Dealer(rng, nouns if is_test else nouns[:2]) for kind, nouns in NOUNS.items()
        }

    def write(self, slot: Slot, image_id: str) -> TweetPlan:
        """Return the plan of one tweet."""
        names = [self._names.name() for _ in range(slot.n_entities)]
        tokens, tags = self._text(slot, names)
        surfaces = tuple(" ".join(name) for name in names)
        picture = self._picture(slot)
        return TweetPlan(
            image_id=image_id,
            split=self._split,
            evidence=slot.evidence,
            entity_type=slot.entity_type,
            names=surfaces,
            tokens=tuple(tokens),
            tags=tuple(tags),
            caption=self._caption(picture),
            picture=picture,
            boxes=self._boxes(slot, surfaces, picture),
        )

    def _text(self, slot: Slot, names: list[tuple[str, ...]]) -> tuple[list[str], list[str]]:
        """Return tokens and tags: an opener, the frame with the names, and what follows it."""
        dealer = self._frames[slot.entity_type] if slot.evidence == "words" else self._neutral
        before, _, after = dealer.deal().partition("{}")
        entity_tokens: list[str] = []
        entity_tags: list[str] = []
        for index, name in enumerate(names):
            if index:
                entity_tokens.append(self._rng.choice(CONJUNCTIONS))
                entity_tags.append("O")
            entity_tokens += name
            entity_tags += [f"B-{slot.entity_type}"] + [f"I-{slot.entity_type}"] * (len(name) - 1)
        head = [*self._opener(), *before.split()]
        tail = [*after.split(), *self._closer()]
        tags = ["O"] * len(head) + entity_tags + ["O"] * len(tail)
        return head + entity_tokens + tail, tags

    def _opener(self) -> list[str]:
        draw = self._rng.random()
        if draw < 0.2:
            return ["RT", self._handles.deal(), ":"]
        if draw < 0.35:
            return [self._handles.deal()]
        return self._rng.choice(OPENERS).split() if draw < 0.6 else []

    def _closer(self) -> list[str]:
        tokens = [self._rng.choice(CLOSERS)] if self._rng.random() < 0.4 else []
        if self._rng.random() < 0.3:
            tokens.append(self._rng.choice(HASHTAGS))
        if self._rng.random() < 0.35:
            letters = self._rng.choices(
                "abcdefghijkmnopqrstuvwxyzABCDEFGHKLMNPQRSTUVWXYZ23456789", k=8
            )
            tokens.append(f"http://t.co/{''.join(letters)}")
        return tokens

    def _picture(self, slot: Slot) -> PicturePlan:
        if slot.evidence != "ocr":
            # With `words` the picture only repeats what the frame says, as most tweets' do.
            kinds: list[str] = []
            while len(kinds) < slot.n_entities:
                kind = self._kinds[slot.entity_type].deal()
                # Two objects of one kind could not be told apart in the caption.
                if kind not in kinds:
                    kinds.append(kind)
            return plan_picture(self._rng, kinds)
        lines = self._sign_lines(slot.entity_type)
        return plan_picture(self._rng, [SIGN, self._neutral_kinds.deal()], lines=lines)

    def _sign_lines(self, entity_type: str) -> tuple[str, ...]:
        """Return the telling phrase, sometimes with a neutral line above or below it."""
        phrase = self._phrases[entity_type].deal()
        phrase = "".join(self._rng.choice("23456789") if c == "#" else c for c in phrase)
        lines = [phrase]
        if self._rng.random() < 0.35:
            lines.insert(self._rng.randint(0, 1), self._rng.choice(NEUTRAL_LINES))
        style = self._rng.choice((str.upper, str.title, str.lower))
        return tuple(style(line) for line in lines)

    def _caption(self, picture: PicturePlan) -> str:
        nouns = [with_article(self._nouns[placed.kind].deal()) for placed in picture.mains]
        extra = picture.clutter[0].kind if picture.clutter else self._rng.choice(NEUTRAL_KINDS)
        return self._templates.deal().format(
            main=" and ".join(nouns),
            colour=picture.background,
            extra=with_article(self._nouns[extra].deal()),
        )

    def _boxes(
        self, slot: Slot, surfaces: tuple[str, ...], picture: PicturePlan
    ) -> tuple[tuple[str, Box], ...]:
        """Return each entity's box, its object or the sign; half of the `words` have none."""
        if slot.evidence == "ocr":
            return tuple((surface, picture.mains[0].box) for surface in surfaces)
        if slot.evidence == "words" and self._rng.random() < 0.5:
            return ()
        return tuple(
            (surface, placed.box) for surface, placed in zip(surfaces, picture.mains, strict=True)
        )


def _assign_files(rng: random.Random, plans: list[TweetPlan], split: str) -> list[TweetPlan]:
    """Return the plans with file types and the split's special files."""
    by_words = [index for index, plan in enumerate(plans) if plan.evidence == "words"]
    chosen = dict(zip(rng.sample(by_words, len(SPECIALS[split])), SPECIALS[split], strict=True))
    ordinary = [index for index in range(len(plans)) if index not in chosen]
    pngs = set(rng.sample(ordinary, round(_PNG_SHARE * len(plans))))
    return [
        replace(
            plan,
            special=chosen.get(index, ""),
            suffix=".png" if index in pngs or chosen.get(index) == "rgba" else ".jpg",
        )
        for index, plan in enumerate(plans)
    ]
