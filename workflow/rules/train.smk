"""Feature stores -> trained systems -> predictions and scores.

Reads:  results/{dataset}/samples/, overlap.json, features/{feature_set}.h5, text encoder weights,
        files that options name
Writes: results/specs/runs/{run}.json, results/{dataset}/runs/{run}/seed{seed}/
        model.safetensors, run.json, metrics.jsonl (fit); metrics.json, predictions.conll (evaluate)
"""


include: "train_inputs.smk"


rule train:
    """Target: every selected model is trained and scored."""
    input:
        scores(CATALOGUE.runs),


rule write_run_spec:
    """Check options and recipe of a run before anything is computed: `python -m train spec`."""
    input:
        run_weights,
        run_files,
    output:
        "results/specs/runs/{run}.json",
    log:
        "logs/specs/runs.{run}.log",
    benchmark:
        "benchmarks/write_run_spec.{run}.tsv"
    priority: 100
    conda:
        "../../envs/train.yaml"
    resources:
        device=config["device"],
    params:
        definition=lambda wildcards: run_definition(wildcards.run),
        files=run_sums,
    shell:
        "python -m train spec "
        "--definition {params.definition:q} "
        "--device {resources.device} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule fit:
    """Train on train, select on valid; test cannot be read: `python -m train fit`."""
    input:
        run_stores,
        spec="results/specs/runs/{run}.json",
        train="results/{dataset}/samples/train.jsonl",
        valid="results/{dataset}/samples/valid.jsonl",
        # Allowing more or less overlap is no reason to train again.
        overlap=ancient("results/{dataset}/overlap.json"),
    output:
        model="results/{dataset}/runs/{run}/seed{seed}/model.safetensors",
        run="results/{dataset}/runs/{run}/seed{seed}/run.json",
        log="results/{dataset}/runs/{run}/seed{seed}/metrics.jsonl",
    log:
        "logs/{dataset}/fit.{run}.seed{seed}.log",
    benchmark:
        "benchmarks/{dataset}/fit.{run}.seed{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: lambda wildcards: processes(wildcards) * runtime("models", wildcards.run, "threads")
    resources:
        gpu=lambda wildcards: processes(wildcards) * gpu_resources(wildcards),
        device=config["device"],
        command=training_command,
        # Of those that --cores allows.
        threads_each=lambda wildcards, threads: max(1, threads // processes(wildcards)),
        mem=lambda wildcards, attempt: training_memory(wildcards, attempt * processes(wildcards)),
        runtime=lambda wildcards: runtime("models", wildcards.run, "time"),
        checkpoint_every=lambda wildcards: runtime("models", wildcards.run, "checkpoint_every"),
        keep_epochs=lambda wildcards: (
            "all" if runtime("models", wildcards.run, "keep_epochs") else "best"
        ),
    params:
        definition=lambda wildcards: run_definition(wildcards.run),
        versions=training_versions,
        stores=store_flags,
        samples=subpath(input.train, parent=True),
        out=subpath(output.model, parent=True),
    shell:
        "{resources.command} -m train fit "
        "--spec {input.spec:q} "
        "--dataset {wildcards.dataset:q} "
        "--samples-dir {params.samples:q} "
        "--overlap {input.overlap:q} "
        "{params.stores} "
        "--seed {wildcards.seed} "
        "--keep-epochs {resources.keep_epochs} "
        "--checkpoint-every {resources.checkpoint_every} "
        "--device {resources.device} "
        "--threads {resources.threads_each} "
        "--out {params.out:q} "
        "> {log:q} 2>&1"


rule evaluate:
    """Score the frozen checkpoint on test, once: `python -m train evaluate`."""
    input:
        run_stores,
        model="results/{dataset}/runs/{run}/seed{seed}/model.safetensors",
        train="results/{dataset}/samples/train.jsonl",
        test="results/{dataset}/samples/test.jsonl",
        images="results/{dataset}/images.tsv",
    output:
        metrics="results/{dataset}/runs/{run}/seed{seed}/metrics.json",
        predictions="results/{dataset}/runs/{run}/seed{seed}/predictions.conll",
    log:
        "logs/{dataset}/evaluate.{run}.seed{seed}.log",
    benchmark:
        "benchmarks/{dataset}/evaluate.{run}.seed{seed}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: lambda wildcards: runtime("models", wildcards.run, "threads")
    resources:
        gpu=gpu_resources,
        device=config["device"],
        mem=training_memory,
    params:
        stores=store_flags,
        out=subpath(output.metrics, parent=True),
    shell:
        "python -m train evaluate "
        "--run {params.out:q} "
        "--samples {input.test:q} "
        "--train-samples {input.train:q} "
        "--images {input.images:q} "
        "{params.stores} "
        "--device {resources.device} "
        "--threads {threads} "
        "--out {params.out:q} "
        "> {log:q} 2>&1"
