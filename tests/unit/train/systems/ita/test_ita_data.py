"""What ITA reads: corpora with marked context, BIOES of real tweets, VinVL's objects as words."""

import json

import pytest

from extract.core.errors import DataError
from extract.interop.artefacts.context_conll import read_context_conll
from extract.store import FeatureStore
from extract.tables.rows import STATUS
from extract.tables.samples import Sample
from extract.tables.tags import bio_to_bioes, bioes_to_bio, entity_spans
from extract.words.image_text import ContextOptions
from extract.words.object_text import object_phrases
from tests.builders.extract.interop_files import image, run_import
from tests.builders.train.ita_tiny import build
from train.data.examples import Example

LINES = "Ann B-PER\nin O\nRiga B-LOC\n<EOS> B-X\na B-X\ndog B-X\n\nhello O\n\n"


def write(folder, text):
    folder.mkdir(exist_ok=True)
    for name in ("train.txt", "dev.txt", "test.txt"):
        (folder / name).write_bytes(text.encode())
    return folder


def test_all_spellings_of_a_corpus_are_one(tmp_path):
    read = []
    for mark in ("B-X", "S-X", "X"):
        for end in ("\n", "\r\n"):
            for gap in (" ", "\t"):
                text = LINES.replace("B-X", mark).replace(" ", gap).replace("\n", end)
                read.append(read_context_conll(write(tmp_path / "c", text) / "train.txt"))
    assert len(read) == 12 and all(sentences == read[0] for sentences in read)
    assert read[0][0].context == [["a", "dog"]] and read[0][0].tokens == ["Ann", "in", "Riga"]


def test_context_among_tweet_words_is_refused(tmp_path):
    text = LINES.replace("dog B-X\n", "dog B-X\nagain O\n")
    with pytest.raises(DataError, match=r"train\.txt:7: .*'again'.*line 4"):
        read_context_conll(write(tmp_path / "c", text) / "train.txt")


def test_runs_of_b_are_single_words():
    assert bio_to_bioes(["B-X"] * 4) == ["S-X"] * 4


def tags_of(path):
    """Return the tags of each sentence of a corpus file."""
    sentences = [[]]
    for line in path.open(encoding="utf-8"):
        if "\t" in line:
            sentences[-1].append(line.rstrip("\n").rsplit("\t", 1)[1])
        elif sentences[-1]:
            sentences.append([])
    return [tags for tags in sentences if tags]


@pytest.mark.parametrize("corpus", ["twitter2015", "twitter2017"])
def test_real_tags_survive_bioes(shared_data, corpus):
    n_kept = n_sentences = 0
    for split in ("train", "valid", "test"):
        for tags in tags_of(shared_data / corpus / f"{split}.txt"):
            n_sentences += 1
            there = bio_to_bioes(tags)
            back = bioes_to_bio(there)
            assert entity_spans(back) == entity_spans(tags)
            # Only an I without its begin, which opens an entity, is written in another way.
            is_well_formed = entity_spans(tags) == entity_spans(tags, strict=True)
            assert (back == tags) == is_well_formed
            n_kept += is_well_formed
    assert n_sentences > 4800 and n_kept > 0.95 * n_sentences


def an_object(name, conf, **attributes):
    """Return an object with sixteen attributes, the rest of them padding of score zero."""
    words = [*attributes, *["tall"] * (16 - len(attributes))]
    scores = [*attributes.values(), *[0.0] * (16 - len(attributes))]
    return {
        "rect": [1, 2, 30, 40],
        "class": name,
        "conf": conf,
        "attributes": words,
        "attr_scores": scores,
    }


def test_a_line_of_vinvl_becomes_words_behind_the_tweet(tmp_path, tiny_encoder):
    found = [
        an_object("dog", 0.5, red=0.06),
        an_object("man", 0.9, old=0.2, tall=0.8, red=0.05),
        an_object("car", 0.1, red=0.9),
    ]
    lines = {"seen": found, "empty": []}
    source = tmp_path / "predictions.tsv"
    source.write_text(
        "".join(f"{k}\t{json.dumps({'objects': v, 'relations': None})}\n" for k, v in lines.items())
    )
    images = [image(name) for name in ("empty", "gone", "seen")]
    counts = run_import("vinvl_tsv", source, tmp_path / "x.h5", images, feature_dim=0)
    assert counts["zero_score_attributes"] == 15 + 13 + 15
    with FeatureStore(tmp_path / "x.h5") as store:
        items = {name: store.item(name) for name in ("seen", "empty", "gone")}
        # No object is another thing than no run.
        assert items["empty"].status == STATUS["nothing_found"]
        assert items["gone"].status == STATUS["missing"]
        phrases = object_phrases(items["seen"])
        assert phrases == [("old tall man", pytest.approx(0.9)), ("dog", pytest.approx(0.5))]
        # At a threshold of 0 every stored attribute is said, and none of the padding is stored.
        every = object_phrases(items["seen"], score_min=0.0, attribute_score_min=0.0)
        assert [words for words, _ in every] == ["red old tall man", "red dog", "red car"]
        assert object_phrases(items["empty"]) == object_phrases(items["gone"]) == []
        context = ContextOptions(use=("objects",))
        model = build(tiny_encoder("bert"), context=context)
        sample = Sample("0", "i", ["see", "you"])
        batch = model.collate([Example(sample, {"objects": item}) for item in items.values()])
    assert batch["has_context"].tolist() == [True, False, False]
    words = ["see", "you", "old", "tall", "man", "dog"]
    ids = model.encoder.tokenize([words])["input_ids"][0].tolist()
    separator = model.encoder.specials["separator"]
    n_tweet = model.encoder.count_subwords(words[:2])
    assert batch["mm"]["input_ids"][0].tolist() == [
        *ids[: 1 + n_tweet], separator, *ids[1 + n_tweet :]
    ]  # fmt: skip
