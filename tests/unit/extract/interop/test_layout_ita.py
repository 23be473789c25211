"""ITA's folders, read as its reader is documented to read them."""

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from extract.__main__ import main
from extract.core.errors import ConfigError, DataError
from extract.core.options import options_from
from extract.corpora.readers.base import TextSettings
from extract.corpora.readers.conll_imgid import iter_samples
from extract.interop.artefacts.context_conll import read_context_conll
from extract.interop.layouts.base import Corpus
from extract.interop.layouts.ita import Options, export
from extract.interop.stores import import_artefact
from extract.interop.text_views import subword_counter
from extract.store import FeatureStore
from extract.tables.images_table import write_images
from extract.tables.samples import SPLITS, Sample, write_samples
from extract.words.image_text import ContextOptions
from tests.builders.extract.interop_files import image, run_import
from tests.builders.extract.tiny_views import IMAGES, SAMPLES, make_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    with ExitStack() as stack:
        yield make_corpus(tmp_path_factory.mktemp("corpus"), stack)


# What KB-NER's reader does, from its description alone.


def find_files(folder: Path) -> dict[str, Path]:
    """Split files by a part of their name; without one for dev, part of train becomes it."""
    found = {}
    for path in sorted(folder.iterdir()):
        for part, split in (("train", "train"), ("dev", "dev"), ("testa", "dev"), ("test", "test")):
            if part in path.name and split not in found:
                found[split] = path
    return found


def read_sentences(path: Path) -> list[list[tuple[str, str]]]:
    """Columns are separated by any white space; a line of white space ends a sentence."""
    sentences, current = [], []
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.isspace():
                if current:
                    sentences.append(current)
                current = []
                continue
            fields = re.split(r"\s+", line.rstrip("\n"))
            assert len(fields) == 2 and all(fields), line
            current.append((fields[0], fields[1]))
    return [*sentences, current] if current else sentences


def repair(tags: list[str]) -> list[str]:
    """IOB1 becomes IOB2: an entity begins with B."""
    fixed = []
    for i, tag in enumerate(tags):
        begins = tag[0] == "I" and (i == 0 or tags[i - 1][1:] != tag[1:])
        fixed.append("B" + tag[1:] if begins else tag)
    return fixed


def to_bioes(tags: list[str]) -> list[str]:
    """Every B that no I follows turns into S, every last I into E."""
    converted = []
    for tag, after in zip(tags, [*tags[1:], "O"], strict=True):
        goes_on = after[0] == "I"
        converted.append({"B": "B" if goes_on else "S", "I": "I" if goes_on else "E"}.get(
            tag[0], tag[0]) + tag[1:])  # fmt: skip
    return converted


def read_as_ita(folder: Path) -> dict[str, list[dict]]:
    """Words, BIOES tags of the tweet, and context split at the separator."""
    read = {}
    for split, path in find_files(folder).items():
        read[split] = []
        for sentence in read_sentences(path):
            words = [word for word, _ in sentence]
            tags = to_bioes(repair([tag for _, tag in sentence]))
            n = next((i for i, tag in enumerate(tags) if tag == "S-X"), len(tags))
            # The mask is a suffix.
            assert all(tag == "S-X" for tag in tags[n:])
            context = " ".join(words[n:]).split("<EOS>")
            assert context[0] == ""
            read[split].append({
                "words": words[:n], "tags": tags[:n],
                "context": [segment.strip() for segment in context[1:]],
            })  # fmt: skip
    return read


def exported(corpus, out, **options):
    counts = export(corpus, out, options_from(Options, options, "options"))
    names = sorted(path.name for path in out.iterdir())
    assert names[0] == "twitter2015" and len(names) == 2
    return counts, read_as_ita(out / names[0]), read_as_ita(out / names[1])


@pytest.mark.parametrize("gap", ["space", "tab"])
def test_both_folders_hold_the_same_sentences_in_the_same_order(corpus, tmp_path, gap):
    counts, text, mm = exported(corpus, tmp_path, column_gap=gap)
    assert sorted(text) == sorted(mm) == ["dev", "test", "train"]
    for split, other in zip(text.values(), mm.values(), strict=True):
        assert len(split) == len(other)
        for plain, full in zip(split, other, strict=True):
            assert plain["words"] == full["words"] and plain["tags"] == full["tags"]
            assert plain["context"] == []
    assert counts["sentences"] == {"train": 3, "valid": 1, "test": 2}
    assert counts["with_context"] == {"train": 1, "valid": 1, "test": 1}
    assert counts["unlabelled"] == 1 and counts["changed_tokens"] == 3


