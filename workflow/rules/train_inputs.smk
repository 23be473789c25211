"""Input and parameter functions of training and scoring: model entries -> runs, seeds, stores."""


def run_definition(name):
    """The run spec of a model entry, as canonical JSON; runtime knobs are not in it."""
    entry = config["models"][name]
    weights = {
        role: {"name": given, **CATALOGUE.entry("weights", given, f"models.{name}.weights.{role}")}
        for role, given in entry["weights"].items()
    }
    keys = ("system", "variant", "options", "recipe", "features")
    return canonical({"run": name, "weights": weights, **{key: entry[key] for key in keys}})


def training_versions(wildcards):
    """VERSION of the loop and of the system, and several processes: reasons to train again."""
    modules = ("training/loop", f"systems/{config['models'][wildcards.run]['system']}/model")
    versions = [source_version(Path(workflow.basedir) / f"train/{name}.py") for name in modules]
    return versions if processes(wildcards) == 1 else [*versions, processes(wildcards)]


def run_weights(wildcards):
    """The pretrained networks that a run starts from, where paths or made by a rule."""
    return weights_files(run_entries(wildcards))


def run_entries(wildcards):
    """The weights entries of a run, with their names."""
    names = config["models"][wildcards.run]["weights"].values()
    return [{"name": name, **config["weights"][name]} for name in names]


def run_files(wildcards):
    """The files that options of a run name, such as word vectors."""
    entry = config["models"][wildcards.run]
    source = Path(workflow.basedir) / f"train/systems/{entry['system']}/options.py"
    named = {name: entry["options"].get(name) for name in file_options(source)}
    where = f"models.{wildcards.run}.options"
    return [
        ancient(checked(path, f"{where}.{name} names it: put it there, or name another file."))
        for name, path in named.items()
        if path
    ]


def run_sums(wildcards):
    """Checksums of the given ones of both: a replaced file is a reason to train again."""
    return given_sums(run_entries(wildcards), run_files(wildcards))


def run_stores(wildcards):
    """The feature stores that a run reads."""
    names = CATALOGUE.model_features(wildcards.run).values()
    return [f"results/{wildcards.dataset}/features/{name}.h5" for name in names]


def store_flags(wildcards):
    """`--store role=path` for each role."""
    roles = CATALOGUE.model_features(wildcards.run).items()
    stores = [f"{role}=results/{wildcards.dataset}/features/{name}.h5" for role, name in roles]
    return " ".join(flag("store", store) for store in stores)


def predictions(wildcards):
    """The files that the target predict is to make."""
    if not PREDICTION:
        raise stop(
            "predict: predict_run and predict_text are not set. Call snakemake --cores all predict "
            "--config predict_run=results/sample/runs/text_crf/seed1 predict_text=new.txt; "
            "workflow/config/default.yaml explains each key."
        )
    return [f"{PREDICTION.folder}/predictions.{form}" for form in ("conll", "jsonl")]


def scores(runs, name="metrics.json"):
    """The scores of runs on every selected dataset, with all their seeds there."""
    return [
        f"results/{dataset}/runs/{run}/seed{seed}/{name}"
        for dataset in RUN["datasets"]
        for run in runs
        for seed in CATALOGUE.seeds(run, dataset)
    ]
