"""The five systems with encoders, at sizes that train in a second: checkpoints, stores, options."""

from pathlib import Path

import numpy as np

from extract.store import FeatureWriter, Header
from extract.tables.rows import ItemFeatures, Outputs

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