def test_words_tags_and_context(corpus, tmp_path):
    _, _, mm = exported(corpus, tmp_path)
    assert (tmp_path / "twitter2015_doc_captions_objects_ocr" / "dev.txt").is_file()
    first, second, third = mm["train"]
    assert first["words"] == ["Ann", "Lee", "in", "Riga"]
    assert first["tags"] == ["B-PER", "E-PER", "O", "S-LOC"]
    assert first["context"] == [
        "a woman , smiling", "two people", "old smiling woman hat", "EXIT"
    ]  # fmt: skip
    assert second["context"] == [] and third["context"] == []
    assert third["tags"] == ["S-LOC", "S-LOC", "S-PER"]
    assert mm["dev"][0]["words"] == ["#", "@x", "🙂"]


def test_literal_separators_are_escaped_in_tweets_and_dropped_in_context(corpus, tmp_path):
    _, text, mm = exported(corpus, tmp_path)
    assert text["test"][0]["words"] == ["&lt;EOS&gt;", "_", "a&lt;EOS&gt;b", "X"]
    assert mm["test"][0]["context"] == ["a sign that says no", "NO ENTRY"]
    for path in tmp_path.glob("twitter2015/*.txt"):
        assert "<EOS>" not in path.read_text()


def test_options_choose_and_join_as_for_our_own_ita(corpus, tmp_path):
    two = replace(corpus, stores={role: corpus.stores[role] for role in ("captions", "ocr")})
    chosen = {"use": ["ocr", "captions"], "num_captions": 1, "lowercase": True}
    _, _, mm = exported(two, tmp_path / "a", **chosen)
    assert mm["train"][0]["context"] == ["exit", "a woman , smiling"]
    _, _, mm = exported(corpus, tmp_path / "b", separator="single", attributes_per_object=1)
    assert mm["train"][0]["context"] == [
        "a woman , smiling two people smiling woman hat EXIT"
    ]  # fmt: skip
    _, _, mm = exported(corpus, tmp_path / "c", max_subwords=12)
    # Four words, a separator and four words; the next caption fits, the objects do not.
    assert mm["train"][0]["context"] == ["a woman , smiling", "two people"]


def test_a_group_without_store_is_left_out(corpus, tmp_path):
    only = replace(corpus, stores={"ocr": corpus.stores["ocr"]})
    counts, _, _ = exported(only, tmp_path)
    assert counts["groups"] == ["ocr"] and (tmp_path / "twitter2015_doc_ocr").is_dir()


def test_what_cannot_be_exported(corpus, tmp_path):
    without_valid = {split: SAMPLES[split] for split in ("train", "test")}
    with pytest.raises(ConfigError, match="valid not given"):
        exported(replace(corpus, samples=without_valid), tmp_path)
    with pytest.raises(ConfigError, match="--store: give at least one of captions=FILE"):
        exported(replace(corpus, stores={}), tmp_path)
    with pytest.raises(ConfigError, match="objects, ocr given, but not in the option `use`"):
        exported(corpus, tmp_path, use=["captions"])
    empty = {**SAMPLES, "valid": [Sample("valid-00000", "1", ["a", ""], ["O", "O"])]}
    with pytest.raises(DataError, match="'valid-00000': has no token, or an empty one"):
        exported(replace(corpus, samples=empty), tmp_path)


