"""Kept epochs of runs -> what choosing the epoch on test would have given; never a result.

Reads:  results/{dataset}/runs/{run}/seed{seed}/epochs/, results/{dataset}/samples/test.jsonl
Writes: results/{dataset}/runs/{run}/seed{seed}/best_test.json, results/diagnostics/best_test.tsv
"""


include: "diagnose_inputs.smk"


rule diagnose:
    """Target: how far the best epoch on test is above the chosen one; not part of `all`."""
    input:
        diagnosis_tables,


rule diagnose_run:
    """Score every kept epoch on test: `python -m train diagnose`."""
    input:
        run_stores,
        model="results/{dataset}/runs/{run}/seed{seed}/model.safetensors",
        test="results/{dataset}/samples/test.jsonl",
    output:
        "results/{dataset}/runs/{run}/seed{seed}/best_test.json",
    log:
        "logs/{dataset}/diagnose.{run}.seed{seed}.log",
    benchmark:
        "benchmarks/{dataset}/diagnose_run.{run}.seed{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: lambda wildcards: runtime("models", wildcards.run, "threads")
    resources:
        gpu=gpu_resources,
        device=config["device"],
        mem=training_memory,
    params:
        stores=store_flags,
        run=subpath(input.model, parent=True),
    shell:
        "python -m train diagnose "
        "--run {params.run:q} "
        "--samples {input.test:q} "
        "{params.stores} "
        "--device {resources.device} "
        "--threads {threads} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule tabulate_diagnoses:
    """One line a run: `python -m train diagnose-table`."""
    input:
        lambda wildcards: scores(diagnosed_runs(), "best_test.json"),
    output:
        "results/diagnostics/best_test.tsv",
    log:
        "logs/tabulate_diagnoses.log",
    benchmark:
        "benchmarks/tabulate_diagnoses.tsv"
    localrule: True
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m train diagnose-table "
        "--diagnoses {input:q} "
        "--out {output:q} "
        "> {log:q} 2>&1"
