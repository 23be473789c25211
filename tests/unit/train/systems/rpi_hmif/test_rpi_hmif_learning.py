"""RPI-HMIF: precision, noise, and what it learns."""

import logging
from itertools import islice

import pytest
import torch

from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import iter_samples
from tests.builders.train.rpi_hmif_tiny import (
    CROP_PX,
    DETECTOR_PX,
    SENTENCES,
    TYPES,
    example,
    examples,
    train_steps,
    write_tower,
)
from train.measures.metrics import micro_counts
from train.systems.rpi_hmif.model import Model
from train.systems.rpi_hmif.options import Options


@pytest.mark.parametrize("iterations", range(1, 8))
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_loss_and_gradients_are_finite_under_autocast(build, iterations, dtype):
    model = build(torch.float32, iffe={"iterations": iterations}).train()
    with torch.autocast("cpu", dtype):
        output = model(model.collate(examples()))
    output.loss.backward()
    assert output.loss.isfinite() and output.emissions.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_learns_three_tweets(build):
    model = build(torch.float32)
    batch = model.collate(examples())
    losses = train_steps(model, batch, 60, lr=3e-3)
    assert losses[-1] < 0.1 * losses[0]
    assert model.decode(batch) == [tags.split() for _, tags in SENTENCES]


def test_noise_and_dropout_only_in_training(build):
    model = build(dropout=0.0, neftune_alpha=0.0)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batch = model.collate(examples())
    calm = model(batch).emissions
    assert torch.equal(model.train()(batch).emissions, calm)
    model.backbone.noise = 5.0
    assert not torch.equal(model(batch).emissions, calm)
    assert torch.equal(model.eval()(batch).emissions, calm)


def test_routing_is_logged_after_an_evaluation(build, caplog):
    model = build()
    model.decode(model.collate(examples()))
    with caplog.at_level(logging.INFO, logger="train.systems.rpi_hmif.model"):
        model.train()
        model.eval()
    assert [r.message.split(":")[0] for r in caplog.records] == ["routing"]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["clean", "upstream"])
def test_overfits_32_tweets(shared_data, minilm, tmp_path, preset):
    """F1 of at least 99 within 100 epochs, with a small real encoder and a random tower."""
    samples = list(islice(iter_samples(shared_data / "twitter2015", "train", TextSettings()), 32))
    shape = {"hidden_size": 384, "num_attention_heads": 12, "num_hidden_layers": 6}
    weights = {"encoder": minilm, "vision": write_tower(tmp_path, **shape)}
    options = Options.upstream if preset == "upstream" else Options
    torch.manual_seed(0)
    small = {"crop_px": CROP_PX, "detector_crop_px": DETECTOR_PX, "max_pieces": 64}
    model = Model(options(**small), {"entity_types": TYPES}, weights)
    group = [example(i, " ".join(s.tokens), " ".join(s.tags)) for i, s in enumerate(samples)]
    batches = [model.collate(group[i : i + 8]) for i in range(0, 32, 8)]
    rates = {"encoder": 5e-5, "vision": 5e-5, "question": 5e-5, "head": 1e-2, "crf": 1e-2}
    optimizer = torch.optim.AdamW(
        [{"params": p, "lr": rates.get(n, 5e-4)} for n, p in model.parameter_groups().items()]
    )
    gold = [sample.tags for sample in samples]
    for _ in range(100):
        model.train()
        for batch in batches:
            optimizer.zero_grad()
            model(batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        model.eval()
        found = [tags for batch in batches for tags in model.decode(batch)]
        if (f1 := micro_counts(gold, found).f1) >= 99:
            break
    assert f1 >= 99
