"""Corpus -> samples and image manifest.

Reads:  the folder of each dataset (`data/...`; the bundled sample is drawn here).
Writes: results/{dataset}/samples/{split}.jsonl, images.tsv, stats.json, audit.json, audit.html,
        overlap.json, and probes.tsv: what is known of the images, for the next run
"""

# What is in `datasets:`, without the new tweets of predict.smk.
CORPORA = "|".join(name for name in config["datasets"] if not name.startswith("predict/"))


rule dataset:
    """Target: every selected dataset is read and its images are checked."""
    input:
        expand("results/{dataset}/stats.json", dataset=RUN["datasets"]),


rule audit:
    """Target: what is in every selected corpus, which copy it is, and what is wrong with it."""
    input:
        expand("results/{dataset}/audit.html", dataset=RUN["datasets"]),


rule generate_sample:
    """Draw the bundled sample corpus: `python -m extract sample`."""
    output:
        text=expand("data/sample/{split}.txt", split=SPLITS),
        captions="data/sample/captions.txt",
        annotations="data/sample/annotations.jsonl",
        evidence="data/sample/evidence.tsv",
        images=directory("data/sample/images"),
    log:
        "logs/generate_sample.log",
    benchmark:
        "benchmarks/generate_sample.tsv"
    conda:
        "../../envs/text.yaml"
    threads: all_cores
    params:
        seed=config["sample"]["seed"],
        tweets=config["sample"]["tweets"],
        out=subpath(output.captions, parent=True),
    shell:
        "python -m extract sample "
        "--seed {params.seed} "
        "--tweets {params.tweets} "
        "--workers {threads} "
        "--out {params.out:q} "
        "> {log:q} 2>&1"


rule prepare_dataset:
    """Read text and images: `python -m extract dataset`."""
    input:
        corpus_inputs,
    output:
        samples=expand("results/{{dataset}}/samples/{split}.jsonl", split=SPLITS),
        images="results/{dataset}/images.tsv",
        stats=report(
            "results/{dataset}/stats.json",
            caption="../report/stats.rst",
            category="Corpora",
            labels={"dataset": "{dataset}", "content": "counts"},
        ),
    log:
        "logs/{dataset}/prepare_dataset.log",
    benchmark:
        "benchmarks/{dataset}/prepare_dataset.tsv"
    wildcard_constraints:
        dataset=CORPORA,
    conda:
        "../../envs/text.yaml"
    threads: all_cores
    resources:
        mem=lambda wildcards, threads, attempt: decoding_memory(
            config["image_limits"], threads, attempt
        ),
    params:
        reader=lambda wildcards: dataset_entry(wildcards)["reader"],
        root=lambda wildcards: dataset_entry(wildcards)["root"],
        images=lambda wildcards: flag("images", dataset_entry(wildcards).get("images")),
        evidence=lambda wildcards: flag("evidence", dataset_entry(wildcards).get("evidence")),
        repairs=lambda wildcards: flag("repairs", dataset_entry(wildcards).get("repairs")),
        text=lambda wildcards: json.dumps(dataset_entry(wildcards)["text"], sort_keys=True),
        version=READERS_VERSION,
        max_bad=lambda wildcards: dataset_entry(wildcards)["max_bad_images"],
        check=lambda wildcards: (
            "--check-counts" if dataset_entry(wildcards)["check_counts"] else ""
        ),
        limits=json.dumps(config["image_limits"], sort_keys=True),
        state=images_state,
        out="results/{dataset}",
    shell:
        "python -m extract dataset "
        "--reader {params.reader:q} "
        "--root {params.root:q} "
        "{params.images} "
        "{params.evidence} "
        "{params.repairs} "
        "--text {params.text:q} "
        "--max-bad-images {params.max_bad} "
        "--image-limits {params.limits:q} "
        "{params.check} "
        "--workers {threads} "
        "--out {params.out:q} "
        "> {log:q} 2>&1"


rule audit_dataset:
    """Look the texts over as they were obtained: `python -m extract audit`."""
    input:
        corpus_texts,
    output:
        table=report(
            "results/{dataset}/audit.json",
            caption="../report/audit.rst",
            category="Corpora",
            labels={"dataset": "{dataset}", "content": "audit, every id"},
        ),
        page=report(
            "results/{dataset}/audit.html",
            caption="../report/audit.rst",
            category="Corpora",
            labels={"dataset": "{dataset}", "content": "audit"},
        ),
    log:
        "logs/{dataset}/audit_dataset.log",
    benchmark:
        "benchmarks/{dataset}/audit_dataset.tsv"
    wildcard_constraints:
        dataset=CORPORA,
    conda:
        "../../envs/text.yaml"
    params:
        reader=lambda wildcards: dataset_entry(wildcards)["reader"],
        root=lambda wildcards: dataset_entry(wildcards)["root"],
        text=lambda wildcards: json.dumps(dataset_entry(wildcards)["text"], sort_keys=True),
        version=READERS_VERSION,
    shell:
        "python -m extract audit {params.root:q} "
        "--reader {params.reader:q} "
        "--text {params.text:q} "
        "--html {output.page:q} "
        "--json "
        "> {output.table:q} 2> {log:q}"


rule check_overlap:
    """Refuse to train where test stands in train or valid: `python -m extract check-overlap`."""
    input:
        "results/{dataset}/audit.json",
    output:
        "results/{dataset}/overlap.json",
    log:
        "logs/{dataset}/check_overlap.log",
    benchmark:
        "benchmarks/{dataset}/check_overlap.tsv"
    priority: 100
    localrule: True
    conda:
        "../../envs/text.yaml"
    params:
        max_overlap=lambda wildcards: dataset_entry(wildcards)["max_overlap"],
        version=OVERLAP_VERSION,
    shell:
        "python -m extract check-overlap "
        "--audit {input:q} "
        "--max-overlap {params.max_overlap} "
        "--out {output:q} "
        "> {log:q} 2>&1"
