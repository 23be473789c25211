"""Six numbers a box, by hand; and modules that reading regions needs stay light."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from extract.core.errors import ShapeError
from extract.networks.region_geometry import region_geometry


def test_geometry_by_hand() -> None:
    boxes = np.array([[0, 0, 200, 100], [50, 25, 150, 50]], np.float32)
    found = region_geometry(boxes, 100, 200)
    expected = [[0, 0, 1, 1, 1, 1], [0.25, 0.25, 0.75, 0.5, 0.5, 0.25]]
    assert found.tolist() == expected and found.dtype == np.float32
    assert region_geometry(boxes[:0], 100, 200).shape == (0, 6)


def test_geometry_wants_boxes_and_a_size() -> None:
    for boxes, height in ((np.zeros((2, 5)), 10), (np.zeros(4), 10), (np.zeros((2, 4)), 0)):
        with pytest.raises(ShapeError, match="expected boxes of shape"):
            region_geometry(boxes, height, 10)


def test_reading_regions_stays_light(repo_root: Path) -> None:
    modules = [
        "extract.words.object_text",
        "extract.networks.region_geometry",
        "extract.networks.vocabularies",
    ]
    code = (
        f"import importlib, json, sys\nfor name in {modules}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({'h5py', 'torch', 'transformers'} & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []
