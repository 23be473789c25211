"""Use of a trained run: new tweets through the rules of the corpus, tagged; reruns; mistakes."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config, validate

from extract.core.errors import ConfigError
from extract.corpora.readers import untagged
from extract.corpora.readers.base import TextSettings
from extract.store import FeatureStore
from extract.tables.images_table import read_images
from tests.workflow.conftest import once
from tests.workflow.workspace import Workspace
from train.__main__ import main
from workflow.plan.catalogue import Catalogue
from workflow.plan.prediction import read_prediction

TWEETS = """\
IMGID:test_1
Ada
Moss
visits
Torvik

IMGID:broken
rain
over
Oskelion

IMGID:gone_too
the
Quorra
Cup

IMGID:test_2
Mellow
Park
"""
TEXT = ("predict_text=new/tweets.txt",)
TEXT_RUN = ("predict", "--config", "predict_run=tiny_text_crf", *TEXT)
IMAGE_RUN = (
    *("predict", "--config", "predict_run=results/tiny/runs/tiny_acn/seed1", *TEXT),
    *("predict_images=new/images", "predict_annotations=new/boxes.jsonl"),
)
JOBS = {"prepare_tweets", "tag_tweets", "predict"}


def lay_out_tweets(folder: Path) -> None:
    """Write four tweets, two of their images, a broken one and none for the third."""
    (folder / "new").mkdir()
    (folder / "new/tweets.txt").write_text(TWEETS, encoding="utf-8")
    (folder / "new/images").mkdir()
    for name in ("test_1.jpg", "test_2.png", "broken.jpg"):
        shutil.copy(folder / "data/tiny/images" / name, folder / "new/images")
    boxes = [{"name": "Ada Moss", "xyxy": [2, 2, 14, 20]}]
    record = {"image_id": "test_1", "width": 40, "height": 40, "boxes": boxes}
    (folder / "new/boxes.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def predicted_run(shared_base: Path, finished_run: Path, repo_root: Path) -> Path:
    """Working directory in which a text and an image run have tagged new tweets."""

    def make(folder: Path) -> str:
        shutil.copytree(finished_run, folder, symlinks=True, dirs_exist_ok=True)
        workspace = Workspace(folder, repo_root, [folder / "overlay0.yaml"])
        lay_out_tweets(folder)
        for arguments in (TEXT_RUN, IMAGE_RUN):
            result = workspace.snakemake("--cores", "2", *arguments)
            if result.returncode or "fit" in result.jobs:
                return result.output
        return ""

    return once(shared_base, "predicted_run", make)


@pytest.fixture
def predicted(predicted_run: Path, repo_root: Path, tmp_path: Path) -> Workspace:
    """A copy of it, with all times kept."""
    folder = tmp_path / "run"
    shutil.copytree(predicted_run, folder, symlinks=True)
    return Workspace(folder, repo_root, sorted(folder.glob("overlay*.yaml")))


def predictions_of(folder: Path, run: str) -> Path:
    """Return the folder of a run's only predictions."""
    (found,) = (folder / "results/predict").glob(f"*/predictions/tiny/{run}/seed1")
    return found


@pytest.mark.parametrize(
    ("arguments", "run", "others"),
    [
        pytest.param(TEXT_RUN, "tiny_text_crf", set(), id="text"),
        pytest.param(IMAGE_RUN, "tiny_acn", {"extract_features", "merge_features"}, id="image"),
    ],
)
def test_a_run_that_is_not_there_is_trained_first(fresh, arguments, run, others):
    lay_out_tweets(fresh.folder)
    jobs = fresh.plan(*arguments)
    assert jobs["fit"] == [f"results/tiny/runs/{run}/seed1/model.safetensors"]
    assert JOBS | others <= set(jobs)


@pytest.mark.parametrize("run", ["tiny_text_crf", "tiny_acn"])
def test_every_tweet_is_tagged_as_it_was_written(predicted_run, run):
    folder = predictions_of(predicted_run, run)
    conll = (folder / "predictions.conll").read_text(encoding="utf-8")
    assert "\n".join(line.partition("\t")[0] for line in conll.split("\n")) == TWEETS
    lines = (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["id"] for record in records] == [f"predict-{k:05d}" for k in range(4)]
    for record in records:
        assert len(record["tags"]) == len(record["tokens"]) == len(record["confidence"])
        assert all(0 < p <= 1 for p in record["confidence"])


def test_bad_images_are_listed_and_masked(predicted_run):
    tweets = predictions_of(predicted_run, "tiny_acn").parents[3]
    status = {row.image_id: row.status for row in read_images(tweets / "images.tsv")}
    bad = {"broken": "unreadable", "gone_too": "missing"}
    assert status == {"test_1": "ok", "test_2": "ok"} | bad
    # Without predict_images the same text is another prediction set, without images.
    texts = predictions_of(predicted_run, "tiny_text_crf").parents[3]
    assert texts != tweets
    assert {row.status for row in read_images(texts / "images.tsv")} == {"no_images"}


