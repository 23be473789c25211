"""Colour, position, size, clutter, file size and lengths do not tell an entity's type."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from extract.sample.language import ENTITY_TYPES
from extract.sample.plan import TweetPlan, draw, plan_corpus
from extract.sample.write import encode_image

CHANCE = 1 / len(ENTITY_TYPES)
LIMIT = CHANCE + 0.05
BINS = 3  # per colour channel


def plan_features(plan: TweetPlan) -> list[float]:
    """What can be counted without looking at a pixel."""
    picture = plan.picture
    x0, y0, x1, y1 = picture.mains[0].box
    place = [x0 / picture.width, y0 / picture.height, (x1 - x0) / picture.width]
    size = [(y1 - y0) / picture.height, (x1 - x0) * (y1 - y0)]
    text = [len(plan.tokens), sum(map(len, plan.tokens)), len(plan.caption.split())]
    shape = [picture.width, picture.height, picture.width / picture.height]
    counts = [len(picture.mains), len(picture.clutter), len(plan.caption)]
    return [*place, *size, *text, *shape, *counts]


def pixel_features(plan: TweetPlan) -> list[float]:
    """Mean and dominant colour, coarse colour histogram, and the size of the file."""
    image = draw(plan)
    pixels = np.asarray(image, dtype=np.float64)
    levels = np.minimum((pixels * BINS / 256).astype(int), BINS - 1)
    cells = levels @ np.array([BINS * BINS, BINS, 1])
    histogram = np.bincount(cells.ravel(), minlength=BINS**3) / cells.size
    dominant = pixels[cells == histogram.argmax()].mean(axis=0)
    spread = pixels.std(axis=(0, 1))
    file = [len(encode_image(plan, image)), float(plan.suffix == ".png")]
    return [*pixels.mean(axis=(0, 1)), *spread, *dominant, *histogram, *file]


def best_accuracy(train: list[TweetPlan], test: list[TweetPlan], features) -> float:
    """The better of two classifiers, one linear and one not."""
    train_x, test_x = ([features(plan) for plan in plans] for plans in (train, test))
    train_y, test_y = ([plan.entity_type for plan in plans] for plans in (train, test))
    models = (
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500)),
        RandomForestClassifier(100, min_samples_leaf=5, random_state=0),
    )
    return max(model.fit(train_x, train_y).score(test_x, test_y) for model in models)


def tweets(seeds: range, evidence: str, split: str, sizes=(400, 4, 400)) -> list[TweetPlan]:
    return [
        plan
        for seed in seeds
        for plan in plan_corpus(seed, sizes)
        if plan.evidence == evidence and plan.split == split
    ]


@pytest.mark.parametrize("evidence", ["picture", "ocr"])
def test_plans_do_not_tell_the_type(evidence):
    train, test = (tweets(range(1), evidence, s, (4000, 4, 4000)) for s in ("train", "test"))
    assert len(test) == 1200
    assert best_accuracy(train, test, plan_features) <= LIMIT


def everything(plan: TweetPlan) -> list[float]:
    return plan_features(plan) + pixel_features(plan)


def test_pixel_statistics_do_not_tell_the_type():
    # Two seeds pooled: 240 tweets, so a standard error of 2.8 points; the slow test has 0.8.
    train, test = (tweets(range(2), "picture", split) for split in ("train", "test"))
    assert best_accuracy(train, test, everything) <= LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("evidence", ["picture", "ocr"])
def test_pixel_statistics_do_not_tell_the_type_of_many(evidence):
    seeds = range(100, 103)
    train, test = (tweets(seeds, evidence, s, (3200, 4, 3200)) for s in ("train", "test"))
    assert len(test) == 2880
    assert best_accuracy(train, test, everything) <= LIMIT


def test_the_classifier_finds_a_planted_cue():
    train, test = (tweets(range(1), "picture", split) for split in ("train", "test"))

    def leak(plan: TweetPlan) -> list[float]:
        return [*plan_features(plan), ENTITY_TYPES.index(plan.entity_type)]

    assert best_accuracy(train, test, leak) > 0.6
