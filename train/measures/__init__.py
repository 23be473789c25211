"""Predictions, and how good they are.

A model and examples come in, or two lists of tags. Predicted tags and counts by type, slice
and mention go out. A stranger may add a measure to `metrics.py` or a slice to `slices.py`.
"""