@pytest.mark.parametrize("arguments", [TEXT_RUN, IMAGE_RUN], ids=["text", "image"])
def test_a_second_call_has_nothing_to_do(predicted, arguments):
    result = predicted.snakemake("--dry-run", *arguments)
    assert result.has_nothing_to_do, result.output


def test_a_changed_text_is_tagged_again_and_nothing_is_trained(predicted):
    path = predicted.folder / "new/tweets.txt"
    path.write_text(TWEETS.replace("visits", "sees"), encoding="utf-8")
    assert set(predicted.plan(*TEXT_RUN)) == JOBS
    features = {"extract_features", "merge_features"}
    assert set(predicted.plan(*IMAGE_RUN)) == JOBS | features


def test_a_changed_image_is_computed_alone_and_phrases_of_new_text_are_grounded(predicted):
    path = predicted.folder / "new/images/test_2.png"
    shutil.copy(predicted.folder / "data/tiny/images/test_3.png", path)
    name = predictions_of(predicted.folder, "tiny_acn").parents[3].name
    features = f"results/predict/{name}/features"
    targets = [f"{features}/tiny_vgg.h5", f"{features}/tiny_boxes.h5"]
    result = predicted.snakemake("--cores", "2", *targets, *IMAGE_RUN[1:])
    assert result.returncode == 0, result.output
    assert not {"prepare_dataset", "fit"} & set(result.jobs)
    logs = (predicted.folder / f"logs/predict/{name}").glob("extract_features.tiny_vgg.*.log")
    lines = [log.read_text(encoding="utf-8").splitlines()[-1] for log in logs]
    assert sum(json.loads(line[line.index("{") :])["computed"] for line in lines) == 1
    with FeatureStore(predicted.folder / targets[1]) as boxes:
        assert list(boxes.ids) == ["test_1", "broken", "gone_too", "test_2"]
        assert boxes.item("test_1").boxes.tolist() == [[2, 2, 14, 20]]
        assert not any(boxes.item(other).n_rows for other in boxes.ids[1:])


def test_keys_change_no_other_target(predicted):
    keys = IMAGE_RUN[1:]
    target = ("train", "--forceall")
    assert "fit" in predicted.plan(*target)
    assert predicted.plan(*target) == predicted.plan(*target, *keys)


def test_a_copied_run_folder_predicts_and_scores_without_any_weights(predicted, tmp_path):
    results, copy = predicted.folder / "results", tmp_path / "elsewhere"
    written = predictions_of(predicted.folder, "tiny_text_crf")
    shutil.move(results / "tiny/runs/tiny_text_crf/seed1", copy)
    for folder in (predicted.folder / "weights", results / "weights", results / "specs"):
        shutil.rmtree(folder, ignore_errors=True)
    samples = ["--samples", str(written.parents[3] / "samples/predict.jsonl")]
    common = ["--run", str(copy), "--device", "cpu"]
    features = ["--features", str(results / "tiny/features")]
    assert main(["predict", *common, *samples, "--out", str(tmp_path / "tags")]) == 0
    for name in ("predictions.conll", "predictions.jsonl"):
        assert (tmp_path / "tags" / name).read_bytes() == (written / name).read_bytes()
    acn = ["--run", str(results / "tiny/runs/tiny_acn/seed1"), "--device", "cpu", *features]
    samples = ["--samples", str(results / "tiny/samples/test.jsonl")]
    assert main(["evaluate", *acn, *samples, "--out", str(tmp_path / "scores")]) == 0
    metrics = json.loads((tmp_path / "scores/metrics.json").read_text(encoding="utf-8"))
    assert (metrics["run"], metrics["n_samples"]) == ("tiny_acn", 4)


# Mistakes: one message with the fix.


def test_the_last_line_says_what_to_set(predicted):
    result = predicted.snakemake("--dry-run", "predict")
    assert result.returncode != 0
    assert result.last_line.startswith("error: predict: predict_run and predict_text are not set")
    result = predicted.snakemake("--dry-run", "predict", "--config", "predict_run=tiny_anc", *TEXT)
    assert result.returncode != 0
    assert result.last_line.startswith("error: predict_run: no 'tiny_anc' in `models:`.")
    assert "Did you mean 'tiny_acn'?" in result.last_line


