"""The sample's vision towers: their drawings, their weights, and that they learn."""

import json
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from extract.core.errors import ConfigError
from extract.sample import drawings
from extract.sample.captions import KINDS, KINDS_OF_TYPE
from extract.sample.plan import draw, plan_corpus
from extract.sample.towers import clip, vgg
from extract.sample.towers.drawn_inputs import (
    draw_tower_inputs,
    inputs_of,
    read_tower_inputs,
    write_tower_inputs,
)
from extract.sample.towers.training import ARCHITECTURES, train_tower
from tests.builders.processors import AVX2

torch = pytest.importorskip("torch")


def test_importing_the_package_stays_light():
    code = (
        "import sys, extract.sample.towers.clip, extract.sample.towers.vgg, extract.sample.write\n"
        "sys.exit(any(m in sys.modules for m in ('torch', 'torchvision', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_drawings_show_every_kind_equally_often():
    plans = drawings.plan_drawings(3, 500)
    counts = Counter(placed.kind for plan in plans for placed in plan.mains)
    assert set(counts) == set(KINDS)
    assert max(counts.values()) - min(counts.values()) <= 3


def test_targets_are_the_telling_kinds_or_nothing():
    plans = drawings.plan_drawings(3, 200)
    targets = vgg.kind_targets(plans)
    assert targets.shape == (200, 6 * len(KINDS_OF_TYPE) + 1)
    assert np.allclose(targets.sum(axis=1), 1)
    telling = {kind for kinds in KINDS_OF_TYPE.values() for kind in kinds}
    for plan, row in zip(plans, targets, strict=True):
        shown = {placed.kind for placed in plan.mains} & telling
        assert {drawings.CLASSES[i] for i in np.flatnonzero(row)} == (shown or {drawings.NOTHING})


def test_drawings_are_not_those_of_the_corpus():
    corpus = {plan.picture for plan in plan_corpus(3, (20, 8, 20))}
    assert not corpus & set(drawings.plan_drawings(3, 50))


def test_folding_keeps_the_function():
    from torchvision.models.vgg import make_layers

    torch.manual_seed(0)
    stack = make_layers([4, "M", 6], batch_norm=True)
    for module in stack:
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    stack.eval()
    plain = make_layers(["M", 4, "M", 6], batch_norm=False)
    folded = vgg.fold_batch_norm(stack, 1)
    plain.load_state_dict({name.removeprefix("features."): t for name, t in folded.items()})
    pixels = torch.rand(2, 3, 16, 16)
    pooled = torch.nn.functional.max_pool2d(pixels, 2)
    torch.testing.assert_close(plain(pixels), stack(pooled), rtol=1e-4, atol=1e-5)


def test_pooling_first_equals_the_extractors_order():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224), dtype=np.uint8)
    ours = (torch.from_numpy(vgg._pool_stem(pixels)).float() / 255 - 0.72) / 0.25
    theirs = torch.nn.functional.max_pool2d(
        (torch.from_numpy(pixels).float() / 255 - 0.72) / 0.25, 4
    )
    torch.testing.assert_close(ours, theirs)


def test_a_short_run_writes_a_folder_that_the_extractor_loads(tmp_path):
    from extract.extractors.vgg import Extractor, Options
    from extract.tables.rows import Item

    for name in ("one", "two"):
        train_tower(tmp_path / name, "vgg", seed=1, n_images=100, epochs=1, threads=1)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert config["layers"].count("M") == 5 and config["layers"][-1] == 512
    extractor = Extractor(Options())
    extractor.load({"vision": tmp_path / "one"}, "cpu")
    plan = plan_corpus(3, (4, 4, 4))[0]
    (result,) = extractor.extract([Item(plan.image_id, draw(plan))])
    assert result.features.shape == (49, 512)
    assert result.features.min() >= 0 < result.features.max()


def test_a_short_run_writes_a_clip_tower_that_models_load(tmp_path):
    from train.blocks.vision_tower import load_vision_tower

    for name in ("one", "two"):
        train_tower(tmp_path / name, "clip", seed=1, n_images=100, epochs=1, threads=1)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    tower = load_vision_tower(tmp_path / "one", pretrained=True)
    pixels, labels = clip.inputs_and_targets(inputs_of(drawings.plan_drawings(2, 3), 1))
    assert len(pixels) == len(labels) >= 3
    with torch.no_grad():
        states = tower(pixel_values=pixels).last_hidden_state
    n_patches = (clip.CROP_PX // clip.SIZES["patch_size"]) ** 2
    assert states.shape == (len(labels), 1 + n_patches, clip.SIZES["hidden_size"])


def test_on_an_avx2_processor_a_tower_is_trained_in_float32(tmp_path):
    command = "extract sample-vision --seed 1 --images 100 --epochs 1 --threads 1 --out"
    done = subprocess.run(
        [sys.executable, "-m", *command.split(), str(tmp_path / "tower")],
        env={**os.environ, **AVX2},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "tower" / "trained.json").read_text())["precision"] == "fp32"


