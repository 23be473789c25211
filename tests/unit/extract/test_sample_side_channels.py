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
BINS = 3  # per colour channel

# Chance plus five points plus two standard errors of an accuracy over n tweets.


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
    pixels = np.asarray(draw(plan), dtype=np.float64)
    levels = np.minimum((pixels * BINS / 256).astype(int), BINS - 1)
    cells = levels @ np.array([BINS * BINS, BINS, 1])
    histogram = np.bincount(cells.ravel(), minlength=BINS**3) / cells.size
    dominant = pixels[cells == histogram.argmax()].mean(axis=0)
    spread = pixels.std(axis=(0, 1))
    file = [len(encode_image(plan)), float(plan.suffix == ".png")]
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
    train = tweets(range(3), evidence, "train", (2000, 4, 2000))
    test = tweets(range(3), evidence, "test", (2000, 4, 2000))
    assert len(test) == 1800
    assert best_accuracy(train, test, plan_features) <= CHANCE + 0.05


@pytest.mark.parametrize("evidence", ["picture", "ocr"])
def test_pixel_statistics_do_not_tell_the_type(evidence):
    everything = lambda plan: plan_features(plan) + pixel_features(plan)  # noqa: E731
    train = tweets(range(2), evidence, "train")
    test = tweets(range(2), evidence, "test")
    assert best_accuracy(train, test, everything) <= CHANCE + 0.05


def test_the_classifier_finds_a_planted_cue():
    train, test = (tweets(range(1), "picture", split) for split in ("train", "test"))
    leak = lambda plan: [*plan_features(plan), ENTITY_TYPES.index(plan.entity_type)]  # noqa: E731
    assert best_accuracy(train, test, leak) > 0.6
