"""Ultralytics' `yolov8l-worldv2.pt`, a pickle of a whole network, as its releases wrote it.

Form: seen in files that the releases named in `RELEASES` wrote of a small network, with their own
`strip_optimizer`: half precision, the averaged network (`ema`) in place of the trained one,
everything that training needs set to None; which attributes the objects had then, and whether the
settings are a dict or ultralytics' own namespace. The published file is of 2024, between 8.1 and
8.3. Names of modules are today's: the packages that moved (`ultralytics.yolo`) did before
YOLO-World was added.

Inferred, not seen: values of the settings; that the published file holds nothing else. `trained`
is the form of a training that was not stripped, with its loss, as users' own files are.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

from tests.builders.extract.tiny_yolo_world import build_tiny_detector

NAME = "yolov8l-worldv2.pt"
RELEASES = ("8.1.34", "8.2.103", "8.3.0", "8.4.0")
FORMS = (*RELEASES, "trained")


def write_world(path: Path, form: str = "8.1.34", size: str = "tiny") -> Any:
    """Write the file; return the network that a reader should find in it, in half precision.

    Args:
        path: to write.
        form: one of `FORMS`.
        size: `published` builds the large network, `tiny` one of 0.4 million weights.
    """
    network = build_tiny_detector() if size == "tiny" else _build_large()
    import torch
    from ultralytics.utils import DEFAULT_CFG_DICT, IterableSimpleNamespace

    release = "8.4.0" if form == "trained" else form
    settings = {**DEFAULT_CFG_DICT, "mode": "train", "model": "yolov8l-worldv2.yaml"}
    network.names = {index: f"class {index}" for index in range(network.yaml["nc"])}
    network.args = IterableSimpleNamespace(**settings)
    loss = network.init_criterion() if form == "trained" else None
    if form not in ("8.1.34", "trained"):
        network.args = dict(settings)
    if release in ("8.2.103", "8.3.0"):
        network.end2end = False
    if release != "8.4.0":
        _forget_later_attributes(network)
    network = network.half()
    averaged, other = deepcopy(network), None
    if loss is not None:
        averaged.criterion, other = loss, deepcopy(network)
        for parameter in other.parameters():
            parameter.data.zero_()
    checkpoint = {
        "date": "2024-04-01T12:00:00.000000",
        "version": release,
        "license": "AGPL-3.0 (https://ultralytics.com/license)",
        "docs": "https://docs.ultralytics.com",
        "epoch": -1,
        "best_fitness": None,
        "model": averaged if other is None else other,
        "ema": None if other is None else averaged,
        "updates": None if other is None else 5,
        "optimizer": None if other is None else {"state": {}, "param_groups": []},
        "train_args": settings,
        "train_metrics": {"fitness": 0.5},
        "train_results": {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, path)
    return network


def _forget_later_attributes(network: Any) -> None:
    """Remove what objects have had since 8.4 alone."""
    for module in network.modules():
        later = ("np", "add", "n") if type(module).__name__ == "SPPF" else ("np",)
        for name in later:
            module.__dict__.pop(name, None)


def _build_large() -> Any:
    """Return the network of the published size, with fresh weights."""
    from extract.grounding import yolo_world

    yolo_world._prepare_environment()
    import torch
    from ultralytics.nn.tasks import WorldModel

    torch.manual_seed(1)
    return WorldModel("yolov8l-worldv2.yaml", nc=80, verbose=False).eval()