def test_a_file_of_drawings_gives_the_same_tower_as_drawing_anew(tmp_path):
    write_tower_inputs(draw_tower_inputs(1, 100, 1), tmp_path / "drawings.safetensors")
    drawn = read_tower_inputs(tmp_path / "drawings.safetensors")
    for name, array in vars(draw_tower_inputs(1, 100, 2)).items():
        np.testing.assert_array_equal(array, getattr(drawn, name))
    settings = {"seed": 1, "n_images": 100, "epochs": 1, "threads": 1}
    train_tower(tmp_path / "given", "clip", drawings=tmp_path / "drawings.safetensors", **settings)
    train_tower(tmp_path / "drawn", "clip", **settings)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("given", "drawn")]
    assert weights[0] == weights[1]


def test_crops_are_labelled_with_what_they_show():
    plans = drawings.plan_drawings(2, 40)
    _, labels = clip.inputs_and_targets(inputs_of(plans, 1))
    kinds = [placed.kind for plan in plans for placed in plan.mains]
    shown = [drawings.CLASSES[label] for label in labels]
    assert [kind if kind in drawings.CLASSES else drawings.NOTHING for kind in kinds] == shown
    assert drawings.NOTHING in shown and len(set(shown)) > 5


@pytest.mark.parametrize("tower", ARCHITECTURES)
def test_too_few_images_or_epochs_are_refused(tmp_path, tower):
    with pytest.raises(ConfigError, match="at least 100 images, got 10"):
        train_tower(tmp_path, tower, seed=1, n_images=10)
    with pytest.raises(ConfigError, match="at least one epoch, got 0"):
        train_tower(tmp_path, tower, seed=1, epochs=0)


@pytest.mark.slow
def test_its_grid_tells_the_type_of_what_is_drawn(tmp_path):
    from sklearn.linear_model import LogisticRegression

    from extract.extractors.vgg import Extractor, Options
    from extract.tables.rows import Item

    train_tower(tmp_path, "vgg", seed=7)
    extractor = Extractor(Options())
    extractor.load({"vision": tmp_path}, "cpu")
    # Labels: every train tweet whose picture tells, as readers see them. Test: `picture` alone.
    plans = [
        plan
        for plan in plan_corpus(20180202)
        if plan.evidence == "picture" or (plan.evidence == "words" and plan.split == "train")
    ]
    grids = [
        result.features.astype(np.float32).mean(axis=0)
        for start in range(0, len(plans), 30)
        for result in extractor.extract(
            [Item(plan.image_id, draw(plan)) for plan in plans[start : start + 30]]
        )
    ]
    is_train = np.array([plan.split == "train" for plan in plans])
    features, types = np.stack(grids), np.array([plan.entity_type for plan in plans])
    features = (features - features[is_train].mean(0)) / (features[is_train].std(0) + 1e-6)
    probe = LogisticRegression(C=0.03, max_iter=2000).fit(features[is_train], types[is_train])
    assert set(types) == set(KINDS_OF_TYPE)
    assert probe.score(features[~is_train], types[~is_train]) >= 0.9


@pytest.mark.slow
def test_the_clip_tower_names_what_other_crops_show(tmp_path):
    from transformers import CLIPVisionModel

    train_tower(tmp_path, "clip", seed=7)
    tower = CLIPVisionModel.from_pretrained(tmp_path)
    splits = [
        clip.inputs_and_targets(inputs_of(drawings.plan_drawings(seed, 200), 1)) for seed in (8, 9)
    ]
    with torch.no_grad():
        states = [tower(pixel_values=pixels).pooler_output for pixels, _ in splits]
    centres = torch.stack(
        [states[0][splits[0][1] == label].mean(0) for label in range(len(drawings.CLASSES))]
    )
    found = torch.cdist(states[1], centres).argmin(1)
    assert (found == splits[1][1]).float().mean() >= 0.9
