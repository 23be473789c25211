"""Scores of all runs -> one table, intervals, figures, a page with an error browser.

Reads:  results/{dataset}/runs/*/seed*/metrics.json, what fit and evaluate left beside it
Writes: results/summary.tsv, results/intervals.tsv, results/table.tsv, results/table.md,
        results/{dataset}/gallery.jsonl, results/report/
"""

ALL_METRICS = scores(CATALOGUE.runs)

# Name of a figure -> its label; `python -m train report` draws all of them for any runs.
FIGURES = {
    "f1_intervals": "F1 with 95 % intervals",
    "differences": "differences with 95 % intervals",
    "f1_by_type": "F1 by entity type",
    "recall_by_mention": "recall of seen and unseen mentions",
    "f1_by_evidence": "F1 by evidence kind",
    "f1_by_slice": "F1 with and without image, with and without handles",
    "learning_curves": "learning curves",
}


rule report:
    """Target: the tables and the page; `snakemake --report` puts all reported files on one."""
    input:
        ["results/summary.tsv", "results/report/report.html"] if ALL_METRICS else [],


rule summarize:
    """Mean and deviation over seeds, bootstrap intervals: `python -m train summarize`."""
    input:
        metrics=ALL_METRICS,
    output:
        summary=report(
            "results/summary.tsv",
            caption="../report/summary.rst",
            category="Results",
            labels={"content": "F1 of every system, as a table"},
        ),
        intervals=report(
            "results/intervals.tsv",
            caption="../report/intervals.rst",
            category="Results",
            labels={"content": "intervals and paired tests"},
        ),
        table=report(
            "results/table.tsv",
            caption="../report/table.rst",
            category="Results",
            labels={"content": "systems, tests and published scores"},
        ),
        page="results/table.md",
    log:
        "logs/summarize.log",
    benchmark:
        "benchmarks/summarize.tsv"
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m train summarize "
        "--metrics {input.metrics:q} "
        "--out {output.summary:q} "
        "--intervals {output.intervals:q} "
        "--table {output.table:q} "
        "--page {output.page:q} "
        "> {log:q} 2>&1"


rule make_gallery:
    """Thumbnails of the test images with what the stores say: `python -m extract gallery`."""
    input:
        **{
            flag: expand("results/{{dataset}}/features/{name}.h5", name=of_kind(flag))
            for flag in SHEET_FLAGS
        },
        samples="results/{dataset}/samples/test.jsonl",
        images="results/{dataset}/images.tsv",
        boxes=expand("results/{{dataset}}/features/{name}.h5", name=SELECTED_GROUNDERS),
    output:
        "results/{dataset}/gallery.jsonl",
    log:
        "logs/{dataset}/make_gallery.log",
    benchmark:
        "benchmarks/{dataset}/make_gallery.tsv"
    conda:
        "../../envs/vision.yaml"
    shell:
        "python -m extract gallery "
        "--images {input.images:q} "
        "--samples {input.samples:q} "
        "--boxes {input.boxes:q} {input.regions:q} "
        "--captions {input.captions:q} "
        "--ocr {input.ocr:q} "
        "--out {output:q} "
        "> {log:q} 2>&1"


rule draw_report:
    """Figures and a page to read: `python -m train report`."""
    input:
        metrics=ALL_METRICS,
        summary="results/summary.tsv",
        intervals="results/intervals.tsv",
        table="results/table.tsv",
        samples=expand("results/{dataset}/samples/test.jsonl", dataset=RUN["datasets"]),
        galleries=expand("results/{dataset}/gallery.jsonl", dataset=RUN["datasets"]),
        stats=expand("results/{dataset}/stats.json", dataset=RUN["datasets"]),
        # The page links to them; they are made anyway of every corpus that is trained on.
        audits=expand("results/{dataset}/audit.html", dataset=RUN["datasets"]),
    output:
        page=report(
            "results/report/report.html",
            caption="../report/report.rst",
            category="Results",
            labels={"content": "tables, figures and error browser, as a page"},
        ),
        figures=[
            report(
                f"results/report/{name}.png",
                caption=f"../report/{name}.rst",
                category="Results",
                labels={"content": label},
            )
            for name, label in FIGURES.items()
        ],
    log:
        "logs/draw_report.log",
    benchmark:
        "benchmarks/draw_report.tsv"
    conda:
        "../../envs/train.yaml"
    params:
        out=subpath(output.page, parent=True),
        samples=lambda wildcards, input: assignments(zip(RUN["datasets"], input.samples)),
        galleries=lambda wildcards, input: assignments(zip(RUN["datasets"], input.galleries)),
        corpora=lambda wildcards: assignments((n, f"results/{n}") for n in RUN["datasets"]),
    shell:
        "python -m train report "
        "--metrics {input.metrics:q} "
        "--summary {input.summary:q} "
        "--intervals {input.intervals:q} "
        "--table {input.table:q} "
        "--samples {params.samples:q} "
        "--gallery {params.galleries:q} "
        "--corpus {params.corpora:q} "
        "--out-dir {params.out:q} "
        "> {log:q} 2>&1"