def test_the_export_reads_back_as_ready_made_context(corpus, tmp_path):
    exported(corpus, tmp_path / "x")
    bare, full = (tmp_path / f"x/twitter2015{end}" for end in ("", "_doc_captions_objects_ocr"))
    for split, n_tweets in (("train", 3), ("dev", 1), ("test", 2)):
        plain, marked = (read_context_conll(folder / f"{split}.txt") for folder in (bare, full))
        assert len(marked) == n_tweets and not any(sentence.context for sentence in plain)
        assert [(s.tokens, s.tags) for s in plain] == [(s.tokens, s.tags) for s in marked]
    import_artefact(
        "context_conll", [full], tmp_path / "c.h5", samples=[SAMPLES[s] for s in SPLITS]
    )
    with FeatureStore(tmp_path / "c.h5") as store:
        assert store.item("train-00000").text[2:] == ("old smiling woman hat", "EXIT")
        again = replace(corpus, stores={"context": store})
        exported(again, tmp_path / "y")
    for split in ("train", "dev", "test"):
        first, second = (
            tmp_path / name / f"twitter2015_doc_{groups}" / f"{split}.txt"
            for name, groups in (("x", "captions_objects_ocr"), ("y", "context"))
        )
        assert first.read_bytes() == second.read_bytes()


def test_the_budget_counts_the_pieces_of_a_tokenizer(corpus, tmp_path, minilm):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm)
    count = subword_counter(str(minilm))
    words = ["unbelievable", "Riga", "\ufe0f", "[SEP]", "a"]
    expected = [
        len(tokenizer([[w]], is_split_into_words=True, add_special_tokens=False)["input_ids"][0])
        for w in ("unbelievable", "riga", "a")
    ]
    assert count(["unbelievable", "Riga", "a"]) == sum(expected)
    # A word without pieces is one unknown piece; one that spells a special piece is text.
    assert count(["\ufe0f"]) == 1 and count(["[SEP]"]) == 3
    assert count(words) == sum(count([word]) for word in words)
    _, _, mm = exported(corpus, tmp_path, tokenizer=str(minilm), max_subwords=16)
    pieces = count(mm["train"][0]["words"]) + sum(
        1 + count(segment.split()) for segment in mm["train"][0]["context"]
    )
    assert 4 < pieces <= 16


def test_the_command_writes_the_layout(corpus, tmp_path):
    for split, samples in SAMPLES.items():
        write_samples(tmp_path / f"{split}.jsonl", samples)
    write_images(tmp_path / "images.tsv", IMAGES)
    samples = [str(tmp_path / f"{split}.jsonl") for split in SPLITS]
    stores = [f"{role}={store.path}" for role, store in corpus.stores.items()]
    arguments = ["export", "--layout", "ita", "--name", "snap", "--samples", *samples]
    arguments += ["--images", str(tmp_path / "images.tsv"), "--store", *stores]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "EXPORT.json", "snap", "snap_doc_captions_objects_ocr"
    }  # fmt: skip


def test_real_tweets_keep_their_words_and_pair_up(tmp_path, shared_data):
    root = shared_data / "twitter2015"
    samples = {s: list(iter_samples(root, s, TextSettings()))[:300] for s in ("train", "test")}
    # With the token that is a no-break space.
    samples["valid"] = list(iter_samples(root, "valid", TextSettings()))
    ids = {sample.image_id for split in samples.values() for sample in split}
    images = [image(image_id) for image_id in sorted(ids)]
    run_import("caption_list", root / "captions_blip2.txt", tmp_path / "c.h5", images)
    with FeatureStore(tmp_path / "c.h5") as store:
        rows = {row.image_id: row for row in images}
        corpus = Corpus("twitter2015", samples, rows, stores={"captions": store})
        counts, text, mm = exported(corpus, tmp_path / "out")
    assert counts["changed_tokens"] == 1
    # One of the captions is blank.
    assert counts["with_context"] == {"train": 300, "valid": 999, "test": 300}
    for split, name in (("train", "train"), ("valid", "dev"), ("test", "test")):
        pairs = zip(samples[split], text[name], mm[name], strict=True)
        for sample, plain, full in pairs:
            assert plain["words"] == full["words"]
            assert [w for w in plain["words"] if w != "_"] == [
                t for t in sample.tokens if t not in ("\u00a0", "_")
            ]  # fmt: skip


def test_options_of_the_layout_are_those_of_ita():
    assert set(ContextOptions.__dataclass_fields__) < set(Options.__dataclass_fields__)
    with pytest.raises(ConfigError, match="unknown key 'captions'"):
        options_from(Options, {"captions": 3}, "options")
