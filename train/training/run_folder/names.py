"""Names in a run folder, for those who read one without loading a model."""

WEIGHTS = "model.safetensors"
RUN = "run.json"
HISTORY = "metrics.jsonl"
"""A line an epoch."""
ASSETS = "assets"
"""Folder of tokenizers and configs, one folder a role."""
