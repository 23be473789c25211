"""Names and layout of checkpoints of ACN's PyTorch re-implementation."""

import pytest
import torch
from torch.nn import functional

from extract.core.errors import DataError
from train.data.word_vectors import PAD, UNK
from train.systems.acn.model import Model
from train.systems.acn.options import Options
from train.systems.acn.released_checkpoint import UPSTREAM_NAMES, from_released, to_released

# Shapes by position; the word table is cut to 300 rows.
SHAPES = [
    *[(102, 30), (32, 30, 2), (32,), (32, 30, 3), (32,), (32, 30, 4), (32,)],
    *[(100, 96), (100,), (50, 100), (50,), (300, 200)],
    *[(400, 250), (400, 100), (400,), (400,)] * 2,
    *[(200, 512), (200,), (200, 200), (200,), (200, 200), (1, 400), (1,)],
    *[(200, 200), (200, 200), (200,), (1, 400), (1,)],
    *[(200, 200), (200,), (200, 200), (200,), (1, 400), (1,)],
    *[(200, 200), (200, 200), (200,), (1, 400), (1,), (200, 200), (200,)],
    *[(11, 400), (11,), (11,), (11,), (11, 11)],
]


def published_model(**changes) -> Model:
    vocabulary = {
        "entity_types": ["PER", "LOC", "ORG", "MISC"],
        "words": [PAD, UNK, *(f"w{i}" for i in range(298))],
        "chars": [PAD, UNK, *(chr(0x4E00 + i) for i in range(100))],
        "singletons": [],
    }
    return Model(Options.upstream(**changes), vocabulary)


def random_upstream_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        name: torch.randn(shape) / 10 for name, shape in zip(UPSTREAM_NAMES, SHAPES, strict=True)
    }


def test_names_and_shapes_of_the_released_checkpoint():
    state = to_released(published_model().state_dict())
    assert list(state) == list(UPSTREAM_NAMES) and len(state) == 50
    assert [tuple(tensor.shape) for tensor in state.values()] == SHAPES


def test_round_trip_is_the_identity():
    upstream = random_upstream_state()
    model = published_model()
    model.load_state_dict(from_released(upstream))
    back = to_released(model.state_dict())
    assert all(torch.equal(back[name], tensor) for name, tensor in upstream.items())


def test_character_columns_are_reordered():
    upstream = random_upstream_state()
    ours = from_released(upstream)["char_cnn.hidden.weight"]
    columns = upstream["lstm.char_cnn.linear.0.weight"]
    for width in range(3):
        for number in range(32):
            expected = columns[:, 3 * number + width]
            assert torch.equal(ours[:, width * 32 + number], expected)


