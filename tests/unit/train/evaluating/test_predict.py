"""Tagging text without gold tags: confidence by brute force, both files, fitting features."""

import dataclasses
import itertools
import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from extract.store import StoredItem
from extract.tables.rows import STATUS
from extract.tables.samples import Sample, write_samples
from tests.builders.train import co_mipn_tiny, dummy_system, rpi_hmif_tiny
from tests.builders.train.dummy_system import write_store
from train.__main__ import main
from train.blocks.crf import LinearChainCRF
from train.blocks.path_marginals import of_words, path_marginals, piece_marginals
from train.data.examples import Example
from train.evaluating import predict
from train.systems.acn import model as acn
from train.systems.ita import model as ita
from train.systems.text_crf import model as text_crf
from train.training.recipe import Recipe
from train.training.run_folder.checkpoint import RunInfo, save_weights, write_run_info

TYPES = ["PER", "LOC"]
TEXTS = ["Kevin Durant plays", "the dog", "New York"]
SAMPLES = [Sample(str(i), f"{i}.jpg", text.split()) for i, text in enumerate(TEXTS)]


def build(system: str, folder: Path, **options):
    """Return a model that is unsure enough for its marginals to differ."""
    torch.manual_seed(3)
    module = {"text_crf": text_crf, "ita": ita, "acn": acn}[system]
    chosen = module.Options(**options)
    vocabulary = module.Model.build_vocabulary(chosen, SAMPLES, TYPES)
    return module.Model(chosen, vocabulary, {"encoder": folder}, True).double().eval()


def examples(role: str = "", item=None) -> list[Example]:
    return [Example(sample, {role: item} if role else {}) for sample in SAMPLES]


def brute_force(crf: LinearChainCRF, emissions: torch.Tensor) -> list[float]:
    """Return p of each tag on the best path of one sentence, by adding up all paths."""
    paths = list(itertools.product(range(crf.num_tags), repeat=len(emissions)))
    scores = []
    for path in paths:
        score = crf.start_transitions[path[0]] + crf.end_transitions[path[-1]]
        score += sum(emissions[i, tag] for i, tag in enumerate(path))
        score += sum(crf.transitions[a, b] for a, b in itertools.pairwise(path))
        scores.append(score.item())
    best, weights = paths[scores.index(max(scores))], [math.exp(score) for score in scores]
    return [
        sum(w for path, w in zip(paths, weights, strict=True) if path[i] == best[i]) / sum(weights)
        for i in range(len(emissions))
    ]


def stored(text: str | None):
    return StoredItem(STATUS["ok"], text=(text,)) if text else StoredItem(STATUS["missing"], "gone")


CASES = [
    ("text_crf", "", None, {"tag_scheme": "bio"}),
    ("ita", "captions", stored("a man near the sea"), {"tag_scheme": "bio"}),
    ("acn", "grid", stored(None), {"max_tokens": 2, "constrain_bio": True}),
]


@pytest.mark.parametrize(("system", "role", "item", "options"), CASES)
def test_marginals_equal_brute_force(tiny_encoder, system, role, item, options):
    model = build(system, tiny_encoder("bert"), **options)
    with torch.no_grad():
        for parameter in (model.crf if system == "acn" else model.head.crf).parameters():
            parameter.mul_(8)
        batch = model.collate(examples(role, item))
        output = model(batch)
        for view in model.views:
            found = model.marginals(batch, view)
            emissions = model.emissions(batch, view) if system == "ita" else output.emissions
            for row, tags, probabilities in zip(emissions, SAMPLES, found, strict=True):
                length = min(len(tags.tokens), options.get("max_tokens", 9))
                crf = model._decoder() if system == "acn" else model.head.crf
                expected = brute_force(crf, row[:length])
                assert probabilities[:length] == pytest.approx(expected, abs=1e-9)
                assert probabilities[length:] == [None] * (len(tags.tokens) - length)
                assert len(probabilities) == len(tags.tokens)


