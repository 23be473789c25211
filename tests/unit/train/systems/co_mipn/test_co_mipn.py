"""Co-MIPN on tiny networks: behaviour, presets, masks, options and the way to tags and back."""

import logging

import pytest
import torch

from extract.core.errors import ConfigError, DataError, ShapeError
from extract.core.options import options_from
from extract.networks.pixels import CLIP_MEAN, CLIP_STD
from extract.store import StoredItem
from extract.tables.rows import STATUS
from tests.builders.train.co_mipn_tiny import (
    PRESETS,
    SENTENCE_PIECES,
    SIZES,
    TYPES,
    build,
    double,
    example,
    examples,
    real,
    write_checkpoints,
)
from tests.builders.train.published_recipes import published_recipe
from train.blocks.vision_tower import load_vision_tower
from train.data.pixels import pixel_batch
from train.systems.co_mipn.model import Model
from train.systems.co_mipn.options import Options
from train.systems.co_mipn.prompt_attention import LayerPrompt
from train.training.optim import build_optimizer

TOWERS = ("images.clip.", "images.dino.")


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_encoder):
    return write_checkpoints(tmp_path_factory.mktemp("co_mipn"), tiny_encoder("bert"))


@pytest.mark.parametrize("preset", PRESETS)
def test_shapes_of_everything_computed(folders, preset):
    model = build(folders, preset)
    batch = model.collate(examples())
    trace = model.trace(batch)
    width = 32 if preset == "upstream" else int(batch["mask"].sum(1).max())
    for layer in trace.prompts.level:
        assert layer.key.shape == layer.value.shape == (3, 4, 24, 8)
    for layer in trace.prompts.gated:
        assert layer.query.shape == (3, 4, 32, 8)
        assert layer.key.shape == layer.value.shape == (3, 4, 16, 8)
    assert trace.prompts.filtered.shape == (3, 4, 32, 32)
    assert {tuple(states.shape) for states in trace.branches.states} == {(3, width, 32)}
    assert trace.emissions.shape == (3, width, 13)
    paths, _ = model.crf.viterbi(trace.emissions, batch["mask"])
    assert [len(path) for path in paths] == batch["mask"].sum(1).tolist()
    assert [len(tags) for tags in model.decode(batch, "main")] == [8, 2, 9]


def emissions_of(model: Model, batch: dict) -> list[torch.Tensor]:
    return real(batch, model(batch).emissions.detach())


def largest_change(model: Model, batch: dict, other: dict) -> list[float]:
    """Return the largest change of the real emissions of each sample."""
    pairs = zip(emissions_of(model, batch), emissions_of(model, other), strict=True)
    return [(a - b).abs().max().item() for a, b in pairs]


def with_other_padding(batch: dict) -> dict:
    ids = batch["input_ids"].masked_fill(~batch["mask"], 17)
    own = batch["sentence"]
    if own is not None:
        own = {**own, "input_ids": own["input_ids"].masked_fill(~own["mask"], 17)}
    return {**batch, "input_ids": ids, "sentence": own}


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("fixed", {}),
        ("fixed", {"similarity": "index"}),
        ("fixed", {"prompt_head_layout": "raw"}),
        ("fixed", {"contrastive": "albert_isolated"}),
        ("upstream", {"mask_padding": True}),
    ],
)
def test_padding_changes_nothing_when_masked(folders, preset, changes):
    model = build(folders, preset, **changes).double()
    batch = double(model.collate(examples()))
    other = with_other_padding(batch)
    assert not torch.equal(batch["input_ids"], other["input_ids"])
    assert max(largest_change(model, batch, other)) < 1e-12
    assert abs(model(batch).loss - model(other).loss) < 1e-12


def test_the_released_code_reads_padding(folders):
    model = build(folders, "upstream").double()
    batch = double(model.collate(examples()))
    assert min(largest_change(model, batch, with_other_padding(batch))) > 1e-4


