"""Images -> feature stores: shards, merge, verification.

Reads:  results/specs/{feature_set}.json, results/{dataset}/images.tsv, phrases, caption list, boxes
Writes: results/{dataset}/features/{feature_set}.h5, results/{dataset}/qc/{feature_set}.json
"""

COMPUTED = "|".join(config["feature_sets"])


rule features:
    """Target: every selected feature set, merged."""
    input:
        expand(
            "results/{dataset}/features/{feature_set}.h5",
            dataset=RUN["datasets"],
            feature_set=CATALOGUE.feature_sets,
        ),


rule captions:
    """Target: caption stores, generated or imported."""
    input:
        expand(
            "results/{dataset}/features/{feature_set}.h5",
            dataset=RUN["datasets"],
            feature_set=of_kind("captions"),
        ),


rule ocr:
    """Target: OCR stores."""
    input:
        expand(
            "results/{dataset}/features/{feature_set}.h5",
            dataset=RUN["datasets"],
            feature_set=of_kind("ocr"),
        ),


rule verify:
    """Target: every selected feature set passes verification."""
    input:
        expand(
            "results/{dataset}/qc/{feature_set}.json",
            dataset=RUN["datasets"],
            feature_set=CATALOGUE.feature_sets,
        ),


rule extract_features:
    """Compute one shard of a feature set: `python -m extract features`."""
    input:
        unpack(feature_inputs),
        spec="results/specs/{feature_set}.json",
        images="results/{dataset}/images.tsv",
    output:
        temp("results/{dataset}/shards/{feature_set}.{scatteritem}.h5"),
    log:
        "logs/{dataset}/extract_features.{feature_set}.{scatteritem}.log",
    benchmark:
        "benchmarks/{dataset}/extract_features.{feature_set}.{scatteritem}.tsv"
    wildcard_constraints:
        feature_set=COMPUTED,
    conda:
        "../../envs/vision.yaml"
    threads: extraction_threads
    resources:
        gpu=extraction_gpu,
        device=config["device"],
        batch_size=lambda wildcards: runtime("feature_sets", wildcards.feature_set, "batch_size"),
        mem=lambda wildcards, attempt: memory("feature_sets", wildcards.feature_set, attempt),
        runtime=lambda wildcards: runtime("feature_sets", wildcards.feature_set, "time"),
    params:
        fingerprint=lambda wildcards: CATALOGUE.fingerprint(wildcards.feature_set),
        flags=feature_flags,
        state=feature_state,
        reuse="results/{dataset}/features/{feature_set}.h5",
    shell:
        "python -m extract features "
        "--spec {input.spec:q} "
        "--images {input.images:q} "
        "{params.flags} "
        "--shard {wildcards.scatteritem} "
        "--reuse {params.reuse:q} "
        "--device {resources.device} "
        "--batch-size {resources.batch_size} "
        "--threads {threads} "
        "--workers {threads} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule merge_features:
    """Join the shards: `python -m extract merge`."""
    input:
        shards=gather.images("results/{{dataset}}/shards/{{feature_set}}.{scatteritem}.h5"),
        images="results/{dataset}/images.tsv",
    output:
        ensure("results/{dataset}/features/{feature_set}.h5", non_empty=True),
    log:
        "logs/{dataset}/merge_features.{feature_set}.log",
    benchmark:
        "benchmarks/{dataset}/merge_features.{feature_set}.tsv"
    wildcard_constraints:
        feature_set=COMPUTED,
    conda:
        "../../envs/vision.yaml"
    shell:
        "python -m extract merge "
        "--shards {input.shards:q} "
        "--images {input.images:q} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule verify_features:
    """Check format, checksums and ids: `python -m extract verify`."""
    input:
        store="results/{dataset}/features/{feature_set}.h5",
        images="results/{dataset}/images.tsv",
    output:
        report(
            "results/{dataset}/qc/{feature_set}.json",
            caption="../report/qc.rst",
            category="Features",
            labels={"dataset": "{dataset}", "feature set": "{feature_set}"},
        ),
    log:
        "logs/{dataset}/verify_features.{feature_set}.log",
    benchmark:
        "benchmarks/{dataset}/verify_features.{feature_set}.tsv"
    conda:
        "../../envs/vision.yaml"
    shell:
        "python -m extract verify {input.store:q} "
        "--images {input.images:q} "
        "--out {output:q} "
        "> {log:q} 2>&1"