def test_words_that_were_not_read_have_no_probability():
    rows = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6]]
    assert of_words(rows, [5, 2]) == [[0.1, 0.2, 0.3, 0.4, None], [0.5, 0.6]]
    torch.manual_seed(0)
    crf, emissions = LinearChainCRF(3), torch.randn(2, 4, 3)
    batch = {
        "mask": torch.arange(4) < torch.tensor([[4], [2]]),
        "first_piece": torch.tensor([[1, 3, -1], [1, -1, -1]]),
        "n_tokens": [3, 1],
    }
    whole = path_marginals(crf, emissions, batch["mask"])
    expected = [[whole[0][1], whole[0][3], None], [whole[1][1]]]
    assert piece_marginals(crf, emissions, batch) == expected


def piece_model(system: str, encoder: Path, folder: Path):
    """Return a model that tags word pieces, some examples, its CRF and its labels."""
    if system == "rpi_hmif":
        tower = rpi_hmif_tiny.write_tower(folder)
        model = rpi_hmif_tiny.make_model(encoder, tower, max_pieces=6)
        return model, rpi_hmif_tiny.examples(), model.head.crf, model.tags.names
    folders = co_mipn_tiny.write_checkpoints(folder, encoder)
    labels = system.partition(" ")[2]
    model = co_mipn_tiny.build(folders, max_pieces=8, word_labels=labels).double()
    return model, co_mipn_tiny.examples(), model.crf, model.labels.names


@pytest.mark.parametrize("system", ["co_mipn any", "co_mipn tags", "rpi_hmif"])
def test_piece_models_give_the_posterior_of_the_tags_they_decode(tiny_encoder, system, tmp_path):
    model, examples, crf, names = piece_model(system, tiny_encoder("bert"), tmp_path)
    batch = model.collate(examples)
    if system != "rpi_hmif":
        batch = co_mipn_tiny.double(batch)
    with torch.no_grad():
        emissions, decoded = model.trace(batch).emissions, model.decode(batch, "main")
        if system == "co_mipn tags":  # special labels cannot be chosen at a first piece
            emissions = model._decodable(batch)
            assert emissions.isneginf().any()
        found = model.marginals(batch, "main")
    emissions.requires_grad_()
    # The gradient of log Z is the posterior.
    (posterior,) = torch.autograd.grad(crf.log_z(emissions, batch["mask"]).sum(), emissions)
    compared = 0
    for row, tags in enumerate(decoded):
        assert len(found[row]) == len(tags)
        for word, (tag, probability) in enumerate(zip(tags, found[row], strict=True)):
            place = batch["first_piece"][row, word].item()
            assert (probability is None) == (place < 0)
            if probability is not None and tag != "O":  # `O` may stand for a special label
                compared += 1
                expected = posterior[row, place, names.index(tag)].item()
                assert probability == pytest.approx(expected, abs=1e-9)
    assert compared and any(None in row for row in found)


def write_run(folder: Path, model, system: str, **changes) -> Path:
    info = RunInfo(
        **{"run": "r", "dataset": "toy", "system": system, "variant": "main", "seed": 1},
        options=dataclasses.asdict(model.options),
        recipe=Recipe(),
        entity_types=TYPES,
        vocabulary={"entity_types": TYPES, **changes.pop("vocabulary", {})},
        **changes,
    )
    (folder / "assets").mkdir(parents=True)
    model.save_assets(folder / "assets")
    write_run_info(folder, info)
    save_weights(model, folder / "model.safetensors")
    return folder


def call(run: Path, samples: Path, out: Path, *more: str) -> int:
    common = ["--run", run, "--samples", samples, "--out", out, "--device", "cpu"]
    return main(["predict", *map(str, common), *more])