@pytest.mark.parametrize("layout", ["split", "raw"])
@pytest.mark.parametrize("similarity", ["all_pairs", "index"])
def test_batching_changes_nothing(folders, layout, similarity):
    model = build(folders, prompt_head_layout=layout, similarity=similarity).double()
    group = [example(0), example(1, crops=1), example(2, whole=False), example(4, crops=0)]
    together = emissions_of(model, double(model.collate(group)))
    for one, expected in zip(group, together, strict=True):
        alone = emissions_of(model, double(model.collate([one])))[0]
        assert (alone - expected).abs().max() < 1e-12


@pytest.mark.parametrize("preset", PRESETS)
def test_images_matter_to_their_own_sample_only(folders, preset):
    model = build(folders, preset).double()
    batch = double(model.collate(examples()))
    for place in range(4):
        images = batch["images"].clone()
        images[0, place] = -images[0, place]
        changes = largest_change(model, batch, {**batch, "images": images})
        # With split heads no text of a quarter of max_pieces asks with crops; the branches `memory`
        # and `prefix` see them as keys.
        assert changes[0] > 1e-6 and max(changes[1:]) < 1e-12


def trainable_everywhere(model: Model) -> Model:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(TOWERS))
    return model


def test_the_isolated_encoder_changes_no_tag(folders):
    model = build(folders, "upstream")
    batch = model.collate(examples())
    before = model(batch)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(("sentence.", "unused.")):
                parameter.add_(torch.randn_like(parameter))
    after = model(batch)
    assert torch.equal(before.emissions, after.emissions)
    assert before.parts["nll"] == after.parts["nll"]
    assert before.parts["contrastive"] != after.parts["contrastive"]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_the_contrastive_loss_trains(folders, preset):
    model = trainable_everywhere(build(folders, preset))
    model(model.collate(examples())).parts["contrastive"].backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    heads = {name for name, _ in model.named_parameters() if name.startswith("contrast.")}
    assert heads <= reached
    tops = {name.partition(".")[0] for name in reached}
    assert tops == {"contrast", "sentence" if preset == "upstream" else "text"}


