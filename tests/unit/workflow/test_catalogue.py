"""The catalogue: what a config selects, what that reads, and which mistakes it refuses."""

import copy

import pytest

from extract.core.errors import ConfigError
from extract.core.registry import available
from extract.grounding import annotations
from extract.phrases import textblob
from workflow.plan.catalogue import Catalogue, check_plugin, existing, source_version

DATASET = {"reader": "conll_imgid", "root": "data/x", "images": "data/x/images"}
FEATURE_SET = {"weights": {}, "phrases": None, "boxes": None, "options": {}}
MODEL = {"variant": "main", "weights": {}, "features": {}}


def feature_set(extractor: str, **changes) -> dict:
    return {**FEATURE_SET, "extractor": extractor, **changes}


CONFIG = {
    "run": {
        "datasets": ["x"],
        "feature_sets": ["crops"],
        "models": ["acn"],
        "exports": [],
        "ablations": [],
        "seeds": [1],
    },
    "datasets": {"x": DATASET, "texts": {**DATASET, "images": None}},
    "weights": {
        "tower": {"random": {"config": {"kind": "vgg"}, "seed": 1}},
        "vision": {"trained": {"seed": 1, "images": 10}},
        "bert": {"path": "weights/bert"},
    },
    "phrases": {"nouns": {"extractor": "textblob", "weights": {}, "options": {}}},
    "feature_sets": {
        "boxes": feature_set("annotations", phrases="nouns"),
        "crops": feature_set("pixels", boxes="boxes", options={"of": "crops", "size": 8}),
        "whole": feature_set("pixels", options={"size": 8}),
        "grid": feature_set("vgg", weights={"vision": "tower"}),
        "listed": feature_set("caption_list"),
    },
    "imports": {
        "foreign": {"kind": "caption_list", "options": {}, "sources": {"x": ["captions.txt"]}},
    },
    "exports": {
        "theirs": {
            "layout": "hvpnet",
            "crops": "boxes",
            "detector_crops": None,
            "stores": {"captions": "listed"},
        },
    },
    "ablations": {},
    "models": {
        "acn": {**MODEL, "system": "acn", "features": {"grid": "grid"}},
        "ita": {
            **MODEL,
            "system": "ita",
            "weights": {"encoder": "bert"},
            "features": {"captions": "listed"},
        },
    },
}


ITA_RUNS = ("ita", "ita-blank")


def config(**changes) -> dict:
    """Return a config; `run` is merged, other keys replace entries of their catalogue."""
    changed = copy.deepcopy(CONFIG)
    for key, value in changes.items():
        changed[key] |= value
    return changed


def test_selection_is_closed_under_what_models_and_crops_read():
    catalogue = Catalogue(config())
    assert catalogue.feature_sets == ("crops", "grid", "boxes")
    assert catalogue.phrase_sets == ("nouns",)
    assert catalogue.grounders == ("boxes",)
    assert catalogue.model_features("ita") == {"captions": "listed"}


def test_nothing_selected_is_legal():
    catalogue = Catalogue(config(run={"feature_sets": [], "models": []}))
    assert catalogue.feature_sets == ()
    assert catalogue.phrase_sets == ()


def test_only_made_weights_are_files_of_rules():
    small = {"cut": {"of": "bert", "layers": 1}}
    catalogue = Catalogue(config(weights={"small": small}))
    found = catalogue.weights_input(["bert", "tower", "vision", "small"])
    assert found == [f"results/weights/{name}" for name in ("tower", "vision", "small")]


def test_a_model_has_its_own_seeds_or_those_of_the_run():
    own = {"ita": {**CONFIG["models"]["ita"], "seeds": [4, 5]}}
    catalogue = Catalogue(config(models=own))
    assert (catalogue.seeds("acn", "x"), catalogue.seeds("ita", "x")) == ([1], [4, 5])


