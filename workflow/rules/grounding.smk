"""Samples -> noun phrases -> boxes -> crops -> dictionaries.

Reads:  results/{dataset}/samples/, images.tsv, the corpus's box annotations or detector weights
Writes: results/{dataset}/phrases/{phrases}.jsonl, crops/{grounder}/, crops/{grounder}/{split}_dict.*
        (boxes themselves are a feature store: features.smk merges and verifies them)
"""

SELECTED_GROUNDERS = [name for name in CATALOGUE.feature_sets if name in CATALOGUE.grounders]


rule phrases:
    """Target: noun phrases of every selected dataset."""
    input:
        expand(
            "results/{dataset}/phrases/{phrases}.jsonl",
            dataset=RUN["datasets"],
            phrases=CATALOGUE.phrase_sets,
        ),


rule grounding:
    """Target: boxes of the noun phrases."""
    input:
        expand(
            "results/{dataset}/features/{grounder}.h5",
            dataset=RUN["datasets"],
            grounder=SELECTED_GROUNDERS,
        ),


rule crops:
    """Target: one PNG a box, with a manifest."""
    input:
        expand(
            "results/{dataset}/crops/{grounder}/crops.jsonl",
            dataset=RUN["datasets"],
            grounder=SELECTED_GROUNDERS,
        ),


rule dictionaries:
    """Target: the {{image: [crops]}} dictionaries of every split."""
    input:
        expand(
            "results/{dataset}/crops/{grounder}/{split}_dict.pth",
            dataset=RUN["datasets"],
            grounder=SELECTED_GROUNDERS,
            split=SPLITS,
        ),


rule extract_phrases:
    """Find noun phrases: `python -m extract phrases`."""
    input:
        phrase_weights,
        samples=samples_files,
    output:
        ensure("results/{dataset}/phrases/{phrases}.jsonl", non_empty=True),
    log:
        "logs/{dataset}/extract_phrases.{phrases}.log",
    benchmark:
        "benchmarks/{dataset}/extract_phrases.{phrases}.tsv"
    conda:
        "../../envs/text.yaml"
    resources:
        weights=phrase_model,
    params:
        backend=lambda wildcards: config["phrases"][wildcards.phrases]["extractor"],
        options=lambda wildcards: json.dumps(CATALOGUE.definition(wildcards.phrases)["options"]),
        fingerprint=lambda wildcards: CATALOGUE.fingerprint(wildcards.phrases),
        files=phrase_sums,
    shell:
        "python -m extract phrases "
        "--backend {params.backend:q} "
        "--options {params.options:q} "
        "{resources.weights} "
        "--samples {input.samples:q} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule cut_crops:
    """Cut the boxes out of the images: `python -m extract crops`."""
    input:
        store="results/{dataset}/features/{grounder}.h5",
        images="results/{dataset}/images.tsv",
    output:
        "results/{dataset}/crops/{grounder}/crops.jsonl",
    log:
        "logs/{dataset}/cut_crops.{grounder}.log",
    benchmark:
        "benchmarks/{dataset}/cut_crops.{grounder}.tsv"
    conda:
        "../../envs/vision.yaml"
    params:
        out=subpath(output[0], parent=True),
        min_size=config["crops"]["min_size_px"],
        version=CROPS_VERSION,
    shell:
        "python -m extract crops "
        "--store {input.store:q} "
        "--images {input.images:q} "
        "--min-size {params.min_size} "
        "--out {params.out:q} "
        "> {log:q} 2>&1"


rule make_dictionary:
    """List the crops of each image of a split: `python -m extract crop-dict`."""
    input:
        crops="results/{dataset}/crops/{grounder}/crops.jsonl",
        samples="results/{dataset}/samples/{split}.jsonl",
    output:
        pth="results/{dataset}/crops/{grounder}/{split}_dict.pth",
        json="results/{dataset}/crops/{grounder}/{split}_dict.json",
    log:
        "logs/{dataset}/make_dictionary.{grounder}.{split}.log",
    benchmark:
        "benchmarks/{dataset}/make_dictionary.{grounder}.{split}.tsv"
    conda:
        "../../envs/vision.yaml"
    shell:
        "python -m extract crop-dict "
        "--crops {input.crops:q} "
        "--samples {input.samples:q} "
        "--out {output.pth:q} "
        "> {log:q} 2>&1"
