"""A trained run meets texts: scores, tags, and what another epoch would have given.

A run folder, samples and stores come in. `metrics.json`, predictions and the diagnosis go
out. A stranger may add what else is told of a run on a split.
"""
