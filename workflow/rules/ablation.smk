"""The full model and one run a switch -> a table.

Reads:  results/{dataset}/runs/{run}/seed{seed}/metrics.json, results/{dataset}/samples/test.jsonl
Writes: results/ablations/{ablation}.tsv, results/ablations/{ablation}.md
"""


include: "ablation_inputs.smk"


rule ablation:
    """Target: the tables that `run.ablations` names; not part of `all`."""
    input:
        ablation_tables,


rule tabulate_ablation:
    """Scores of each switch and its difference to the full model: `python -m train ablate`."""
    input:
        metrics=ablation_metrics,
        samples=ablation_samples,
    output:
        table=report(
            "results/ablations/{ablation}.tsv",
            caption="../report/ablation.rst",
            category="Results",
            labels={"content": "ablation {ablation}"},
        ),
        page="results/ablations/{ablation}.md",
    log:
        "logs/tabulate_ablation.{ablation}.log",
    benchmark:
        "benchmarks/tabulate_ablation.{ablation}.tsv"
    wildcard_constraints:
        ablation="|".join(RUN["ablations"]) or "none",
    localrule: True
    conda:
        "../../envs/train.yaml"
    params:
        rows=lambda wildcards: assignments(ablation_runs(config, wildcards.ablation).items()),
        samples=lambda wildcards, input: assignments(
            zip(ablation_datasets(wildcards), input.samples)
        ),
    shell:
        "python -m train ablate "
        "--metrics {input.metrics:q} "
        "--rows {params.rows:q} "
        "--samples {params.samples:q} "
        "--out {output.table:q} "
        "--page {output.page:q} "
        "> {log:q} 2>&1"
