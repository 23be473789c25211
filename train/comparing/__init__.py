"""Scores of many runs become tables with intervals and tests.

Metrics and predictions of runs come in, and the published numbers. Summary, intervals,
results and ablation tables go out, as TSV and Markdown. A stranger may add a published number
to `published.json`, a test to `statistics.py`, or a comparison to `intervals.py` and
`ablation.py`, which choose the families whose p values `holm.py` adjusts.
"""
