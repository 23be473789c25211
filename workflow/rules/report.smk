"""Scores of all runs -> one table, intervals, figures.

Reads:  results/{dataset}/runs/*/seed*/metrics.json
Writes: results/summary.tsv, results/intervals.tsv, results/report/
"""

ALL_METRICS = scores(RUN["models"])
HAS_EVIDENCE = any(config["datasets"][name]["evidence"] for name in RUN["datasets"])


rule report:
    """Target: the summary table and its figures; `snakemake --report` puts them on one page."""
    input:
        ["results/summary.tsv", "results/report/summary.html"] if ALL_METRICS else [],


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
    log:
        "logs/summarize.log",
    conda:
        "../../envs/train.yaml"
    shell:
        "python -m train summarize "
        "--metrics {input.metrics:q} "
        "--out {output.summary:q} "
        "--intervals {output.intervals:q} "
        "> {log:q} 2>&1"


rule draw_report:
    """Figures and a page to read: `python -m train report`."""
    input:
        metrics=ALL_METRICS,
        summary="results/summary.tsv",
        intervals="results/intervals.tsv",
    output:
        report(
            "results/report/summary.html",
            caption="../report/summary.rst",
            category="Results",
            labels={"content": "F1 of every system, as a page"},
        ),
        report(
            "results/report/f1_intervals.png",
            caption="../report/intervals.rst",
            category="Results",
            labels={"content": "F1 with 95 % intervals"},
        ),
        report(
            "results/report/learning_curves.png",
            caption="../report/learning_curves.rst",
            category="Results",
            labels={"content": "learning curves"},
        ),
        # Drawn only when a corpus names kinds of evidence.
        [
            report(
                "results/report/f1_by_evidence.png",
                caption="../report/evidence.rst",
                category="Results",
                labels={"content": "F1 by evidence kind"},
            )
        ]
        if HAS_EVIDENCE
        else [],
    log:
        "logs/draw_report.log",
    conda:
        "../../envs/train.yaml"
    params:
        out=subpath(output[0], parent=True),
    shell:
        "python -m train report "
        "--metrics {input.metrics:q} "
        "--summary {input.summary:q} "
        "--intervals {input.intervals:q} "
        "--out-dir {params.out:q} "
        "> {log:q} 2>&1"
