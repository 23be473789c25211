"""The words-only baseline: batches, loss, decoding, reloading, and that it learns."""

import pytest
import torch

from extract.core.errors import ConfigError, DataError
from extract.core.options import options_from
from extract.tables.samples import Sample
from train.blocks.tag_head import TagCodec
from train.data.examples import Example
from train.systems.text_crf.model import Model
from train.systems.text_crf.options import Options

VOCABULARY = {"entity_types": ["PER", "LOC"]}
SENTENCES = [
    ("Kevin Durant plays in Oakland tonight", "B-PER I-PER O O B-LOC O"),
    ("the dog", "O O"),
    ("Justin Bieber at New York", "B-PER I-PER O B-LOC I-LOC"),
    ("New", "B-LOC"),
]


def examples(labelled=True):
    return [
        Example(Sample(str(i), "img", text.split(), tags.split() if labelled else None), {})
        for i, (text, tags) in enumerate(SENTENCES)
    ]


def build(folder, **options):
    torch.manual_seed(0)
    return Model(Options(**options), VOCABULARY, {"encoder": folder}, True)


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_batch_equals_single_sentences(tiny_encoder, scheme):
    model = build(tiny_encoder("bert"), tag_scheme=scheme).eval()
    with torch.no_grad():
        output = model(model.collate(examples()))
        singles = [model(model.collate([example])) for example in examples()]
    assert output.emissions.shape == (4, 6, 5 if scheme == "bio" else 9)
    assert output.mask.sum(1).tolist() == [6, 2, 5, 1]
    mean = torch.stack([single.loss for single in singles]).mean()
    torch.testing.assert_close(output.loss, mean, atol=1e-5, rtol=0)
    for b, single in enumerate(singles):
        n = single.mask.shape[1]
        torch.testing.assert_close(output.emissions[b, :n], single.emissions[0], atol=1e-5, rtol=0)


def test_one_tag_for_each_token_also_without_gold(tiny_encoder):
    model = build(tiny_encoder("bert"), tag_scheme="bioes").eval()
    batch = model.collate(examples(labelled=False))
    assert batch["tags"] is None and model(batch).loss is None
    decoded = model.decode(batch, "main")
    assert [len(tags) for tags in decoded] == [6, 2, 5, 1]
    assert {tag[0] for tags in decoded for tag in tags} <= set("BIO")
    with pytest.raises(ConfigError, match="view"):
        model.decode(batch, "mm")


def test_every_parameter_is_in_one_group(tiny_encoder):
    model = build(tiny_encoder("roberta"))
    groups = model.parameter_groups()
    assert set(groups) == {"encoder", "head", "crf"} and len(groups["crf"]) == 3
    grouped = [id(parameter) for group in groups.values() for parameter in group]
    assert sorted(grouped) == sorted(map(id, model.parameters()))


def test_rebuilt_from_assets_and_weights_it_decodes_the_same(tiny_encoder, tmp_path):
    model = build(tiny_encoder("xlmr"), crf_init="normal").eval()
    model.save_assets(tmp_path)
    again = Model(
        model.options, VOCABULARY, {"encoder": tmp_path / "encoder"}, pretrained=False
    ).eval()
    again.load_state_dict(model.state_dict())
    batch = model.collate(examples())
    assert again.decode(again.collate(examples()), "main") == model.decode(batch, "main")


def test_a_long_tweet_is_neither_cut_nor_refused(tiny_encoder):
    model = build(tiny_encoder("bert", 40)).eval()
    long = Example(Sample("x", "i", ["dog"] * 90, ["O"] * 90), {})
    batch = model.collate([long, examples()[1]])
    assert torch.isfinite(model(batch).loss)
    assert [len(tags) for tags in model.decode(batch, "main")] == [90, 2]


def test_under_autocast_emissions_and_loss_stay_float32(tiny_encoder):
    model = build(tiny_encoder("bert")).eval()
    batch = model.collate(examples())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch)
    assert output.emissions.dtype == output.loss.dtype == torch.float32
    torch.testing.assert_close(output.loss, model(batch).loss, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_it_learns_names_by_heart(tiny_encoder, scheme):
    model = build(tiny_encoder("bert"), tag_scheme=scheme)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    batch = model.collate(examples())
    for _ in range(40):
        optimizer.zero_grad()
        model(batch).loss.backward()
        optimizer.step()
    gold = [tags.split() for _, tags in SENTENCES]
    assert model.eval().decode(batch, "main") == gold


def test_tags_survive_the_codec(shared_data):
    tags = [[]]
    for line in (shared_data / "twitter2017" / "test.txt").open(encoding="utf-8"):
        if "\t" in line:
            tags[-1].append(line.rstrip("\n").rsplit("\t", 1)[1])
        elif tags[-1]:
            tags.append([])
    samples = [Sample(str(i), "i", ["w"] * len(t), t) for i, t in enumerate(tags) if t]
    assert len(samples) == 723
    codec = TagCodec(["PER", "LOC", "ORG", "MISC"], "bioes")
    ids = codec.encode(samples)
    paths = [row[: len(s.tokens)].tolist() for row, s in zip(ids, samples, strict=True)]
    assert codec.decode(paths) == [sample.tags for sample in samples]
    assert {codec.tags[i][0] for path in paths for i in path} == set("OBIES")


def test_a_type_of_no_training_tag_is_refused():
    codec = TagCodec(["PER"], "bioes")
    with pytest.raises(DataError, match="sample s7"):
        codec.encode([Sample("s7", "i", ["a", "b"], ["O", "B-LOC"])])


@pytest.mark.parametrize("bad", [{"dropout": 1.0}, {"tag_scheme": "iob"}, {"crf_init": "zeros"}])
def test_options_are_checked(bad):
    with pytest.raises(ConfigError):
        options_from(Options, bad, "models.text_crf.options")
