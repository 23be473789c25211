"""Drawings to learn from, apart from the corpus: planned from another stream of the seed.

The classes are kinds of objects, not entity types; objects that decide no type, and signs, are one
background class. Towers that learn them stand in for weights pretrained on photographs.
"""

import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from extract.sample.captions import KINDS, KINDS_OF_TYPE, SIGN
from extract.sample.picture import PicturePlan, plan_picture
from extract.sample.quotas import Dealer
from extract.sample.signs import TOWER_WORDS

NOTHING = "nothing"
"""Class of a picture that shows only neutral objects or a sign."""
CLASSES = (*(kind for kinds in KINDS_OF_TYPE.values() for kind in kinds), NOTHING)

_PAIR_SHARE = 0.3


def plan_drawings(seed: int, count: int) -> list[PicturePlan]:
    """Plan pictures of one or two objects of any kind, all kinds equally often."""
    rng = random.Random(f"sample tower {seed}")
    dealer = Dealer(rng, KINDS)
    plans = []
    for _ in range(count):
        kinds = [dealer.deal()]
        other = dealer.deal() if rng.random() < _PAIR_SHARE else kinds[0]
        if other != kinds[0]:
            kinds.append(other)
        # A sign fills a band, so it is planned beside another object, as in the corpus.
        lines = (" ".join(rng.sample(TOWER_WORDS, rng.randint(1, 3))),) if SIGN in kinds else ()
        plans.append(plan_picture(rng, kinds, lines=lines))
    return plans


def class_of(kind: str) -> int:
    """Return the class of an object, an index into CLASSES."""
    return CLASSES.index(kind if kind in CLASSES else NOTHING)


def draw_all(
    draw: Callable[[PicturePlan], Any], plans: Sequence[PicturePlan], workers: int
) -> list[Any]:
    """Return what a module-level function makes of each plan, in several processes."""
    if workers == 1:
        return [draw(plan) for plan in plans]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return list(pool.map(draw, plans, chunksize=50))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch this many threads for a while."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
