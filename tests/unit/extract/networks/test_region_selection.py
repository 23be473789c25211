"""Which proposals become regions: against brute force and against torchvision's own choice."""

from pathlib import Path

import numpy as np
import pytest
import torch

from extract.networks.detection import Detector
from extract.networks.region_selection import choose_regions, suppress_per_class
from tests.builders.extract.tiny_faster_rcnn import (
    MAX_SIZE,
    MIN_SIZE,
    as_tensor,
    build_network,
    picture,
    write_detector,
)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the intersection over union of two boxes."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(sides[0], 0) * max(sides[1], 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)


def suppress_by_hand(boxes: np.ndarray, scores: np.ndarray, iou: float, low: float) -> np.ndarray:
    """Greedy suppression, written down literally."""
    kept = np.zeros_like(scores)
    for k in range(1, scores.shape[1]):
        taken: list[int] = []
        for p in np.argsort(-scores[:, k]):
            clear = all(overlap(boxes[p, k], boxes[q, k]) <= iou for q in taken)
            if scores[p, k] > low and clear:
                taken.append(p)
                kept[p, k] = scores[p, k]
    return kept


def proposals(n: int = 60, classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (n, classes, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 40, (n, classes, 2))], axis=2)
    scores = rng.dirichlet([0.5] * classes, n)
    return torch.tensor(boxes, dtype=torch.float32), torch.tensor(scores, dtype=torch.float32)


@pytest.mark.parametrize(("iou", "score_min"), [(0.3, 0.05), (0.1, 0.0), (0.5, 0.2)])
def test_suppression_equals_brute_force(iou: float, score_min: float) -> None:
    boxes, scores = proposals()
    found = suppress_per_class(boxes, scores, iou=iou, score_min=score_min).numpy()
    expected = suppress_by_hand(boxes.numpy(), scores.numpy(), iou, score_min)
    assert np.array_equal(found, expected)
    assert 10 < (found > 0).sum() < (scores[:, 1:] > score_min).sum()
    assert not found[:, 0].any()


def test_candidates_and_suppression_are_those_of_torchvision(tmp_path: Path) -> None:
    settings = {"box_score_thresh": 0.1, "box_nms_thresh": 0.4, "box_detections_per_img": 40}
    folder = write_detector(tmp_path / "detector")
    detector = Detector(folder, "cpu", min_size=MIN_SIZE, max_size=MAX_SIZE)
    for image in (picture(90, 60), picture(40, 110, seed=1), picture(9, 13, seed=2)):
        with torch.inference_mode():
            (expected,) = build_network(**settings)([as_tensor(image)])
        found = detector.candidates(image)
        kept = suppress_per_class(found.boxes, found.scores, iou=0.4, score_min=0.1)
        rows, labels = torch.where(kept > 0)
        order = kept[rows, labels].argsort(descending=True)[:40]
        rows, labels = rows[order], labels[order]
        assert len(expected["labels"]) == 40 and torch.equal(labels, expected["labels"])
        torch.testing.assert_close(found.scores[rows, labels], expected["scores"])
        pixels = found.boxes[rows, labels] * torch.tensor(found.scale * 2)
        torch.testing.assert_close(pixels, expected["boxes"], atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(found.scores.sum(dim=1), torch.ones(len(found.scores)))


def choose(boxes: torch.Tensor, scores: torch.Tensor, **more: float) -> tuple[np.ndarray, ...]:
    settings = {"iou": 0.3, "score_min": 0.05, "at_least": 10, "at_most": 100, **more}
    return tuple(part.numpy() for part in choose_regions(boxes, scores, **settings))


def test_a_proposal_keeps_its_best_surviving_class() -> None:
    box, lower, other = [0.0, 0.0, 10, 10], [0.0, 0.0, 10, 9], [50.0, 50.0, 60, 60]
    # Proposal 1 loses class 1 to proposal 0, at the same place, and lives on as class 2.
    scores = torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.5, 0.3], [0.3, 0.0, 0.7]])
    boxes = torch.tensor([[box] * 3, [lower] * 3, [other] * 3])
    found, best, classes = choose(boxes, scores, at_least=1)
    assert classes.tolist() == [2, 1] and best.tolist() == pytest.approx([0.7, 0.6])
    # Where the classes do not share a place, both live.
    scores[1] = torch.tensor([0.1, 0.5, 0.4])
    found, best, classes = choose(boxes, scores, at_least=1)
    assert classes.tolist() == [2, 1, 2] and best.tolist() == pytest.approx([0.7, 0.6, 0.4])
    assert found.tolist() == [other, box, lower]


def test_there_are_at_most_so_many_regions_best_first() -> None:
    boxes, scores = proposals(200)
    everything = choose(boxes, scores, at_most=1000)
    found = choose(boxes, scores, at_most=20)
    assert len(everything[0]) > 20 == len(found[0])
    for one, other in zip(everything, found, strict=True):
        assert np.array_equal(one[:20], other)
    assert (np.diff(everything[1]) <= 0).all()


def test_there_are_at_least_so_many_regions_however_unsure() -> None:
    boxes, scores = proposals(200)
    everything = choose(boxes, scores, score_min=0.0, at_most=1000)
    high = float(everything[1][5]) - 1e-6
    found = choose(boxes, scores, score_min=high)
    assert len(found[0]) == 10 and (found[1] > high).sum() == 6
    for one, other in zip(everything, found, strict=True):
        assert np.array_equal(one[:10], other)
    assert len(choose(boxes, scores, score_min=high, at_least=6)[0]) == 6
    assert len(choose(boxes[:3], scores[:3], score_min=0.99)[0]) <= 3
    assert len(choose(boxes[:0], scores[:0])[0]) == 0
