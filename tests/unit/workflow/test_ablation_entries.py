"""Ablation tables of the config: which runs they name, and what each switch changes."""

import copy

import pytest

from extract.core.errors import ConfigError
from workflow.plan.ablations import ablation_entries, ablation_runs
from workflow.plan.catalogue import Catalogue, with_derived_runs

ITA = {
    "system": "ita",
    "variant": "main",
    "weights": {"encoder": "bert"},
    "features": {"captions": "listed", "ocr": "read"},
    "options": {"context": {"use": ["captions", "ocr"], "num_captions": 3}, "cva": False},
    "recipe": {"epochs": 2, "lr": {"encoder": 1e-4, "crf": 1e-2}},
    "runtime": {"threads": 1, "mem": "8GB"},
}
FEATURE_SET = {"weights": {}, "phrases": None, "boxes": None, "options": {}}
CONFIG = {
    "run": {
        "datasets": ["x"],
        "feature_sets": [],
        "models": ["ita"],
        "exports": [],
        "ablations": ["context"],
        "seeds": [1],
    },
    "datasets": {"x": {"reader": "conll_imgid", "root": "data/x", "images": "data/x/images"}},
    "weights": {"bert": {"path": "weights/bert"}},
    "phrases": {},
    "feature_sets": {
        "listed": {**FEATURE_SET, "extractor": "caption_list"},
        "read": {**FEATURE_SET, "extractor": "ocr"},
        "read_sparse": {**FEATURE_SET, "extractor": "ocr", "options": {"psm": 11}},
    },
    "imports": {},
    "exports": {},
    "models": {"ita": ITA},
    "ablations": {
        "context": {
            "model": "ita",
            "switches": {
                "no_ocr": {"options": {"context": {"use": ["captions"]}}, "features": {"ocr": None}}
            },
        }
    },
}


def config(**switches) -> dict:
    """Return a config whose table has these switches, or its own."""
    changed = copy.deepcopy(CONFIG)
    if switches:
        changed["ablations"]["context"]["switches"] = switches
    return changed


def entry(**switch) -> dict:
    """Return the model entry of one switch."""
    return ablation_entries(config(only=switch))["context-only"]


def test_rows_are_the_full_model_and_then_the_switches():
    rows = ablation_runs(config(b={"variant": "blank"}, a={"options": {"cva": True}}), "context")
    assert list(rows.items()) == [("full", "ita"), ("b", "context-b"), ("a", "context-a")]


def test_what_models_has_already_is_not_trained_twice():
    changed = config(blank={"variant": "blank"}, cva={"options": {"cva": True}})
    changed["models"]["ita_blank"] = {**ITA, "variant": "blank", "runtime": {"threads": 8}}
    changed["models"]["ita_other"] = {**ITA, "variant": "blank", "seeds": [7]}
    rows = ablation_runs(changed, "context")
    assert rows == {"full": "ita", "blank": "ita_blank", "cva": "context-cva"}
    assert set(ablation_entries(changed)) == {"context-cva"}
    changed["models"] |= ablation_entries(changed)
    assert ablation_runs(changed, "context") == rows


def test_a_control_is_a_row_without_another_training():
    changed = config(swapped={"variant": "shuffled"}, cva={"options": {"cva": True}})
    changed["models"]["ita"] = {**ITA, "controls": ["shuffled", "without_ocr"]}
    derived = with_derived_runs(changed)
    assert set(derived["models"]) == {"ita", "ita-shuffled", "ita-without_ocr", "context-cva"}
    rows = {"full": "ita", "swapped": "ita-shuffled", "cva": "context-cva"}
    # The rules ask again, with the runs of tables among the models.
    assert ablation_runs(derived, "context") == rows
    assert "controls" not in derived["models"]["context-cva"]
    # With seeds of its own the control is not the run that the table needs.
    changed["models"]["ita"]["control_seeds"] = [1]
    rows["swapped"] = "context-swapped"
    assert ablation_runs(with_derived_runs(changed), "context") == rows


def test_a_switch_cannot_take_the_run_id_of_a_control():
    changed = config()
    changed["models"] = {"ita": ITA, "context": {**ITA, "controls": ["blank"], "options": {}}}
    changed["ablations"]["context"]["switches"] = {"blank": {"variant": "blank"}}
    with pytest.raises(ConfigError, match=r"switches\.blank: .* id of the control context-blank"):
        with_derived_runs(changed)