@pytest.fixture
def ask(repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Function: keys without `predict_` -> the prediction; paths are from an empty folder."""
    config = yaml.safe_load((repo_root / "workflow/config/default.yaml").read_text("utf-8"))
    update_config(config, yaml.safe_load((repo_root / "tests/workflow/tiny.yaml").read_text()))
    validate(config, str(repo_root / "workflow/schemas/config.schema.yaml"))
    (tmp_path / "images").mkdir()
    (tmp_path / "new.txt").write_text(TWEETS)
    (tmp_path / "other.txt").write_text(TWEETS)
    monkeypatch.chdir(tmp_path)

    def call(*, selected: dict | None = None, **keys: str):
        changed = config | {f"predict_{key}": value for key, value in keys.items()}
        changed["run"] = config["run"] | (selected or {})
        return read_prediction(Catalogue(changed))

    return call


def test_a_run_is_a_folder_or_a_name(ask, tmp_path):
    assert ask() is None
    named = ask(run="tiny_text_crf", text="new.txt", selected={"seeds": [3, 1]})
    assert (named.dataset, named.run, named.seed) == ("tiny", "tiny_text_crf", 3)
    folder = tmp_path / "results/tiny/runs/tiny_text_crf/seed4"
    for path in ("results/tiny/runs/tiny_text_crf/seed4/", str(folder)):
        given = ask(run=path, text="new.txt")
        assert (given.dataset, given.run, given.seed) == ("tiny", "tiny_text_crf", 4)
        assert given.folder == f"results/{given.tweets}/predictions/tiny/tiny_text_crf/seed4"


def test_every_set_of_files_has_a_folder_of_its_own(ask, tmp_path):
    sets = [
        ask(run="tiny_text_crf", **files).tweets
        for files in (
            {"text": "new.txt"},
            {"text": "other.txt"},
            {"text": "new.txt", "images": "images"},
        )
    ]
    assert len(set(sets)) == 3 and all(name.startswith("predict/") for name in sets)
    again = ask(run="tiny_acn", text=str(tmp_path / "new.txt"), images="./images/")
    assert again.tweets == sets[2]


def test_tags_that_a_text_has_are_not_read(repo_root):
    settings = TextSettings(files={"predict": "test.txt"})
    first = next(untagged.iter_samples(repo_root / "tests/data/tiny", "predict", settings))
    tokens = ["Brindle", "scores", "for", "Torvik", "United"]
    assert (first.id, first.tokens, first.tags) == ("predict-00000", tokens, None)


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        ({"run": "tiny_text_crf"}, ("predict_text: not set", "predict_text=new.txt")),
        ({"text": "new.txt"}, ("predict_run: not set, but predict_text is",)),
        (
            {"run": "results/tinny/runs/tiny_acn/seed1", "text": "new.txt"},
            ("no 'tinny' in `datasets:`", "Did you mean 'tiny'?"),
        ),
        (
            {"run": "tiny_anc", "text": "new.txt", "selected": {"datasets": []}},
            ("predict_run: no 'tiny_anc' in `models:`", "Did you mean 'tiny_acn'?"),
        ),
        (
            {"run": "elsewhere/run", "text": "new.txt"},
            ("expected results/<dataset>/runs/<run>/seed<n>", "python -m train predict"),
        ),
        ({"run": "images", "text": "new.txt"}, ("images is not a run folder",)),
        (
            {"run": "tiny_acn", "text": "new.txt", "selected": {"datasets": ["tiny", "sample"]}},
            ("run.datasets selects tiny, sample", "predict_run=results/tiny/runs/tiny_acn/seed1"),
        ),
        (
            {"run": "tiny_acn", "text": "new.txt"},
            ("predict_images: not set", "feature_sets.tiny_vgg (vgg)", "predict_images=PATH"),
        ),
        (
            {"run": "tiny_ita", "text": "new.txt", "images": "images"},
            ("predict_captions: not set", "feature_sets.tiny_captions (caption_list)"),
        ),
        ({"run": "tiny_text_crf", "text": "no.txt"}, ("no.txt: no such file", "predict_text")),
        (
            {"run": "tiny_acn", "text": "new.txt", "images": "imagse"},
            ("imagse: no such file or folder", "predict_images"),
        ),
    ],
)
def test_a_mistake_names_the_key_and_the_fix(ask, keys, parts):
    with pytest.raises(ConfigError) as caught:
        ask(**keys)
    for part in parts:
        assert part in str(caught.value)


def test_imported_features_and_boxes_are_asked_for(ask, monkeypatch):
    features = {"crops": "tiny_crops", "captions": "foreign_captions"}
    own = Catalogue.model_features

    def model_features(self, model: str) -> dict[str, str]:
        return dict(features) if model == "tiny_acn" else own(self, model)

    monkeypatch.setattr(Catalogue, "model_features", model_features)
    given = {"run": "tiny_acn", "text": "new.txt", "images": "images"}
    with pytest.raises(ConfigError, match=r"imports\.foreign_captions.*train predict --store"):
        ask(**given)
    del features["captions"]
    with pytest.raises(ConfigError, match=r"predict_annotations: not set.*tiny_boxes"):
        ask(**given)
