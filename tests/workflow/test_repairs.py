"""Label corrections of a dataset: both golds in the samples, counted, and noticed when edited."""

import json

from extract.tables.samples import read_samples

FILE = "data/tiny/repairs.jsonl"
STATS = "results/tiny/stats.json"


def test_a_dataset_with_corrections(workspace):
    workspace.overlay({"datasets": {"tiny": {"repairs": FILE}}})
    # Other samples are other training data.
    assert {"prepare_dataset", "fit"} <= set(workspace.plan("train"))
    done = workspace.snakemake("--cores", "1", "dataset")
    assert done.returncode == 0, done.output
    stats = json.loads((workspace.folder / STATS).read_text(encoding="utf-8"))
    assert stats["train"]["repairs"]["corrections"] == {"split_abbreviation": 1}
    assert stats["test"]["repairs"]["corrections"] == {"manual": 1}
    train = read_samples(workspace.folder / "results/tiny/samples/train.jsonl")
    assert train[2].tags[:3] == ["O", "O", "I-PER"]
    assert train[2].repaired_tags[:3] == ["B-PER", "I-PER", "I-PER"]
    assert workspace.snakemake("--cores", "1", "dataset").has_nothing_to_do

    # Without the person's line, in the file alone.
    path = workspace.folder / FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    assert "prepare_dataset" in workspace.plan("dataset")

    # For another text it is refused, with the place of what does not fit.
    text = workspace.folder / "data/tiny/test.txt"
    text.write_text(text.read_text(encoding="utf-8").replace("Torvik", "Torvig"), encoding="utf-8")
    done = workspace.snakemake("--cores", "1", "dataset")
    assert done.returncode == 1
    assert f"{FILE}:1: made for tiny: its test has 4 tweets" in done.last_line


def test_names_of_corrections_are_checked_before_a_run(workspace):
    workspace.overlay({"datasets": {"tiny": {"repairs": "twitter2015"}}})
    done = workspace.snakemake("--dry-run", "dataset")
    assert done.returncode == 1 and "Did you mean 'twitter2015_umt'" in done.last_line
    workspace.overlay({"datasets": {"tiny": {"repairs": "data/none.jsonl"}}})
    done = workspace.snakemake("--dry-run", "dataset")
    assert done.returncode == 1 and "data/none.jsonl" in done.last_line
