"""What became of each tweet and image: tables of what is missing, and sheets to look at.

Reads:  results/{dataset}/samples/, images.tsv, phrases/, crops/, features/
Writes: results/{dataset}/degradation.tsv, degradation_ids.tsv, degradation.html, sheets/
"""

SHEET_FLAGS = ("captions", "ocr", "regions")


rule degradation:
    """Target: what is missing, unreadable, without phrase, box or text, a split."""
    input:
        expand("results/{dataset}/degradation.tsv", dataset=RUN["datasets"]),


rule contact_sheets:
    """Target: each image with its boxes, phrases, captions and words, as PNG sheets."""
    input:
        expand("results/{dataset}/sheets/sheets.tsv", dataset=RUN["datasets"]),


rule count_degradation:
    """Count and list what is missing: `python -m extract degradation`."""
    input:
        samples=expand("results/{{dataset}}/samples/{split}.jsonl", split=SPLITS),
        images="results/{dataset}/images.tsv",
        phrases=expand("results/{{dataset}}/phrases/{name}.jsonl", name=CATALOGUE.phrase_sets),
        stores=expand("results/{{dataset}}/features/{name}.h5", name=CATALOGUE.feature_sets),
        crops=expand("results/{{dataset}}/crops/{name}/crops.jsonl", name=SELECTED_GROUNDERS),
    output:
        counts="results/{dataset}/degradation.tsv",
        ids="results/{dataset}/degradation_ids.tsv",
        page=report(
            "results/{dataset}/degradation.html",
            caption="../report/degradation.rst",
            category="Corpora",
            labels={"dataset": "{dataset}", "content": "what is missing"},
        ),
    log:
        "logs/{dataset}/count_degradation.log",
    benchmark:
        "benchmarks/{dataset}/count_degradation.tsv"
    conda:
        "../../envs/vision.yaml"
    shell:
        "python -m extract degradation "
        "--samples {input.samples:q} "
        "--images {input.images:q} "
        "--phrases {input.phrases:q} "
        "--store {input.stores:q} "
        "--crops {input.crops:q} "
        "--out {output.counts:q} "
        "--ids {output.ids:q} "
        "--html {output.page:q} "
        "> {log:q} 2>&1"


rule draw_sheets:
    """Draw images with all that was found in them: `python -m extract contact-sheet`."""
    input:
        **{
            flag: expand("results/{{dataset}}/features/{name}.h5", name=of_kind(flag))
            for flag in SHEET_FLAGS
        },
        samples=expand("results/{{dataset}}/samples/{split}.jsonl", split=SPLITS),
        images="results/{dataset}/images.tsv",
        phrases=expand("results/{{dataset}}/phrases/{name}.jsonl", name=CATALOGUE.phrase_sets),
        boxes=expand("results/{{dataset}}/features/{name}.h5", name=SELECTED_GROUNDERS),
    output:
        "results/{dataset}/sheets/sheets.tsv",
    log:
        "logs/{dataset}/draw_sheets.log",
    benchmark:
        "benchmarks/{dataset}/draw_sheets.tsv"
    conda:
        "../../envs/vision.yaml"
    params:
        limit=config["sheets"]["images"],
        seed=config["sheets"]["seed"],
        out=subpath(output[0], parent=True),
    shell:
        "python -m extract contact-sheet "
        "--images {input.images:q} "
        "--samples {input.samples:q} "
        "--phrases {input.phrases:q} "
        "--boxes {input.boxes:q} "
        "--regions {input.regions:q} "
        "--captions {input.captions:q} "
        "--ocr {input.ocr:q} "
        "--limit {params.limit} "
        "--seed {params.seed} "
        "--out {params.out:q} "
        "> {log:q} 2>&1"
