"""Train, evaluate, compare and report tagging systems on samples and feature stores.

Each folder holds one idea and imports only folders that stand before it in this order: data,
blocks, systems, measures, training, evaluating, comparing, report, commands; all of them may
import `extract`, which imports nothing of `train`. The test of the import contract in
pyproject.toml checks it.
"""