def test_seeds_by_dataset_leave_the_other_datasets_out():
    entry = {**CONFIG["models"]["ita"], "controls": ["blank"]}
    seeds = {"texts": [1, 2, 3]}
    catalogue = Catalogue(config(models={"ita": {**entry, "seeds": seeds}}))
    found = {run: (catalogue.seeds(run, "texts"), catalogue.seeds(run, "x")) for run in ITA_RUNS}
    assert found == dict.fromkeys(ITA_RUNS, ([1, 2, 3], []))
    changed = {**entry, "seeds": seeds, "control_seeds": {"x": [9]}}
    catalogue = Catalogue(config(models={"ita": changed}))
    assert catalogue.seeds("ita", "texts") == [1, 2, 3]
    assert catalogue.seeds("ita-blank", "texts") == [] and catalogue.seeds("ita-blank", "x") == [9]


def test_controls_are_selected_with_their_model():
    models = {
        "ita": {**CONFIG["models"]["ita"], "controls": ["shuffled", "without_captions"]},
        "acn": {**CONFIG["models"]["acn"], "controls": ["blank"], "control_seeds": [7]},
    }
    catalogue = Catalogue(config(run={"models": ["ita"]}, models=models))
    assert catalogue.runs == ("ita", "ita-shuffled", "ita-without_captions")
    # Those of a model that is not selected are known nevertheless, for prediction and tables.
    assert catalogue.config["models"]["acn-blank"] == {
        **CONFIG["models"]["acn"],
        "variant": "blank",
        "seeds": [7],
    }
    assert Catalogue(config(run={"models": ["acn-blank"]}, models=models)).runs == ("acn-blank",)


@pytest.mark.parametrize(
    ("model", "changes", "parts"),
    [
        (
            "ita",
            {"controls": ["without_caption"]},
            ["models.ita.controls: no control 'without_caption'", "mean 'without_captions'?"],
        ),
        (
            "acn",
            {"controls": ["without_captions"]},
            ["acn reads the roles grid", "Known: shuffled, blank, without_grid."],
        ),
        (
            "ita",
            {"features": {}, "controls": ["shuffled"]},
            ["models.ita.controls: ita reads no feature set", "Take the controls away."],
        ),
        ("ita", {"variant": "blank", "controls": ["shuffled"]}, ["is a control itself"]),
        ("acn", {"variant": "without_grit"}, ["models.acn.variant", "mean 'without_grid'?"]),
        (
            "ita",
            {"seeds": {"y": [1]}},
            ["models.ita.seeds: no 'y' in `datasets:`", "Known: x, texts."],
        ),
        (
            "acn",
            {"control_seeds": {"text": [1]}},
            ["models.acn.control_seeds: no 'text'", "Did you mean 'texts'?"],
        ),
    ],
)
def test_controls_and_seeds_that_cannot_be_meant_are_refused(model, changes, parts):
    entry = {**CONFIG["models"][model], **changes}
    with pytest.raises(ConfigError) as caught:
        Catalogue(config(models={model: entry}))
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("module", [annotations, textblob])
def test_version_of_what_is_read_reaches_every_reader(monkeypatch, module):
    names = ("crops", "boxes", "grid")
    before = {name: Catalogue(config()).fingerprint(name) for name in names}
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    after = {name: Catalogue(config()).fingerprint(name) for name in names}
    assert [name for name in names if before[name] != after[name]] == ["crops", "boxes"]