def test_a_switch_changes_what_it_names_and_nothing_else():
    before = config()
    expected = copy.deepcopy(ITA)
    expected["options"]["context"]["use"] = ["captions"]
    del expected["features"]["ocr"]
    assert ablation_entries(before) == {"context-no_ocr": expected}
    assert before == config()


@pytest.mark.parametrize(
    ("switch", "key", "value"),
    [
        ({"variant": "blank"}, "variant", "blank"),
        (
            {"recipe": {"lr": {"crf": 1.0}}},
            "recipe",
            {"epochs": 2, "lr": {"encoder": 1e-4, "crf": 1.0}},
        ),
        (
            {"features": {"ocr": "read_sparse"}},
            "features",
            {**ITA["features"], "ocr": "read_sparse"},
        ),
        ({"features": {"objects": "o"}}, "features", {**ITA["features"], "objects": "o"}),
        ({"weights": {"encoder": None}}, "weights", {}),
        # An option may be null; only roles are taken away.
        ({"options": {"cva": None}}, "options", {**ITA["options"], "cva": None}),
    ],
)
def test_each_part_is_merged(switch, key, value):
    found = entry(**switch)
    assert found[key] == value
    assert {k: v for k, v in found.items() if k != key} == {
        k: v for k, v in ITA.items() if k != key
    }


def test_a_run_of_a_switch_cannot_have_the_name_of_an_entry(repo_root):
    import yaml

    schema = yaml.safe_load(
        (repo_root / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8")
    )
    legal = schema["properties"]["models"]["propertyNames"]["pattern"]
    assert legal == "^[a-z0-9_]+$"
    tables = schema["properties"]["ablations"]
    assert tables["propertyNames"]["pattern"] == legal
    switches = tables["additionalProperties"]["properties"]["switches"]
    assert switches["propertyNames"]["pattern"] == legal
    assert all("-" in run for run in ablation_entries(config()))


@pytest.mark.parametrize(
    ("switches", "parts"),
    [
        (
            {"only": {"features": {"ocrs": None}}},
            ["ablations.context.switches.only.features: the model has no role 'ocrs'", "'ocr'?"],
        ),
        (
            {"only": {"weights": {"vision": None}}},
            ["switches.only.weights: the model has no role 'vision'", "Roles: encoder."],
        ),
        (
            {"only": {"options": {"context": {"num_captions": 3}}}},
            ["ablations.context.switches.only: nothing in it differs"],
        ),
        ({"full": {"variant": "blank"}}, ["ablations.context.switches.full: ", "Choose another"]),
    ],
)
def test_a_switch_that_cannot_be_meant_is_refused(switches, parts):
    with pytest.raises(ConfigError) as caught:
        ablation_entries(config(**switches))
    for part in parts:
        assert part in str(caught.value)


def test_unknown_tables_and_models_give_the_nearest():
    changed = config()
    changed["run"]["ablations"] = ["contxt"]
    with pytest.raises(ConfigError, match=r"run\.ablations: no 'contxt'.*Did you mean 'context'"):
        ablation_entries(changed)
    changed = config()
    changed["ablations"]["context"]["model"] = "itaa"
    with pytest.raises(ConfigError, match=r"ablations\.context\.model: no 'itaa'.*mean 'ita'"):
        ablation_entries(changed)


def test_runs_of_switches_are_no_part_of_what_run_selects():
    catalogue = Catalogue(config(sparse={"features": {"ocr": "read_sparse"}}))
    assert catalogue.ablated == ("ita", "context-sparse")
    assert catalogue.feature_sets == ("listed", "read")
    assert catalogue.ablated_sets == ("listed", "read", "read_sparse")
    # Of one system and variant, yet not two rows of one summary.
    assert catalogue.run["models"] == ["ita"]


def test_what_a_switch_names_is_looked_up():
    with pytest.raises(ConfigError, match=r"models\.context-s\.features\.ocr: no 'reed'.*'read'"):
        Catalogue(config(s={"features": {"ocr": "reed"}}))
    with pytest.raises(ConfigError, match=r"models\.context-s\.weights\.encoder: no 'bart'"):
        Catalogue(config(s={"weights": {"encoder": "bart"}}))


def test_images_are_asked_of_a_corpus_only_for_the_target():
    changed = config()
    changed["run"]["models"] = []
    changed["datasets"]["x"]["images"] = None
    catalogue = Catalogue(changed)
    with pytest.raises(ConfigError, match=r"feature_sets\.read: ocr reads images"):
        catalogue.check_images(catalogue.ablated_sets)
