"""Foreign files as feature stores, and a corpus as the folder that another project reads.

Reads:  the files of `imports:`; results/{dataset}/samples/, images.tsv, crops/, features/
Writes: results/{dataset}/features/{feature_set}.h5; results/{dataset}/exports/{export}/
"""


include: "interop_inputs.smk"


IMPORTED = "|".join(config["imports"]) or "none"


rule exports:
    """Target: the folders of the projects that `run.exports` names."""
    input:
        expand(
            "results/{dataset}/exports/{export}",
            dataset=RUN["datasets"],
            export=RUN["exports"],
        ),


rule import_features:
    """Turn a foreign file into a feature store: `python -m extract import`."""
    input:
        sources=import_sources,
        images="results/{dataset}/images.tsv",
        samples=import_samples,
    output:
        ensure("results/{dataset}/features/{feature_set}.h5", non_empty=True),
    log:
        "logs/{dataset}/import_features.{feature_set}.log",
    benchmark:
        "benchmarks/{dataset}/import_features.{feature_set}.tsv"
    wildcard_constraints:
        feature_set=IMPORTED,
    conda:
        "../../envs/vision.yaml"
    params:
        kind=lambda wildcards: config["imports"][wildcards.feature_set]["kind"],
        options=lambda wildcards: json.dumps(
            CATALOGUE.import_definition(wildcards.feature_set)["options"]
        ),
        fingerprint=lambda wildcards: CATALOGUE.fingerprint(wildcards.feature_set),
        state=import_state,
        samples=lambda wildcards, input: flag("samples", input.samples),
    shell:
        "python -m extract import {params.kind:q} "
        "--source {input.sources:q} "
        "--images {input.images:q} "
        "{params.samples} "
        "--options {params.options:q} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule write_export:
    """Write one project's folder: `python -m extract export`."""
    input:
        unpack(export_inputs),
        samples=expand("results/{{dataset}}/samples/{split}.jsonl", split=SPLITS),
        images="results/{dataset}/images.tsv",
    output:
        # The folder: Snakemake removes an old one whole, so a rerun finds nothing in its way.
        directory("results/{dataset}/exports/{export}"),
    log:
        "logs/{dataset}/write_export.{export}.log",
    benchmark:
        "benchmarks/{dataset}/write_export.{export}.tsv"
    conda:
        "../../envs/vision.yaml"
    params:
        layout=lambda wildcards: config["exports"][wildcards.export]["layout"],
        name=lambda wildcards: (config["exports"][wildcards.export]["name"] or wildcards.dataset),
        options=lambda wildcards: json.dumps(config["exports"][wildcards.export]["options"]),
        link=lambda wildcards: config["exports"][wildcards.export]["link"],
        flags=export_flags,
        version=EXPORT_VERSION,
    shell:
        "python -m extract export "
        "--layout {params.layout:q} "
        "--name {params.name:q} "
        "--samples {input.samples:q} "
        "--images {input.images:q} "
        "{params.flags} "
        "--options {params.options:q} "
        "--link {params.link} "
        "--out {output:q} "
        "> {log:q} 2>&1"
