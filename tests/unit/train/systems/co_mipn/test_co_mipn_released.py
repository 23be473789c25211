"""Names of Co-MIPN's released checkpoints, and the released score."""

import random
import re
from collections import Counter

import pytest
import torch

from extract.core.errors import DataError
from extract.tables.tags import entity_spans
from tests.builders.train.co_mipn_tiny import build, double, examples, write_checkpoints
from tests.builders.train.released_scores import released_counts
from train.blocks.special_labels import SpecialLabels, as_tags
from train.measures.metrics import micro_counts
from train.systems.co_mipn.options import Options
from train.systems.co_mipn.released_checkpoint import from_released, to_released, upstream_names


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_encoder):
    return write_checkpoints(tmp_path_factory.mktemp("co_mipn"), tiny_encoder("bert"))


def test_names():
    names = upstream_names()
    assert len(names) == len(set(names.values())) == 1469
    tops = Counter(name.partition(".")[0] for name in names)
    berts = dict.fromkeys(("bert1", "bert2", "bert3", "bert4", "bert"), 199)
    rest = {"encoder_conv": 4, "gates2": 24, "visual_projection": 2, "text_projection": 2}
    rest |= {"gate1": 2, "dim1": 2, "temp": 1, "vision_proj": 4, "text_proj": 4, "crf": 3, "fc": 2}
    assert tops == berts | {"albert": 25, "vit": 200, "image_model": 199} | rest
    for name in (
        "bert3.encoder.layer.11.attention.output.LayerNorm.bias",
        "albert.encoder.albert_layer_groups.0.albert_layers.0.full_layer_layer_norm.weight",
        "vit.encoder.layer.0.attention.attention.query.weight",
        "image_model.clip.vision_model.pre_layrnorm.weight",
        "image_model.clip.vision_model.embeddings.class_embedding",
        "gates2.11.weight",
    ):
        assert name in names


def layers_of_two() -> dict[str, str]:
    return upstream_names(bert_layers=2, clip_layers=2, vit_layers=2)


def random_upstream(folders) -> dict[str, torch.Tensor]:
    """Return a released state dict of tiny networks, with its buffers."""
    state = to_released(build(folders, "upstream").state_dict(), Options.upstream())
    buffers = [f"{bert}.embeddings.position_ids" for bert in ("bert1", "bert2", "bert")]
    return {
        **{name: torch.randn_like(tensor) / 10 for name, tensor in state.items()},
        **{name: torch.arange(512)[None] for name in buffers},
        "temp": torch.tensor(0.2),
    }


def test_round_trip_is_the_identity(folders):
    upstream = random_upstream(folders)
    model = build(folders, "upstream")
    model.load_state_dict(from_released(upstream, model.options))
    back = to_released(model.state_dict(), model.options)
    assert list(back) == list(layers_of_two())
    assert all(torch.equal(back[name], upstream[name]) for name in back)
    assert all(name.endswith("position_ids") for name in upstream.keys() - back.keys())


@pytest.mark.parametrize(
    "changes",
    [
        {"unused_tensors": False},
        {"contrastive": "off"},
        {"contrastive": "off", "unused_tensors": False, "train_all_heads": True},
    ],
)
def test_what_nothing_reads_can_be_left_behind(folders, changes):
    upstream = random_upstream(folders)
    whole = build(folders, "upstream").double()
    whole.load_state_dict(from_released(upstream, whole.options))
    batch = double(whole.collate(examples()))
    smaller = build(folders, "upstream", **changes).double()
    smaller.load_state_dict(from_released(upstream, smaller.options))
    assert len(smaller.state_dict()) < len(whole.state_dict())
    assert torch.equal(whole(batch).emissions, smaller(batch).emissions)
    with pytest.raises(DataError, match="does without"):
        to_released(smaller.state_dict(), smaller.options)


def test_a_checkpoint_without_contrastive_heads(folders):
    upstream = random_upstream(folders)
    for name in [
        n for n in upstream if n == "temp" or n.startswith(("vision_proj.", "text_proj."))
    ]:
        del upstream[name]
    model = build(folders, "upstream", contrastive="off")
    model.load_state_dict(from_released(upstream, model.options))
    with pytest.raises(DataError, match="missing: vision_proj"):
        from_released(upstream, Options.upstream())


def test_missing_and_unknown_names_are_errors(folders):
    state = random_upstream(folders)
    renamed = {("fcc.weight" if n == "fc.weight" else n): t for n, t in state.items()}
    with pytest.raises(DataError, match=r"missing: fc\.weight\. Did you mean 'fcc\.weight'"):
        from_released(renamed, Options.upstream())
    with pytest.raises(DataError, match="unknown tensors: extra"):
        from_released({**state, "extra": torch.zeros(1)}, Options.upstream())
    ours = build(folders, "upstream").state_dict()
    with pytest.raises(DataError, match="unknown tensors: extra"):
        to_released({**ours, "extra": torch.zeros(1)}, Options.upstream())


def test_split_heads_are_another_function(folders):
    state = random_upstream(folders)
    split = Options.upstream(prompt_head_layout="split")
    with pytest.raises(DataError, match="another function"):
        from_released(state, split)
    with pytest.raises(DataError, match="another function"):
        to_released(build(folders, "fixed").state_dict(), Options())


EXAMPLES = [
    ("O O B-PER", "O X B-PER", 2 / 3),
    ("B-PER I-PER O O", "B-PER I-PER O [SEP]", 2 / 3),
    ("B-PER I-PER O O", "B-PER I-PER X O", 1.0),
]


@pytest.mark.parametrize(("gold", "predicted", "f1"), EXAMPLES)
def test_the_released_score_counts_special_labels(gold, predicted, f1):
    counts = released_counts([gold.split()], [predicted.split()])
    assert counts.f1 / 100 == pytest.approx(f1, abs=1e-12)


def test_spans_without_a_beginning_are_read():
    for labels, spans in {
        "O I-PER I-PER": [("PER", 1, 3)],
        "B-PER I-LOC": [("PER", 0, 1), ("LOC", 1, 2)],
    }.items():
        assert entity_spans(labels.split()) == spans
        for other in ("O O O", "B-PER O O"):
            counts = released_counts([labels.split()], [other.split()[: len(labels.split())]])
            assert counts.n_gold == len(spans)


@pytest.mark.parametrize(("gold", "predicted", "f1"), EXAMPLES)
def test_ours_reads_special_labels_as_o(gold, predicted, f1):
    assert micro_counts([gold.split()], [as_tags(predicted.split())]).f1 == 100


def test_without_special_labels_both_scores_agree():
    tags = [name for name in SpecialLabels(["PER", "LOC"]).names if re.match("[OBI](-|$)", name)]
    draw = random.Random(0)
    for _ in range(50):
        gold, predicted = ([draw.choices(tags, k=6) for _ in range(3)] for _ in range(2))
        assert released_counts(gold, predicted) == micro_counts(gold, predicted)


def test_words_that_were_never_read_do_not_count():
    counts = released_counts([["B-PER", "B-LOC", "O"]], [["B-PER", None, "O"]])
    assert (counts.n_gold, counts.n_pred, counts.n_correct) == (1, 1, 1)
