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


def assignments(pairs):
    """Return `key=value` of each pair."""
    return [f"{key}={value}" for key, value in pairs]
