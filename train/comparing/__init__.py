"""Scores of many runs become tables with intervals and tests.

Metrics and predictions of runs come in, and the published numbers. Summary, intervals,
results and ablation tables go out, as TSV and Markdown. A stranger may add a published number
to `published.json`, or a test to `statistics.py`.
"""