def published_emissions(state: dict[str, torch.Tensor], batch: dict) -> torch.Tensor:
    """The published formulas on the released tensors, every pair of the attentions materialised."""

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    def attend(number: int, queries, keys, query: str, key: str) -> torch.Tensor:
        shape = (len(keys), queries.shape[1], keys.shape[1], keys.shape[2])
        asked = linear(f"co_attention.{query}_linear_{number}", queries)[:, :, None].expand(shape)
        seen = linear(f"co_attention.{key}_linear_{number}", keys)[:, None].expand(shape)
        scores = linear(
            f"co_attention.att_linear_{number}", torch.tanh(torch.cat([asked, seen], -1))
        )
        return scores.squeeze(-1).softmax(-1) @ keys

    ids = batch["char_ids"]
    x = functional.embedding(ids.flatten(0, 1), state["lstm.char_cnn.char_emb.weight"]).mT
    pooled = []
    for number, width in enumerate((2, 3, 4)):
        weight, bias = (state[f"lstm.char_cnn.convs.{number}.0.{k}"] for k in ("weight", "bias"))
        scores = torch.tanh(functional.conv1d(x, weight, bias, padding=width // 2))
        pooled.append(functional.max_pool1d(scores, ids.shape[2] - width + 1))
    hidden = linear("lstm.char_cnn.linear.0", torch.cat(pooled, dim=2).flatten(1)).relu()
    chars = linear("lstm.char_cnn.linear.3", hidden).unflatten(0, ids.shape[:2])
    words = functional.embedding(batch["word_ids"], state["lstm.word_emb.weight"])
    lstm = torch.nn.LSTM(250, 100, batch_first=True, bidirectional=True)
    start = "lstm.bi_lstm."
    lstm.load_state_dict({n.removeprefix(start): t for n, t in state.items() if start in n})
    text, _ = lstm(torch.cat([words, chars], -1))
    regions = torch.tanh(linear("dim_match.0", batch["image"]))
    image = attend(1, text, regions, "text", "img")
    read = attend(2, image, text, "img", "text")
    sides = [torch.tanh(linear(f"gmf.{n}_linear", x)) for n, x in (("img", image), ("text", read))]
    gate = torch.sigmoid(linear("gmf.gate_linear", torch.cat(sides, -1)))
    mixture = gate * sides[0] + (1 - gate) * sides[1]
    parts = (
        linear("filtration_gate.text_linear", text),
        linear("filtration_gate.multimodal_linear", mixture),
    )
    gate = torch.sigmoid(linear("filtration_gate.gate_linear", torch.cat(parts, -1)))
    passed = gate * torch.tanh(linear("filtration_gate.resv_linear", mixture))
    return linear("filtration_gate.output_linear", torch.cat([text, passed], -1))


@torch.no_grad()
def test_converter_gives_the_released_emissions():
    """Of a random checkpoint, in float32; without `[pad]` and `[unk]`, those of the other tags."""
    upstream = random_upstream_state()
    batch = {
        "word_ids": torch.randint(2, 300, (3, 35)),
        "char_ids": torch.randint(2, 102, (3, 35, 30)),
        "char_lengths": torch.randint(1, 31, (3, 35)),
        "mask": torch.arange(35) < torch.tensor([[35], [9], [1]]),
        "image": torch.rand(3, 49, 512),
        "has_image": torch.ones(3, dtype=torch.bool),
        "hashed": None,
        "tag_ids": None,
    }
    batch["word_ids"] *= batch["mask"]
    batch["char_lengths"] *= batch["mask"]
    batch["char_ids"] *= torch.arange(30) < batch["char_lengths"][..., None]
    expected = published_emissions(upstream, batch)
    assert expected.std() > 0.1
    for drop, first in ((False, 0), (True, 2)):
        model = published_model(upstream_tags=not drop).eval()
        model.load_state_dict(from_released(upstream, drop_pad_unk=drop))
        found = model(batch).emissions
        torch.testing.assert_close(found, expected[..., first:], atol=1e-6, rtol=0)


def test_nine_tags():
    upstream = random_upstream_state()
    ours = from_released(upstream, drop_pad_unk=True)
    assert ours["crf.transitions"].shape == (9, 9)
    assert ours["filtration.output.weight"].shape == (9, 400)
    published_model(upstream_tags=False).load_state_dict(ours)


def test_missing_and_unknown_names_are_errors():
    state = random_upstream_state()
    renamed = {
        ("gmf.gates.bias" if n == "gmf.gate_linear.bias" else n): t for n, t in state.items()
    }
    with pytest.raises(DataError, match=r"no tensor gmf\.gate_linear\.bias\. Did you mean"):
        from_released(renamed)
    with pytest.raises(DataError, match=r"unknown tensor extra"):
        from_released({**state, "extra": torch.zeros(1)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_merge": "add"}, "no released counterpart"),
        ({"filtration": "fused-only"}, "no tensor"),
        ({"standardize_grid": True}, r"unknown tensor standardize\.mean"),
    ],
)
def test_other_functions_have_no_counterpart(changes, message):
    with pytest.raises(DataError, match=message):
        to_released(published_model(**changes).state_dict())
