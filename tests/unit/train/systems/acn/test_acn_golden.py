"""ACN against numbers computed by an independent reference.

The weights are filled in the order of the PyTorch re-implementation's state_dict, so this also
proves the name mapping.
"""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from train.data.word_vectors import PAD, UNK
from train.systems.acn.model import Model
from train.systems.acn.options import Options
from train.systems.acn.released_checkpoint import UPSTREAM_NAMES, from_released, to_released

SIZES = {
    "word_dim": 6,
    "char_dim": 4,
    "filters": 3,
    "char_hidden": 100,
    "char_output": 5,
    "lstm_hidden": 4,
    "image_dim": 10,
    "regions": 4,
    "max_tokens": 6,
    "max_chars": 10,
}
LENGTHS = (6, 4)
CLEAN = {"mask_text_attention": True, "pack": True, "masked_char_max": True}


def tiny_vocabulary() -> dict:
    """12 words, 9 characters, 4 entity types."""
    return {
        "entity_types": ["PER", "LOC", "ORG", "MISC"],
        "words": [PAD, UNK, *(f"w{number}" for number in range(2, 12))],
        "chars": [PAD, UNK, *"abcdefg"],
        "singletons": [],
    }


def golden_state(model: Model) -> dict[str, Tensor]:
    """Fill tensor n with 0.3 sin(1.7 n + 0.9 i + 0.5), in the released order and layout."""
    upstream = to_released(model.state_dict())
    for n, name in enumerate(UPSTREAM_NAMES):
        index = torch.arange(upstream[name].numel(), dtype=torch.float64)
        values = 0.3 * torch.sin(1.7 * n + 0.9 * index + 0.5)
        upstream[name] = values.reshape(upstream[name].shape)
    return upstream


def golden_model(**changes) -> Model:
    """Return the tiny model in the released switches, `changes` applied, float64, no dropout."""
    exact = Model(Options.upstream(**SIZES), tiny_vocabulary()).double()
    state = from_released(golden_state(exact))
    model = Model(Options.upstream(**SIZES, **changes), tiny_vocabulary()).double()
    if changes.get("attention_merge") == "add":
        width = 2 * SIZES["lstm_hidden"]
        for side in ("visual", "textual"):
            name = f"{side}_attention.score.weight"
            state[name] = state[name][:, :width]
    model.load_state_dict(state)
    return model.eval()


def golden_batch() -> dict:
    """Return the two sentences of the reference."""
    word_ids = torch.zeros((2, 6), dtype=torch.int64)
    tag_ids = torch.zeros((2, 6), dtype=torch.int64)
    char_ids = torch.zeros((2, 6, 10), dtype=torch.int64)
    char_lengths = torch.zeros((2, 6), dtype=torch.int64)
    for b, length in enumerate(LENGTHS):
        for t in range(length):
            word_ids[b, t] = 2 + (3 * b + 5 * t) % 10
            tag_ids[b, t] = 2 + (2 * b + 3 * t) % 9
            char_lengths[b, t] = 1 + (b + 2 * t) % 10
            for j in range(int(char_lengths[b, t])):
                char_ids[b, t, j] = 2 + (b + t + 3 * j) % 7
    image = [
        [[abs(math.cos(b + 0.3 * r + 0.11 * c)) for c in range(10)] for r in range(4)]
        for b in range(2)
    ]
    return {
        "word_ids": word_ids,
        "char_ids": char_ids,
        "char_lengths": char_lengths,
        "hashed": None,
        "mask": torch.arange(6)[None, :] < torch.tensor(LENGTHS)[:, None],
        "n_tokens": list(LENGTHS),
        "tag_ids": tag_ids,
        "image": torch.tensor(image, dtype=torch.float64),
        "has_image": torch.tensor([True, True]),
    }


def close(got: Tensor, *expected: str) -> None:
    """Assert equality to the eight decimals of the reference."""
    numbers = [float(number) for line in expected for number in line.split()]
    wanted = torch.tensor(numbers, dtype=torch.float64)
    torch.testing.assert_close(got.detach(), wanted, rtol=0, atol=6e-9)


@dataclass(frozen=True)
class Golden:
    """Loss and sum of absolute emissions on real tokens of one set of switches."""

    changes: dict
    loss: float
    emissions: float


CASES = {
    "upstream-exact": Golden({}, 12.32786431, 26.50745230),
    "only textual mask": Golden({"mask_text_attention": True}, 12.32702388, 26.43073543),
    "only packing": Golden({"pack": True}, 12.29841277, 26.61718524),
    "only masked characters": Golden({"masked_char_max": True}, 12.32803214, 26.50567209),
    "clean": Golden(CLEAN, 12.29889658, 26.63032349),
    "clean, add": Golden({**CLEAN, "attention_merge": "add"}, 12.29858849, 26.62388031),
}


def test_inputs_of_the_reference():
    batch = golden_batch()
    assert batch["word_ids"].tolist() == [[2, 7, 2, 7, 2, 7], [5, 10, 5, 10, 0, 0]]
    assert batch["tag_ids"].tolist() == [[2, 5, 8, 2, 5, 8], [4, 7, 10, 4, 0, 0]]
    assert batch["char_ids"][1, 2].tolist() == [5, 8, 4, 7, 3, 6, 0, 0, 0, 0]