def step(model: Model) -> tuple[set[str], set[str]]:
    """Make one update; return all names and those that changed."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = build_optimizer(model, published_recipe("co_mipn"))
    model.train()
    model(model.collate(examples())).loss.backward()
    optimizer.step()
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    return set(before), changed


def test_what_one_step_of_the_released_model_changes(folders):
    everything, changed = step(build(folders, "upstream"))
    late = ("images.similarity.", "branches.gate.", "contrast.")
    still = {name for name in everything if name.startswith((*TOWERS, *late, "unused."))}
    for branch, parts in {0: ("key", "value"), 1: ("query",), 3: ("query",)}.items():
        for part in parts:
            prefix = f"branches.encoders.{branch}.model.encoder.layer."
            still |= {n for n in everything if n.startswith(prefix) and f".self.{part}." in n}
    assert everything - changed == still
    assert len(still) > 50


def test_one_step_of_the_default_changes_all_but_the_towers(folders):
    everything, changed = step(build(folders, "fixed"))
    assert everything - changed == {name for name in everything if name.startswith(TOWERS)}
    assert not any(name.startswith(("unused.", "sentence.")) for name in everything)


@pytest.mark.parametrize("preset", PRESETS)
def test_groups_partition_what_is_trained(folders, preset):
    model = build(folders, preset)
    groups = model.parameter_groups()
    members = [id(p) for group in groups.values() for p in group]
    assert len(set(members)) == len(members)
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert trained <= set(members)
    build_optimizer(model, published_recipe("co_mipn"))
    fusion = {id(p) for p in groups["fusion"]}
    late = [p for head in model._late_heads() for p in head.parameters()]
    assert len(late) == 15
    assert all((id(p) in fusion) == (preset == "fixed") for p in late)


def test_options_that_do_not_fit_are_refused(folders):
    with pytest.raises(ConfigError, match="max_pieces must be a multiple of 8, got 20"):
        options_from(Options, {"max_pieces": 20}, "options")
    for changes, message in [
        ({"prompt_len": 7}, "prompt_len: the 1224 numbers .* do not divide into 7 rows"),
        ({"max_pieces": 520}, "max_pieces: encoder reads at most 512 pieces, got 520"),
    ]:
        with pytest.raises(ConfigError, match=message):
            build(folders, "upstream", **changes)
    encoder_as_vision = {**folders, "vision": folders["encoder"]}
    with pytest.raises(ConfigError, match="not a vision model"):
        build(encoder_as_vision)


@pytest.mark.parametrize(
    "bad",
    [
        {"dropout": 1.0},
        {"contrastive_weight": -0.1},
        {"temperature": 0.0},
        {"prompt_len": 0},
        {"contrastive": "no"},
        {"similarity": "some"},
    ],
)
def test_options_are_checked(bad):
    with pytest.raises(ConfigError):
        options_from(Options, bad, "models.co_mipn.options")


def test_presets():
    assert Options.upstream(max_pieces=64).max_pieces == 64
    differing = {n for n in vars(Options()) if vars(Options())[n] != vars(Options.upstream())[n]}
    assert len(differing) == 12 and "branch_gate" not in differing


@pytest.mark.parametrize(
    "changes",
    [
        {"contrastive": "off"},
        {"contrastive": "albert_isolated"},
        {"contrastive": "albert_isolated", "sentence_pieces": "encoder"},
        {"contrastive_normalized": False},
        {"train_all_heads": False},
        {"mask_padding": False},
        {"similarity": "index"},
        {"prompt_head_layout": "raw"},
        {"clip_normalisation": "imagenet"},
        {"mask_missing": False},
        {"branch_gate": "raw"},
        {"empty_word": "drop"},
        {"word_labels": "any"},
        {"unused_tensors": True},
    ],
)
def test_every_switch_trains_and_decodes(folders, changes):
    model = build(folders, **changes)
    batch = model.collate([*examples(), example(3, whole=False, crops=0), example(4, crops=1)])
    output = model.train()(batch)
    output.loss.backward()
    torch.testing.assert_close(output.loss, sum(output.parts.values()))
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), name
    build_optimizer(model, published_recipe("co_mipn")).step()
    assert [len(tags) for tags in model.eval().decode(batch, "main")] == [8, 2, 9, 8, 2]


def test_the_loss_is_the_weighted_sum(folders):
    model = build(folders, contrastive_weight=0.3)
    batch = model.collate(examples())
    output, trace = model(batch), model.trace(batch)
    nll = model.crf.nll(trace.emissions, batch["labels"], batch["mask"]).mean()
    contrast = model.contrastive_loss(batch, trace)
    torch.testing.assert_close(output.loss, 0.7 * nll + 0.3 * contrast)
    alone = build(folders, contrastive="off")
    assert set(alone(batch).parts) == {"nll"}


@pytest.mark.parametrize("layout", ["split", "raw"])
def test_pixels_at_missing_places_are_not_looked_at(folders, layout):
    model = build(folders, prompt_head_layout=layout)
    group = [example(0, crops=1), example(1, whole=False), example(2, whole=False, crops=0)]
    batch = model.collate(group)
    noise = torch.randn_like(batch["images"])
    noisy = torch.where(batch["present"][:, :, None, None, None], batch["images"], noise)
    a, b = model(batch), model({**batch, "images": noisy})
    assert torch.equal(a.emissions, b.emissions) and a.loss == b.loss
    seen = build(folders, prompt_head_layout=layout, mask_missing=False)
    other = seen({**batch, "images": noisy}).emissions
    assert not torch.allclose(seen(batch).emissions, other)


def test_a_missing_crop_leaves_its_heads_the_whole_image(folders):
    """With raw heads each head has one image; without its crop it reads the whole image."""
    model = build(folders, prompt_head_layout="raw")
    prompts = model.trace(model.collate([example(0, crops=1)])).prompts
    assert prompts.level_present[0, :, 0].tolist() == [True, True, False, False]
    assert prompts.memory_present.all()
    keys = prompts.memory[0].key[0]
    assert torch.equal(keys[2], keys[0]) and torch.equal(keys[3], keys[0])
    assert (prompts.level[0].key[0, 2:] == 0).all()
    without_whole = model.trace(model.collate([example(0, whole=False)])).prompts
    assert without_whole.memory_present[0, :, 0].tolist() == [False, True, True, True]


def test_without_images_the_text_is_still_read(folders):
    model = build(folders).double()
    batch = double(model.collate(examples(whole=False, crops=0)))
    assert not batch["present"].any()
    trace = model.trace(batch)
    assert torch.isfinite(trace.emissions).all() and (trace.prompts.filtered == 0).all()
    words = batch["input_ids"].clone()
    words[0, 1] = words[0, 2]
    assert largest_change(model, batch, {**batch, "input_ids": words})[0] > 1e-6
    assert model(batch).parts["contrastive"] == 0


def test_clip_gets_its_own_statistics(folders):
    group = [example(0, crops=1)]
    direct, _ = pixel_batch(group, "crops", 3, 32, CLIP_MEAN, CLIP_STD)
    clip = load_vision_tower(folders["vision"], pretrained=True)
    expected = clip(pixel_values=direct[0], output_hidden_states=True).hidden_states
    for changes, alike in [({}, True), ({"clip_normalisation": "imagenet"}, False)]:
        images = build(folders, mask_missing=False, **changes).images
        images.clip = clip
        batch = build(folders, **changes).collate(group)
        levels, _ = images._look(batch["images"][0, 1:], batch["present"][0, 1:])
        close = all(torch.allclose(a, b, atol=1e-5) for a, b in zip(levels, expected, strict=True))
        assert close is alike


def test_towers_stay_frozen_and_in_evaluation_mode(folders):
    model = build(folders).train()
    for tower in (model.images.clip, model.images.dino):
        assert not tower.training and not any(p.requires_grad for p in tower.parameters())
    assert model.branches.training and model.text.training


def test_branches_start_alike_and_part_ways(folders):
    model = Model(Options(**SIZES), {"entity_types": TYPES}, folders)
    tables = [e.model.embeddings.word_embeddings.weight for e in model.branches.encoders]
    assert all(torch.equal(table, tables[0]) for table in tables)
    assert len({table.data_ptr() for table in tables}) == 4


def test_with_hidden_prompts_the_prefix_branch_is_bert(folders):
    model = build(folders).double()
    encoder = model.branches.encoders[2]
    batch = double(model.collate(examples()))
    empty = torch.zeros(3, 4, 1, 8, dtype=torch.float64)
    prompts = [LayerPrompt(key=empty, value=empty)] * 2
    hidden = torch.zeros(3, 4, 1, dtype=torch.bool)
    found = encoder(batch["input_ids"], prompts, present=hidden, text_mask=batch["mask"])
    expected = encoder.model(
        input_ids=batch["input_ids"], attention_mask=batch["mask"].long()
    ).last_hidden_state
    for a, b in zip(real(batch, found), real(batch, expected), strict=True):
        assert (a - b).abs().max() < 1e-12


def test_in_the_first_branch_pieces_do_not_see_each_other(folders):
    model = build(folders).double()
    batch = double(model.collate(examples()))
    prompts = model.trace(batch).prompts
    ids = batch["input_ids"].clone()
    ids[:, 1] = 17
    states = [
        model.branches.encoders[0](words, prompts.memory, present=prompts.memory_present)
        for words in (batch["input_ids"], ids)
    ]
    assert torch.equal(states[0][:, 2:], states[1][:, 2:])
    assert not torch.equal(states[0][:, 1], states[1][:, 1])


def test_words_without_room_are_tagged_o(folders):
    model = build(folders, max_pieces=16, word_labels="any")
    with torch.no_grad():  # every position says B-PER
        model.output.bias[model.labels.ids["B-PER"]] = 1e3
    long = example(0, text=["dog"] * 40, tags=["B-PER"] * 40)
    batch = model.collate([long, example(1)])
    assert batch["input_ids"].shape[1] == 16
    decoded = model.decode(batch, "main")
    read = int((batch["first_piece"][0] >= 0).sum())
    assert 0 < read < 40
    assert decoded[0] == ["B-PER"] * read + ["O"] * (40 - read)
    assert decoded[1] == ["B-PER", "B-PER"]
    assert model.word_labels(batch)[0][read:] == [None] * (40 - read)


@pytest.mark.parametrize(("word_labels", "expected"), [("any", "X"), ("tags", "I-LOC")])
def test_special_labels_at_words(folders, word_labels, expected):
    model = build(folders, word_labels=word_labels)
    with torch.no_grad():
        model.output.bias[model.labels.ids["X"]] = 2e3
        model.output.bias[model.labels.ids["I-LOC"]] = 1e3
    batch = model.collate(examples())
    assert {label for row in model.word_labels(batch) for label in row} == {expected}
    tags = {tag for row in model.decode(batch, "main") for tag in row}
    assert tags == {"O" if expected == "X" else expected}


def test_unlabelled_batches_decode(folders):
    model = build(folders, "upstream")
    batch = model.collate(examples(tagged=False))
    assert batch["labels"] is None and model(batch).loss is None
    assert [len(tags) for tags in model.decode(batch, "main")] == [8, 2, 9]
    with pytest.raises(ConfigError, match="view"):
        model.decode(batch, "text")


def test_unknown_tags_and_wrong_pixels_are_errors(folders):
    model = build(folders)
    with pytest.raises(DataError, match="B-DOG"):
        model.collate([example(1, tags=["O", "B-DOG"])])
    wrong = example(0)
    rows = torch.zeros(1, 27, dtype=torch.uint8).numpy()
    wrong.items["image"] = StoredItem(STATUS["ok"], features=rows)
    with pytest.raises(ShapeError, match="i0"):
        model.collate([wrong])


def test_ids_that_the_sentence_encoder_lacks(folders, caplog):
    model = build(folders, "upstream")
    with caplog.at_level(logging.WARNING):
        batches = [model.collate(examples()) for _ in range(2)]
    ids, own = batches[0]["input_ids"], batches[0]["sentence"]["input_ids"]
    beyond = ids >= SENTENCE_PIECES
    assert beyond.any() and (own[beyond] == model.sentence.encoder.specials["unknown"]).all()
    assert torch.equal(own[~beyond], ids[~beyond])
    assert len([r for r in caplog.records if "sentence encoder" in r.message]) == 1


@pytest.mark.parametrize("preset", PRESETS)
def test_rebuilt_from_assets_and_weights_it_is_the_same(folders, preset, tmp_path):
    model = build(folders, preset)
    model.save_assets(tmp_path)
    roles = {role: tmp_path / role for role in Model.roles}
    assert roles["sentence"].exists() is (preset == "upstream")
    again = Model(model.options, {"entity_types": TYPES}, roles, pretrained=False).eval()
    again.load_state_dict(model.state_dict())
    batch = model.collate(examples())
    assert torch.equal(again(again.collate(examples())).emissions, model(batch).emissions)
    assert again.decode(batch, "main") == model.decode(batch, "main")


@pytest.mark.parametrize("family", ["roberta", "xlmr"])
def test_other_encoder_families(folders, tiny_encoder, family):
    model = build({**folders, "encoder": tiny_encoder(family)}).double()
    batch = double(model.collate(examples()))
    assert torch.isfinite(model(batch).loss)
    alone = emissions_of(model, double(model.collate([example(1)])))[0]
    assert (alone - emissions_of(model, batch)[1]).abs().max() < 1e-12


@pytest.mark.parametrize("preset", PRESETS)
def test_bfloat16_autocast(folders, preset):
    model = build(folders, preset)
    batch = model.collate([*examples(), example(3, whole=False, crops=1)])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch)
    output.loss.backward()
    assert output.emissions.dtype == output.loss.dtype == torch.float32
    assert torch.isfinite(output.loss)
    torch.testing.assert_close(output.loss, model(batch).loss, rtol=0.1, atol=0)


def test_required_features_and_roles():
    assert set(Model.required_features(Options())) == {"image", "crops"}
    assert Model.roles == ("encoder", "vision", "dino", "sentence")