def test_default_options_written_out_change_no_fingerprint():
    explicit = feature_set("pixels", options={"size": 8, "of": "image"}, runtime={"batch_size": 2})
    changed = Catalogue(config(feature_sets={"whole": explicit}))
    assert changed.fingerprint("whole") == Catalogue(config()).fingerprint("whole")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"run": {"datasets": ["y"]}}, ["run.datasets: no 'y'", "Known: x, texts"]),
        ({"run": {"feature_sets": ["cropz"]}}, ["run.feature_sets: no 'cropz'", "'crops'?"]),
        ({"run": {"models": ["acm"]}}, ["run.models: no 'acm'", "Did you mean 'acn'?"]),
        (
            {"datasets": {"x": {**DATASET, "reader": "conll_imgids"}}},
            ["datasets.x.reader: no 'conll_imgids'", "Did you mean 'conll_imgid'?"],
        ),
        (
            {"models": {"acn": {**MODEL, "system": "acn", "features": {"grid": "gird"}}}},
            ["models.acn.features.grid: no 'gird'", "Did you mean 'grid'?"],
        ),
        (
            {"models": {"acn": {**MODEL, "system": "anc"}}},
            ["models.acn.system: no 'anc' in train/systems/", "Did you mean 'acn'?"],
        ),
        (
            {"models": {"acn": {**MODEL, "system": "acn", "weights": {"encoder": "bart"}}}},
            ["models.acn.weights.encoder: no 'bart' in `weights:`", "Did you mean 'bert'?"],
        ),
        (
            {"feature_sets": {"grid": feature_set("vgg", weights={"vision": "towr"})}},
            ["feature_sets.grid.weights.vision: no weights entry 'towr'", "'tower'?"],
        ),
        (
            {"feature_sets": {"grid": feature_set("vgg", weights={"tower": "tower"})}},
            ["feature_sets.grid", "vision", "tower"],
        ),
        (
            {"feature_sets": {"grid": feature_set("vgh", weights={})}},
            ["feature_sets.grid", "no extractor or grounder 'vgh'", "Did you mean 'vgg'?"],
        ),
        (
            {"feature_sets": {"crops": feature_set("pixels", boxes="boxes", options={"sise": 1})}},
            ["feature_sets.crops.options: unknown key 'sise'", "Did you mean 'size'?"],
        ),
        (
            {"weights": {"small": {"cut": {"of": "brt", "layers": 1}}}},
            ["weights.small.cut.of: no 'brt' in `weights:`", "Did you mean 'bert'?"],
        ),
        (
            {"phrases": {"nouns": {"extractor": "textblob", "weights": {}, "options": {"x": 1}}}},
            ["phrases.nouns.options: unknown key 'x'"],
        ),
    ],
)
def test_a_wrong_name_gives_its_place_and_the_nearest(changes, parts):
    with pytest.raises(ConfigError) as caught:
        Catalogue(config(**changes))
    for part in parts:
        assert part in str(caught.value)


def test_several_entries_of_one_system_are_run_with_their_controls():
    models = {"again": {**CONFIG["models"]["acn"], "controls": ["blank"]}}
    catalogue = Catalogue(config(run={"models": ["acn", "again"]}, models=models))
    assert list(catalogue.runs) == ["acn", "again", "again-blank"]


def test_images_are_not_asked_of_a_corpus_of_texts():
    texts = {"datasets": ["texts"], "models": []}
    with pytest.raises(ConfigError, match=r"feature_sets\.whole: pixels reads images.*texts"):
        Catalogue(config(run={**texts, "feature_sets": ["listed", "whole"]}))
    assert Catalogue(config(run={**texts, "feature_sets": ["listed"]})).feature_sets == ("listed",)


def test_missing_place_is_named_with_the_remedy(tmp_path):
    assert existing(str(tmp_path), "Put it there.") == str(tmp_path)
    with pytest.raises(ConfigError, match=r"gone: no such file or folder\. Put it there\."):
        existing(str(tmp_path / "gone"), "Put it there.")


def test_plugin_check_lists_what_there_is():
    check_plugin("extract.corpora.readers", "snap", "here")
    with pytest.raises(
        ConfigError, match=r"here: no 'snapp' in extract/corpora/readers/; known: .*snap"
    ):
        check_plugin("extract.corpora.readers", "snapp", "here")


@pytest.mark.parametrize(
    ("source", "version"),
    [
        ("VERSION = 3\n\nclass Model:\n    VERSION = VERSION\n", 3),
        ("class Model:\n    VERSION: ClassVar[int] = 12\n", 12),
        ("FORMAT_VERSION = 7\n", 1),
        ("", 1),
    ],
)
def test_version_is_read_from_the_source(tmp_path, source, version):
    module = tmp_path / "model.py"
    module.write_text(source, encoding="utf-8")
    assert source_version(module) == version


@pytest.mark.parametrize("system", available("train.systems"))
def test_version_in_the_source_is_that_of_the_class(repo_root, system):
    from extract.core.registry import load_module

    model = load_module("train.systems", system).Model
    assert source_version(repo_root / f"train/systems/{system}/model.py") == model.VERSION


