"""Co-MIPN at its published size: counts, and numbers computed by an independent reference.

The weights are filled by the released tensor names, so this also proves the name mapping.
"""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AlbertConfig, BertConfig, CLIPVisionConfig, ViTConfig

from extract.core.errors import ConfigError
from tests.builders.letters import write_letters
from tests.builders.train.co_mipn_tiny import TYPES
from train.systems.base import count_parameters
from train.systems.co_mipn.model import Model
from train.systems.co_mipn.options import Options
from train.systems.co_mipn.released_checkpoint import from_released, to_released, upstream_names

LENGTHS = (30, 60)
MODULES = {
    "text": 109_482_240 - 590_592,
    "sentence": 11_683_584 - 590_592,
    "images.dino": 86_389_248 - 590_592,
    "images.clip": 87_456_000,
    "images.level_prompts": 60_051_432,
    "images.gated_prompts": 1_769_520,
    "images.similarity": 2 * 590_592,
    "contrast": 2 * 3_149_056 + 1,
    "output": 9_997,
    "branches.gate": 769,
    "crf": 195,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Folders with the configs of the published networks, and no weights."""
    root = tmp_path_factory.mktemp("published")
    base = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}
    no_dropout = {"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0}
    configs = {
        "encoder": BertConfig(**base),
        "vision": CLIPVisionConfig(**base, patch_size=32),
        "dino": ViTConfig(**base),
        "sentence": AlbertConfig(**base, **no_dropout, vocab_size=30000, hidden_act="gelu_new"),
    }
    for role, config in configs.items():
        config.save_pretrained(root / role)
    for role in ("encoder", "sentence"):
        write_letters(root / role, configs[role].vocab_size)
    return {role: root / role for role in configs}


def published(folders: dict[str, Path], options: Options) -> Model:
    """Return a model of the published size without memory behind it."""
    with torch.device("meta"):
        return Model(options, {"entity_types": TYPES}, folders, pretrained=False)


def test_parameter_counts(folders):
    model = published(folders, Options.upstream())
    assert count_parameters(model) == 802_289_258
    assert len(list(model.parameters())) == 1469
    assert count_parameters(model) - count_parameters(model.contrast) == 795_991_145
    for name, count in MODULES.items():
        assert count_parameters(model.get_submodule(name)) == count, name
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert round(trained / 1e6, 1) == 589.0


def test_parameters_that_prediction_needs(folders):
    """Without contrastive heads and unused tensors, but with CLIP's last normalisation."""
    options = Options.upstream(contrastive="off", unused_tensors=False)
    assert count_parameters(published(folders, options)) == 752_376_041 + 2 * 768


def test_optimizer_groups(folders):
    groups = published(folders, Options.upstream()).parameter_groups()
    sizes = {name: (len(g), sum(p.numel() for p in g)) for name, g in groups.items()}
    assert sizes["encoder"] == (1020, 559_094_784)
    assert sizes["fusion"] == (28, 61_820_952)
    assert sizes["head"][0] + sizes["crf"][0] == 5
    assert sizes["head"][1] + sizes["crf"][1] == 10_192
    assert set(sizes) == {"encoder", "fusion", "head", "crf"}


def test_sizes_that_the_released_layout_cannot_run(folders):
    for name, value in {"max_pieces": 128, "prompt_len": 10}.items():
        with pytest.raises(ConfigError, match=f"{name} = {value}: with prompt_head_layout 'raw'"):
            published(folders, Options.upstream(**{name: value}))
        published(folders, Options(**{name: value}))


def golden_state(model: Model) -> dict[str, torch.Tensor]:
    """Return the released state dict, each tensor filled by its name."""
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    state = {}
    for name, ours in upstream_names().items():
        values = 0.02 * np.random.RandomState(zlib.crc32(name.encode())).standard_normal(
            tuple(shapes[ours])
        )
        parts = name.split(".")
        if parts[-1] == "weight" and "norm" in parts[-2].lower():
            values += 1
        values = np.float32(0.179) if name == "temp" else values
        state[name] = torch.from_numpy(np.asarray(values).astype(np.float32)).double()
    return state


def materialise_positions(model: Model) -> None:
    """Give the buffers of position numbers, which no state dict holds, their values."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                numbers = torch.arange(buffer.shape[-1]) * (name == "position_ids")
                module._buffers[name] = numbers.expand(buffer.shape).clone()


def golden_batch() -> dict:
    """Return the two sentences and eight images of the reference."""
    ids = np.random.RandomState(7).randint(1000, 29000, (2, 192))
    labels = np.random.RandomState(10).randint(1, 10, (2, 192))
    ids[:, 0], labels[:, 0] = 101, 11
    for b, n in enumerate(LENGTHS):
        ids[b, n - 1], labels[b, n - 1] = 102, 12
        ids[b, n:] = labels[b, n:] = 0
    whole = np.random.RandomState(8).standard_normal((2, 1, 3, 224, 224))
    crops = np.random.RandomState(9).standard_normal((2, 3, 3, 224, 224))
    crops[1, 1:] = 0
    images = np.concatenate([whole, crops], axis=1).astype(np.float32)
    mask = torch.arange(192)[None] < torch.tensor(LENGTHS)[:, None]
    ids = torch.from_numpy(ids)
    return {
        "input_ids": ids,
        "mask": mask,
        "labels": torch.from_numpy(labels),
        "images": torch.from_numpy(images).double(),
        "present": torch.ones(2, 4, dtype=torch.bool),
        "sentence": {"input_ids": ids, "mask": mask},
    }


@pytest.fixture(scope="module")
def golden(folders):
    """Return (model, batch, trace) in float64, 6.4 GB, with the released switches."""
    model = published(folders, Options.upstream()).eval()
    model.load_state_dict(from_released(golden_state(model), model.options), assign=True)
    materialise_positions(model)
    batch = golden_batch()
    with torch.no_grad():
        return model, batch, model.trace(batch)


def close(found: torch.Tensor, expected: str, atol: float = 6e-9) -> None:
    """Assert equality to the decimals of the reference."""
    wanted = torch.tensor([float(number) for number in expected.split()], dtype=torch.float64)
    torch.testing.assert_close(found.detach().double().flatten(), wanted, rtol=0, atol=atol)


@pytest.mark.slow
def test_shapes_at_published_size(golden):
    _, _, trace = golden
    prompts = trace.prompts
    assert len(prompts.level) == len(prompts.gated) == 12
    for layer in prompts.level:
        assert layer.key.shape == layer.value.shape == (2, 12, 48, 64)
    for layer in prompts.gated:
        assert layer.query.shape == (2, 12, 192, 64)
        assert layer.key.shape == layer.value.shape == (2, 12, 96, 64)
    assert prompts.filtered.shape == (2, 4, 192, 768)
    assert [tuple(states.shape) for states in trace.branches.states] == [(2, 192, 768)] * 4
    assert trace.emissions.shape == (2, 192, 13)


@pytest.mark.slow
def test_values_of_the_image_side(golden):
    prompts = golden[2].prompts
    close(prompts.level[0].key[0, 0, 0, :3], "-0.12812054 0.37989951 0.25580452")
    close(prompts.level[11].value[1, 11, 47, :3], "-0.15832116 -0.24834944 -0.41271758")
    close(prompts.text[0, 1, :4], "0.078534 1.178860 -0.254876 0.839585", 1e-6)
    sums = prompts.filtered.abs().sum(dim=(2, 3))
    close(sums[0], "1298.23514 1307.19174 1703.19831 1352.40485", 6e-6)
    close(sums[1], "1243.61868 1641.99457 565.51851 565.51851", 6e-6)
    close(prompts.filtered[0, 0, 0:3, 0], "0.01148918 0.04071635 0")
    first, last = prompts.gated[0], prompts.gated[11]
    close(first.query[0, 0, 0, :3], "0.01281669 -0.00349411 0.00041167")
    close(first.key[0, 5, 7, :3], "-0.00081629 -0.00841450 0.00325276")
    close(last.value[1, 11, 95, :3], "-0.00027396 0.00380716 0.00844178")


@pytest.mark.slow
def test_values_of_branches_and_gate(golden):
    branches = golden[2].branches
    expected = (
        "-0.74202701 1.52847441 0.80897743 0.34431889",
        "0.00657871 0.04002527 0.98391121 0.01011599",
        "-0.72187778 1.39683491 0.67000885 -1.99445100",
        "2.11382521 -1.98897097 -1.32405565 0.65779958",
    )
    means = (0.79679121, 0.79980781, 0.79057173, 0.79985263)
    for states, first, mean in zip(branches.states, expected, means, strict=True):
        close(states[0, 1, :4], first)
        close(states.abs().mean(), str(mean))
    close(branches.gate[0, 1], "0.36279306 0.34853518 0.28867177")
    close(branches.gate[0, 29], "0.34815205 0.34359393 0.30825402")


@pytest.mark.slow
def test_emissions_losses_and_tags(golden):
    model, batch, trace = golden
    close(
        trace.emissions[0, 1],
        "-0.29819409 0.19294403 0.34208548 -0.04694520 -0.22916340 0.38518408 0.23625507 "
        "0.23674492 -0.30501448 0.29668482 -0.01688535 -0.70260542 -0.16618398",
    )
    close(
        trace.emissions[1, 59],
        "-0.37690525 0.14617254 0.06814406 0.33516473 -0.37088940 0.67616734 0.42714865 "
        "0.29449461 -0.20519131 -0.04679151 0.25797623 0.04687938 0.04604430",
    )
    nll = model.crf.nll(trace.emissions, batch["labels"], batch["mask"])
    close(nll, "76.744018 155.749476", 6e-7)
    close(nll.mean(), "116.246747", 6e-7)
    with torch.no_grad():
        contrast = model.contrastive_loss(batch, trace)
        words = model.sentence(**batch["sentence"], mask_padding=False)
    close(contrast, "3.46024782", 6e-8)
    close(0.8 * nll.mean() + 0.2 * contrast, "93.68944706", 6e-8)
    close(model.contrast.text(words)[0, :3], "0.31866043 0.71171332 0.63637228")
    close(
        model.contrast.vision(trace.prompts.vision_cls)[0, :3],
        "-1.14274188 -0.45699133 0.46982085",
    )
    first = "10 5 6 9 6 5 7 10 5 6 5 10 1 6 5 5 1 6 6 6 5 6 1 6 6 5 9 7 10 5"
    second = (
        "10 2 9 12 6 10 7 9 5 5 6 6 7 5 5 6 10 1 6 6 9 6 6 7 6 0 9 7 8 1 6 3 6 9 6 7 1 5 6 2 10 5 "
        "6 12 5 1 7 6 1 7 5 5 1 10 6 10 5 5 1 5"
    )
    paths, _ = model.crf.viterbi(trace.emissions, batch["mask"])
    assert [" ".join(map(str, path)) for path in paths] == [first, second]


@pytest.mark.slow
def test_the_released_model_reads_padding(golden):
    model, batch, trace = golden
    ids = batch["input_ids"].clone()
    ids[0, 30:] = 2345
    with torch.no_grad():
        moved = (model.trace({**batch, "input_ids": ids}).emissions - trace.emissions).abs()
    assert moved[0, :30].max().item() == pytest.approx(0.5026, abs=6e-5)
    assert moved[1].max() == 0


@pytest.mark.slow
def test_emissions_move_without_the_whole_image(golden):
    model, batch, trace = golden
    images = batch["images"].clone()
    images[0, 0] = 0
    with torch.no_grad():
        moved = (model.trace({**batch, "images": images}).emissions - trace.emissions).abs()
    assert moved[0, :30].max().item() == pytest.approx(0.0747, abs=6e-5)
    assert moved[1].max() < 1e-12


@pytest.mark.slow
def test_the_published_weights_go_there_and_back(golden):
    model, _, _ = golden
    ours = model.state_dict()
    back = from_released(to_released(ours, model.options), model.options)
    assert list(back) and all(back[name].data_ptr() == ours[name].data_ptr() for name in ours)
