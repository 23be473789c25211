"""Input functions of the diagnosis of kept epochs."""


def diagnosed_runs():
    """The selected runs that keep the weights of every epoch."""
    return [run for run in CATALOGUE.runs if runtime("models", run, "keep_epochs")]


def diagnosis_tables(wildcards):
    """The table of the target, where it has a line."""
    if not diagnosed_runs():
        raise stop(
            "diagnose: no selected model keeps its epochs. Set models.<name>.runtime.keep_epochs "
            "to true; a run that is already trained has to be trained again (--forcerun fit)."
        )
    return ["results/diagnostics/best_test.tsv"]