def test_an_export_selects_what_it_writes():
    catalogue = Catalogue(config(run={"feature_sets": [], "models": [], "exports": ["theirs"]}))
    assert catalogue.feature_sets == ("boxes", "listed")
    assert catalogue.phrase_sets == ("nouns",)


def test_an_export_of_crops_needs_a_grounder():
    changed = config(run={"exports": ["theirs"]})
    changed["exports"]["theirs"]["crops"] = "whole"
    with pytest.raises(ConfigError, match=r"theirs: crops need a grounding store, 'whole'"):
        Catalogue(changed)


def test_an_imported_store_stands_wherever_a_computed_one_does():
    changed = config(run={"feature_sets": ["foreign"], "models": ["ita"]})
    changed["models"]["ita"]["features"] = {"captions": "foreign"}
    assert Catalogue(changed).feature_sets == ("foreign",)


def test_an_import_of_an_unknown_kind_gives_the_nearest():
    changed = config(run={"feature_sets": ["foreign"]})
    changed["imports"]["foreign"]["kind"] = "caption_lists"
    with pytest.raises(ConfigError, match=r"imports\.foreign\.kind.*Did you mean 'caption_list'"):
        Catalogue(changed)


def test_crops_of_imported_boxes_follow_the_import(monkeypatch):
    changed = config()
    changed["feature_sets"]["crops"]["boxes"] = "foreign"
    before = Catalogue(changed).fingerprint("crops")
    from extract.interop.artefacts import caption_list

    monkeypatch.setattr(caption_list, "VERSION", caption_list.VERSION + 1)
    assert Catalogue(changed).fingerprint("crops") != before


def test_the_state_of_a_folder_changes_with_any_file_in_it(tmp_path):
    import os

    from workflow.plan.catalogue import folder_state

    (tmp_path / "a.jpg").write_bytes(b"one")
    before = folder_state.__wrapped__(str(tmp_path))
    assert folder_state.__wrapped__(str(tmp_path)) == before
    (tmp_path / "a.jpg").write_bytes(b"two")
    os.utime(tmp_path / "a.jpg", ns=(1, 1))
    assert folder_state.__wrapped__(str(tmp_path)) != before


def test_the_state_of_a_folder_changes_when_a_file_moves_to_another_folder_in_it(tmp_path):
    import os

    from workflow.plan.catalogue import folder_state

    for folder in "ab":
        (tmp_path / folder).mkdir()
    name = os.fsdecode(b"caf\xe9.h5")
    (tmp_path / "a" / name).write_bytes(b"one")
    before = folder_state.__wrapped__(str(tmp_path))
    assert folder_state.__wrapped__(f"{tmp_path}/a/..") == before
    (tmp_path / "a" / name).rename(tmp_path / "b" / name)
    assert folder_state.__wrapped__(str(tmp_path)) != before


def test_the_state_of_a_folder_has_strange_files_too(tmp_path):
    import os

    from workflow.plan.catalogue import folder_state

    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
    before = folder_state.__wrapped__(str(tmp_path))
    (tmp_path / "nowhere.jpg").write_bytes(b"one")
    assert folder_state.__wrapped__(str(tmp_path)) != before


def test_a_name_in_two_catalogues_is_refused():
    changed = config()
    changed["imports"]["grid"] = changed["imports"]["foreign"]
    with pytest.raises(ConfigError, match=r"imports\.grid: `feature_sets` has that name"):
        Catalogue(changed)


def test_imported_boxes_are_a_grounding_store():
    changed = config(run={"exports": ["theirs"]})
    changed["imports"]["drawn"] = {"kind": "voc", "options": {}, "sources": {"x": ["boxes"]}}
    changed["exports"]["theirs"]["crops"] = "drawn"
    catalogue = Catalogue(changed)
    assert catalogue.grounders == ("boxes", "drawn")
    assert "drawn" in catalogue.feature_sets


def test_every_artefact_says_what_it_gives():
    from extract.core.registry import load_module

    for kind in available("extract.interop.artefacts"):
        gives = load_module("extract.interop.artefacts", kind).GIVES
        assert gives in ("boxes", "captions", "features", "context"), kind