def test_both_files(tiny_encoder, tmp_path: Path, monkeypatch):
    model = build("text_crf", tiny_encoder("bert")).float()
    run = write_run(tmp_path / "run", model, "text_crf")
    tags = ["O", "B-PER", "I-PER", "B-LOC", "O"]
    sample = Sample("x", "x.jpg", ["hi", "Ann", "Lee", "Rome", "\u2028"], tags)
    write_samples(tmp_path / "s.jsonl", [sample, *SAMPLES])
    monkeypatch.setattr(
        text_crf.Model,
        "decode",
        lambda self, batch, view: [
            tags[:n] if n == 5 else ["O"] * n for n in batch["mask"].sum(1).tolist()
        ],
    )
    monkeypatch.setattr(
        text_crf.Model,
        "marginals",
        lambda self, batch, view: [
            [0.9, 0.8, 0.7, 0.123456789, 1.0][:n] for n in batch["mask"].sum(1).tolist()
        ],
    )
    assert call(run, tmp_path / "s.jsonl", tmp_path / "out") == 0
    blocks = (tmp_path / "out/predictions.conll").read_text(encoding="utf-8").split("\n\n")
    assert blocks[0] == "IMGID:x.jpg\nhi\tO\nAnn\tB-PER\nLee\tI-PER\nRome\tB-LOC\n\u2028\tO"
    assert [block.split("\n")[0] for block in blocks[1:]] == [f"IMGID:{i}.jpg" for i in range(3)]
    text = (tmp_path / "out/predictions.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in text.rstrip("\n").split("\n")]
    assert [record["id"] for record in records] == ["x", "0", "1", "2"]
    assert records[0]["confidence"] == [0.9, 0.8, 0.7, 0.123457, 1.0]
    assert records[0]["spans"] == [
        {"start": 1, "end": 3, "type": "PER", "text": "Ann Lee", "confidence": 0.7},
        {"start": 3, "end": 4, "type": "LOC", "text": "Rome", "confidence": 0.123457},
    ]


def test_tags_are_not_read_and_a_run_gives_the_same_bytes(tiny_encoder, tmp_path: Path):
    run = write_run(tmp_path / "run", build("text_crf", tiny_encoder("bert")).float(), "text_crf")
    tagged = [dataclasses.replace(s, tags=["B-XX"] * len(s.tokens)) for s in SAMPLES]
    for name, samples in (("plain", SAMPLES), ("tagged", tagged)):
        write_samples(tmp_path / f"{name}.jsonl", samples)
        assert call(run, tmp_path / f"{name}.jsonl", tmp_path / name) == 0
    for name in ("predictions.conll", "predictions.jsonl"):
        plain = (tmp_path / "plain" / name).read_bytes()
        assert plain == (tmp_path / "tagged" / name).read_bytes() != b""


@pytest.fixture
def dummy_run(tmp_path: Path):
    """A run with a store of images, and samples; its system gives no marginals."""
    undo = dummy_system.register()
    vocabulary = {"entity_types": TYPES, "words": ["the", "dog"]}
    model = dummy_system.Model(dummy_system.Options(use_image=True), vocabulary)
    write_run(
        tmp_path / "run", model, "dummy", vocabulary=vocabulary, fingerprints={"grid": "a" * 64}
    )
    write_samples(tmp_path / "s.jsonl", SAMPLES)
    yield tmp_path / "run", tmp_path / "s.jsonl"
    undo()


def test_features_must_be_made_as_in_training(dummy_run, tmp_path: Path, capsys, caplog):
    caplog.set_level("INFO")
    ids = [sample.image_id for sample in SAMPLES]
    write_store(tmp_path / "same.h5", ids, fingerprint="a" * 64)
    write_store(tmp_path / "other.h5", ids, fingerprint="b" * 64)
    assert call(*dummy_run, tmp_path / "out", "--store", f"grid={tmp_path / 'same.h5'}") == 0
    assert "dummy gives no marginals" in caplog.text
    record = json.loads((tmp_path / "out/predictions.jsonl").read_text().split("\n")[0])
    assert record["confidence"] is None
    assert all(span["confidence"] is None for span in record["spans"])
    other = ["--store", f"grid={tmp_path / 'other.h5'}"]
    assert call(*dummy_run, tmp_path / "no", *other) == 2
    error = capsys.readouterr().err
    for part in ("'grid'", "a" * 64, "b" * 64, "--allow-other-features"):
        assert part in error
    assert not (tmp_path / "no").exists()
    assert call(*dummy_run, tmp_path / "yes", *other, "--allow-other-features") == 0
    assert (tmp_path / "yes/predictions.conll").is_file()


def test_stores_are_found_by_the_names_in_the_run(dummy_run, tmp_path: Path, capsys):
    run, samples = dummy_run
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "features": {"grid": "vgg"}}))
    folder, ids = tmp_path / "features", [sample.image_id for sample in SAMPLES]
    features = ["--features", str(folder)]
    assert call(run, samples, tmp_path / "no", *features) == 2
    error = capsys.readouterr().err
    for part in (f"{folder / 'vgg.h5'}", "'grid'", "merge_features", "snakemake predict"):
        assert part in error
    folder.mkdir()
    write_store(folder / "vgg.h5", ids, fingerprint="b" * 64)
    assert call(run, samples, tmp_path / "no", *features) == 2
    assert "--allow-other-features" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
    write_store(tmp_path / "same.h5", ids, fingerprint="a" * 64)
    named = ["--store", f"grid={tmp_path / 'same.h5'}"]
    assert call(run, samples, tmp_path / "named", *features, *named) == 0
    write_store(folder / "vgg.h5", ids, fingerprint="a" * 64)
    assert call(run, samples, tmp_path / "found", *features) == 0
    found, named = (tmp_path / name / "predictions.jsonl" for name in ("found", "named"))
    assert found.read_bytes() == named.read_bytes()