@pytest.mark.parametrize("name", CASES)
def test_loss_and_sum_of_emissions(name):
    case, batch = CASES[name], golden_batch()
    output = golden_model(**case.changes)(batch)
    total = output.emissions[batch["mask"]].abs().sum()
    # The loss is printed to 8 decimals, the sum over 110 emissions as well.
    assert output.loss.item() == pytest.approx(case.loss, abs=6e-9)
    assert total.item() == pytest.approx(case.emissions, abs=6e-9)


def test_intermediate_values_of_the_released_model():
    batch, model = golden_batch(), golden_model()
    trace = model.trace(batch)
    close(trace.chars[0, 0], "-0.97787152 -1.88522353 2.38840075 0.02428672 -1.78387371")
    close(
        trace.states[0, 0],
        "0.11202815 -0.06272551 0.09157919 -0.18026123",
        "0.16240272 -0.25543793 0.12934982 -0.32536836",
    )
    close(
        trace.regions[0, 0],
        "-0.59322099 0.04433404 0.08299316 0.07645716",
        "0.56125134 -0.41338439 0.28722254 -0.62425741",
    )
    close(
        trace.visual[0, 0],
        "-0.54669861 0.02479125 0.05190822 0.15121150",
        "0.48089214 -0.30704578 0.18105298 -0.56936779",
    )
    close(
        trace.textual[0, 0],
        "0.19303385 -0.18581991 0.15737238 -0.42445421",
        "0.16350113 -0.25804914 0.10927669 -0.34602706",
    )
    close(trace.fusion_gate[0, 0], "0.72313851")
    close(
        trace.mixture[0, 0],
        "-0.35541800 -0.27877170 0.01152717 0.30493446",
        "0.33695115 0.13607137 -0.19827597 -0.35099683",
    )
    close(
        trace.filtration_gate[0, :, 0],
        "0.53842027 0.54919141 0.55679811 0.55783075 0.56408236 0.56693806",
    )


def test_emissions_and_path_of_the_released_model():
    batch, model = golden_batch(), golden_model()
    emissions = model(batch).emissions
    close(
        emissions[0, 0],
        "-0.03712694 -0.61266862 -0.10590743 0.17843463 -0.13368184 0.19770848",
        "0.55908153 -0.13831498 -0.58032699 -0.02580569 0.10791417",
    )
    close(
        emissions[1, 3],
        "0.00811827 -0.60877728 -0.15317472 0.19910501 -0.09715560 0.15805780",
        "0.54315917 -0.09039048 -0.58930786 -0.06906342 0.13937325",
    )
    close(model.crf.nll(emissions, batch["tag_ids"], batch["mask"]), "13.95404318 10.70168543")
    paths, _ = model.crf.viterbi(emissions, batch["mask"])
    assert paths == [[3, 6, 3, 0, 6, 3], [3, 9, 6, 3]]
    # Tag 0 is [pad]: on a real token it is no entity.
    assert model.decode(batch, "main")[0] == ["B-PER", "I-LOC", "B-PER", "O", "I-LOC", "B-PER"]


def test_emissions_and_path_of_the_default():
    batch, model = golden_batch(), golden_model(**CLEAN)
    emissions = model(batch).emissions
    close(
        emissions[0, 0],
        "-0.03672093 -0.61277656 -0.10625735 0.17872440 -0.13348250 0.19731513",
        "0.55908659 -0.13792425 -0.58053508 -0.02608829 0.10826911",
    )
    close(
        emissions[1, 3],
        "0.06190059 -0.61328406 -0.20461516 0.23034203 -0.06194700 0.10852517",
        "0.53368944 -0.03593705 -0.60813402 -0.11373412 0.18141186",
    )
    paths, _ = model.crf.viterbi(emissions, batch["mask"])
    assert paths == [[3, 6, 3, 0, 6, 3], [3, 0, 6, 3]]


def test_emissions_of_the_default_with_add():
    emissions = golden_model(**CLEAN, attention_merge="add")(golden_batch()).emissions
    close(
        emissions[0, 0],
        "-0.03677164 -0.61269536 -0.10624884 0.17863878 -0.13344651 0.19738205",
        "0.55901583 -0.13795441 -0.58044865 -0.02610304 0.10819035",
    )


def test_converter_drops_pad_and_unk():
    """With those two tags removed the emissions are columns 2 to 10 of the 11-tag model's."""
    exact, batch = golden_model(), golden_batch()
    options = Options.upstream(**SIZES, upstream_tags=False)
    small = Model(options, tiny_vocabulary()).double().eval()
    small.load_state_dict(from_released(golden_state(exact), drop_pad_unk=True))
    batch["tag_ids"] = None
    torch.testing.assert_close(small(batch).emissions, exact(batch).emissions[..., 2:])
    torch.testing.assert_close(small.crf.transitions, exact.crf.transitions[2:, 2:])
