"""Input and parameter functions of ablation tables."""


def ablation_tables(wildcards):
    """The selected tables; what their runs read must exist in each corpus."""
    try:
        CATALOGUE.check_images(CATALOGUE.ablated_sets)
    except MnerError as error:
        raise stop(error) from None
    return expand("results/ablations/{ablation}.tsv", ablation=RUN["ablations"])


def ablation_metrics(wildcards):
    """The scores of a table's runs."""
    return scores(ablation_runs(config, wildcards.ablation).values())


def ablation_datasets(wildcards):
    """The selected datasets on which the full model of a table is run."""
    full = config["ablations"][wildcards.ablation]["model"]
    return [dataset for dataset in RUN["datasets"] if CATALOGUE.seeds(full, dataset)]


def ablation_samples(wildcards):
    """The evaluated samples of these datasets."""
    return [f"results/{name}/samples/test.jsonl" for name in ablation_datasets(wildcards)]


def assignments(pairs):
    """Return `key=value` of each pair."""
    return [f"{key}={value}" for key, value in pairs]