def test_a_run_without_features_needs_no_folder(tiny_encoder, tmp_path: Path):
    run = write_run(tmp_path / "run", build("text_crf", tiny_encoder("bert")).float(), "text_crf")
    write_samples(tmp_path / "s.jsonl", SAMPLES)
    nowhere = ["--features", str(tmp_path / "none")]
    assert call(run, tmp_path / "s.jsonl", tmp_path / "out", *nowhere) == 0


def test_a_copied_run_needs_nothing_outside_it(tiny_encoder, tmp_path: Path):
    """Encoder config, tokenizer, tags and vocabulary are in the folder."""
    weights = shutil.copytree(tiny_encoder("bert"), tmp_path / "weights")
    run = write_run(tmp_path / "run", build("text_crf", weights).float(), "text_crf")
    write_samples(tmp_path / "s.jsonl", SAMPLES)
    assert call(run, tmp_path / "s.jsonl", tmp_path / "first") == 0
    shutil.move(run, tmp_path / "elsewhere")
    shutil.rmtree(weights)
    assert call(tmp_path / "elsewhere", tmp_path / "s.jsonl", tmp_path / "second") == 0
    for name in ("predictions.conll", "predictions.jsonl"):
        first, second = (tmp_path / folder / name for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("samples", "arguments", "message"),
    [
        ([], [], "no sample"),
        ([Sample("e", "e.jpg", [])], [], "sample e has no tokens"),
        ([Sample("e", "e.jpg", ["a\nb"])], [], "line break"),
        ([Sample("e", "e\nB-FAKE\tB-PER", ["a"])], [], "line break"),
        (SAMPLES, ["--view", "txt"], "has the views mm, text"),
        (SAMPLES, [], "needs --store"),
    ],
)
def test_user_errors(dummy_run, tmp_path: Path, capsys, samples, arguments, message):
    write_samples(tmp_path / "s.jsonl", samples)
    store = []
    if message != "needs --store":
        write_store(tmp_path / "g.h5", [s.image_id for s in samples] or ["x"], fingerprint="a" * 64)
        store = ["--store", f"grid={tmp_path / 'g.h5'}"]
    assert call(*dummy_run, tmp_path / "out", *store, *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_span_is_as_sure_as_its_least_sure_token():
    tagging = predict.Tagging(["B-PER", "I-PER", "O"], [0.9, 0.6, None])
    record = json.loads(predict.to_jsonl([SAMPLES[0]], [tagging]))
    assert record["spans"][0]["confidence"] == 0.6 and record["confidence"] == [0.9, 0.6, None]
