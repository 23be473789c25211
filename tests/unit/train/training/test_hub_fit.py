"""Each system trained from files in published form, through the real loop, into a run folder.

The learning rates are 0, so that the run must end with the numbers of the files.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from extract.store import FeatureWriter, Header
from extract.tables.rows import ItemFeatures, Outputs
from tests.builders.hub.families import Published, lay_once
from tests.builders.train.dummy_system import write_corpus
from train.training.loop import FitJob, fit
from train.training.recipe import Recipe
from train.training.run_folder.checkpoint import load_run
from train.training.run_spec import RunSpec

# System, its checkpoints by role, its stores by role: side of the pictures and how many.
SYSTEMS = {
    "text_crf, XLM-R": ("text_crf", {"encoder": "xlm_roberta"}, {}, {}),
    "text_crf, BERTweet": ("text_crf", {"encoder": "bertweet"}, {}, {}),
    "text_crf, DeBERTa": ("text_crf", {"encoder": "deberta"}, {}, {}),
    "text_crf, ELECTRA": ("text_crf", {"encoder": "electra"}, {}, {}),
    "ita": (
        "ita",
        {"encoder": "xlm_roberta"},
        {"captions": None},
        {"context": {"use": ["captions"]}},
    ),
    "vec_mner": (
        "vec_mner",
        {"encoder": "bert", "vision": "clip"},
        {"image": (32, 1), "crops": (16, 3), "detector_crops": (8, 3)},
        {"image_px": 32, "crop_px": 16, "detector_px": 8, "max_pieces": 24},
    ),
    "co_mipn": (
        "co_mipn",
        {"encoder": "bert", "vision": "clip", "dino": "dino"},
        {"image": (32, 1), "crops": (32, 3)},
        {"max_pieces": 32, "prompt_len": 8, "prompt_hidden": 10, "contrastive_dim": 12},
    ),
    "rpi_hmif": (
        "rpi_hmif",
        {"encoder": "bert", "vision": "clip"},
        {"image": (32, 1), "crops": (16, 3), "detector_crops": (8, 3)},
        {
            "crop_px": 16,
            "detector_crop_px": 8,
            "max_pieces": 24,
            "question": {"text": "see the man", "max_pieces": 60},
        },
    ),
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Factory: family -> (folder, tensors as in the file)."""
    return lay_once(tmp_path_factory)


def write_store(path: Path, ids: list[str], pictures: tuple[int, int] | None) -> Path:
    """Write a store of random pictures, or of captions."""
    side, rows = pictures or (0, 1)
    outputs = Outputs(text=True)
    if pictures:
        outputs = Outputs(side * side * 3, feature_dtype="uint8", item_shape=(side, side, 3))
    sizes = np.full((len(ids), 2), side or 32, np.int32)
    header = Header("f" * 64, outputs, tuple(ids), ("0" * 64,) * len(ids), sizes)
    rng = np.random.default_rng(3)
    writer = FeatureWriter(path.with_suffix(".partial"), header)
    if pictures:
        values = rng.integers(0, 256, (len(ids), rows, side * side * 3), dtype=np.uint8)
        writer.append([ItemFeatures(features=one) for one in values])
    else:
        writer.append([ItemFeatures(text=["a man in the stadium"]) for _ in ids])
    writer.finish(path, {})
    return path


def values(tensors: dict[str, torch.Tensor]) -> dict[bytes, str]:
    """Return the names by the numbers, of matrices alone."""
    return {tensor.numpy().tobytes(): name for name, tensor in tensors.items() if tensor.ndim > 1}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("case", SYSTEMS)
def test_a_run_holds_the_numbers_of_its_files(
    published: Published, tmp_path: Path, case: str, precision: str
) -> None:
    system, roles, stores, options = SYSTEMS[case]
    corpus = write_corpus(tmp_path / "samples", splits=("train", "valid"), count=4)
    ids = [sample.image_id for samples in corpus.values() for sample in samples]
    spec = RunSpec(
        run="r",
        system=system,
        options=options,
        recipe=Recipe(
            epochs=1, batch_size=2, lr={"default": 0.0}, weight_decay=0.0, precision=precision
        ),
    )
    job = FitJob(
        spec,
        tmp_path / "samples",
        tmp_path / "run",
        1,
        stores={
            role: write_store(tmp_path / f"{role}.h5", ids, pictures)
            for role, pictures in stores.items()
        },
        weights={role: published(name)[0] for role, name in roles.items()},
        device="cpu",
    )
    fit(job)
    model, _ = load_run(tmp_path / "run")
    held = values(model.state_dict())
    for name in roles.values():
        # Heads and the other tower are not the system's; the layers are, whole.
        layers = {
            key: tensor
            for key, tensor in published(name)[1].items()
            if "encoder.layer" in key and not key.startswith("text_model.")
        }
        lost = {key for number, key in values(layers).items() if number not in held}
        assert len(layers) > 20 and not lost, (name, sorted(lost)[:5])
