"""Every config that is shipped: it dry-runs over placeholder corpora, and its models are legal."""

from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from extract.core.options import options_from
from tests.workflow.workspace import Workspace
from workflow.plan.ablations import ablation_runs
from workflow.plan.catalogue import with_derived_runs

# What is run -> the files that are given for it, in order.
CONFIGS = {
    "default": (),
    "twitter2015": ("published", "twitter2015"),
    "twitter2017": ("published", "twitter2017"),
    "snap": ("published", "snap"),
    "twitter_minilm": ("twitter_minilm",),
}
REPRODUCTIONS = ("twitter2015", "twitter2017", "snap")


def files(repo_root: Path, name: str) -> list[Path]:
    """Return the config files of a run."""
    return [repo_root / "workflow/config" / f"{part}.yaml" for part in CONFIGS[name]]


def load(repo_root: Path, name: str) -> dict:
    """Return one config file as it is."""
    text = (repo_root / "workflow/config" / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def merged(repo_root: Path, name: str) -> dict:
    """Return a config over the default, as Snakemake merges them."""
    config = load(repo_root, "default")
    for part in CONFIGS[name]:
        update_config(config, load(repo_root, part))
    return config


def place_placeholders(folder: Path, config: dict) -> None:
    """Lay empty files where the selected corpora and all weights are expected."""
    for name in config["run"]["datasets"]:
        entry = config["datasets"][name]
        if entry["root"] == "data/sample":
            continue
        files = [f"{entry['root']}/{split}.txt" for split in ("train", "valid", "test")]
        files += [entry[key] for key in ("captions", "evidence") if entry.get(key)]
        for path in files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
        if entry.get("images"):
            (folder / entry["images"]).mkdir()
    for entry in config["weights"].values():
        if "path" in entry:
            path = folder / entry["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir()
    for entry in config["models"].values():
        vectors = entry.get("options", {}).get("word_vectors")
        if vectors:
            (folder / vectors).touch()


def test_all_shipped_configs_are_tested(repo_root):
    found = {path.stem for path in (repo_root / "workflow/config").glob("*.yaml")}
    assert found == {"default", *(part for parts in CONFIGS.values() for part in parts)}


def n_trainings(entry: dict, dataset: str, default: list[int]) -> int:
    """Return how often a model and its controls are trained on a dataset."""

    def seeds(key: str, otherwise: list[int]) -> list[int]:
        own = entry.get(key)
        if own is None:
            return otherwise
        return own.get(dataset, []) if isinstance(own, dict) else own

    main = seeds("seeds", default)
    return len(main) + len(entry.get("controls", ())) * len(seeds("control_seeds", main))


@pytest.mark.parametrize("name", CONFIGS)
def test_config_dry_runs_over_placeholders(repo_root, tmp_path, minilm, name):
    config = merged(repo_root, name)
    folder = tmp_path / "placeholders"
    folder.mkdir()
    place_placeholders(folder, config)
    workspace = Workspace(folder, repo_root, files(repo_root, name))
    jobs = workspace.plan()
    run = config["run"]
    n_runs = sum(
        n_trainings(config["models"][model], dataset, run["seeds"])
        for model in run["models"]
        for dataset in run["datasets"]
    )
    assert len(jobs["fit"]) == len(jobs["evaluate"]) == n_runs
    stores = {Path(path).stem for path in jobs["merge_features"]}
    assert set(run["feature_sets"]) <= stores
    assert len(jobs["extract_features"]) == config["shards"] * len(jobs["merge_features"])


@pytest.mark.parametrize("name", CONFIGS)
def test_ablation_dry_runs_over_placeholders(repo_root, tmp_path, minilm, name):
    config = merged(repo_root, name)
    folder = tmp_path / "placeholders"
    folder.mkdir()
    place_placeholders(folder, config)
    jobs = Workspace(folder, repo_root, files(repo_root, name)).plan("ablation")
    config, run = with_derived_runs(config), config["run"]
    tables = {table: ablation_runs(config, table).values() for table in run["ablations"]}
    runs = {of_row for rows in tables.values() for of_row in rows}
    n_jobs = len(runs) * len(run["datasets"]) * len(run["seeds"])
    assert len(jobs.get("fit", [])) == len(jobs.get("evaluate", [])) == n_jobs
    expected = sorted(f"results/ablations/{table}.tsv" for table in tables)
    assert jobs.get("tabulate_ablation", []) == expected


def test_every_table_is_selected_by_its_config(repo_root):
    for name in ("default", "published", "twitter_minilm"):
        config = load(repo_root, name)
        assert config["run"]["ablations"] == list(config.get("ablations", {}))


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_missing_checkpoint_names_the_command_that_fetches_it(repo_root, tmp_path, name):
    config = merged(repo_root, name)
    folder = tmp_path / "placeholders"
    folder.mkdir()
    place_placeholders(folder, config)
    (folder / "weights/vgg16-397923af.pth").unlink()
    result = Workspace(folder, repo_root, files(repo_root, name)).snakemake("--dry-run", "features")
    assert result.returncode != 0
    assert "weights.vgg16_imagenet" in result.last_line
    assert "curl -fL --create-dirs -o weights/vgg16-397923af.pth https://" in result.last_line


@pytest.mark.parametrize("name", CONFIGS)
def test_every_model_entry_is_a_legal_run(repo_root, name):
    from extract.core.registry import load_module
    from train.training.run_spec import RunSpec, check_roles, check_weights_roles

    config = merged(repo_root, name)
    config["run"]["ablations"] = list(config["ablations"])
    derived = with_derived_runs(config)
    rows = [run for table in config["ablations"] for run in ablation_runs(derived, table).values()]
    assert set(rows) <= set(derived["models"])
    for run, entry in derived["models"].items():
        keys = ("system", "variant", "options", "recipe", "features")
        given = {key: entry[key] for key in keys if key in entry}
        spec = options_from(RunSpec, {"run": run, **given}, f"models.{run}")
        module = load_module("train.systems", spec.system)
        options = options_from(module.Options, spec.options, f"models.{run}.options")
        check_roles(spec.system, module.Model.required_features(options), spec.features)
        roles = entry.get("weights", {})
        check_weights_roles(spec.system, module.Model.roles_for(options), roles)
        assert set(roles.values()) <= set(config["weights"])


TEMPERATURES = {"twitter2015": 4.0, "twitter2017": 2.0, "snap": 4.0}


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_reproductions_differ_in_corpus_temperature_and_rates_only(repo_root, name):
    own = load(repo_root, name)
    assert own.pop("run") == {"datasets": [name]}
    assert list(own.pop("datasets")) == [name]
    assert set(own) <= {"models"}
    published, models = load(repo_root, "published")["models"], merged(repo_root, name)["models"]
    for run in published:
        if models[run]["system"] == "ita":
            assert models[run]["options"]["cva_temperature"] == TEMPERATURES[name]
    for run, said in own.get("models", {}).items():
        keys = {"ita": {"options"}, "rpi_hmif": {"recipe"}}[published[run]["system"]]
        assert set(said) == keys


def test_published_shadows_no_entry_of_the_default(repo_root):
    default, overlay = load(repo_root, "default"), load(repo_root, "published")
    for kind in ("weights", "phrases", "feature_sets", "exports", "models", "ablations"):
        assert not set(default[kind]) & set(overlay[kind]), kind


def test_every_checkpoint_says_how_to_fetch_it(repo_root):
    for entry in load(repo_root, "published")["weights"].values():
        assert entry["path"].startswith("weights/")
        assert entry["path"] in entry["fetch"]


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_every_export_is_planned(repo_root, tmp_path, name):
    config = merged(repo_root, name)
    folder = tmp_path / "placeholders"
    folder.mkdir()
    place_placeholders(folder, config)
    workspace = Workspace(folder, repo_root, files(repo_root, name))
    exports = list(load(repo_root, "published")["exports"])
    workspace.overlay({"run": {"exports": exports}})
    assert len(workspace.plan("exports")["write_export"]) == len(exports)
