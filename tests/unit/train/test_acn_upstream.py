"""Names and layout of upstream's ACN checkpoints."""

import pytest
import torch

from extract.errors import DataError
from train.models.acn import Model, Options
from train.upstream.acn import UPSTREAM_NAMES, from_upstream, to_upstream
from train.words import PAD, UNK

# Shapes of the table in sec. 5, by position; the word table is cut to 300 rows.
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


def test_7_counts_names_and_shapes():
    state = to_upstream(published_model().state_dict())
    assert list(state) == list(UPSTREAM_NAMES) and len(state) == 50
    assert [tuple(tensor.shape) for tensor in state.values()] == SHAPES


def test_round_trip_is_the_identity():
    upstream = random_upstream_state()
    model = published_model()
    model.load_state_dict(from_upstream(upstream))
    back = to_upstream(model.state_dict())
    assert all(torch.equal(back[name], tensor) for name, tensor in upstream.items())


def test_character_columns_are_reordered():
    upstream = random_upstream_state()
    ours = from_upstream(upstream)["char_cnn.hidden.weight"]
    columns = upstream["lstm.char_cnn.linear.0.weight"]
    for width in range(3):
        for number in range(32):
            expected = columns[:, 3 * number + width]
            assert torch.equal(ours[:, width * 32 + number], expected)


def test_nine_tags():
    upstream = random_upstream_state()
    ours = from_upstream(upstream, drop_pad_unk=True)
    assert ours["crf.transitions"].shape == (9, 9)
    assert ours["filtration.output.weight"].shape == (9, 400)
    published_model(upstream_tags=False).load_state_dict(ours)


def test_missing_and_unknown_names_are_errors():
    state = random_upstream_state()
    renamed = {
        ("gmf.gates.bias" if n == "gmf.gate_linear.bias" else n): t for n, t in state.items()
    }
    with pytest.raises(DataError, match=r"no tensor gmf\.gate_linear\.bias\. Did you mean"):
        from_upstream(renamed)
    with pytest.raises(DataError, match=r"unknown tensor extra"):
        from_upstream({**state, "extra": torch.zeros(1)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_merge": "add"}, "no counterpart upstream"),
        ({"filtration": "fused-only"}, "no tensor"),
        ({"standardize_grid": True}, r"unknown tensor standardize\.mean"),
    ],
)
def test_other_functions_have_no_counterpart(changes, message):
    with pytest.raises(DataError, match=message):
        to_upstream(published_model(**changes).state_dict())
