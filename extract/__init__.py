"""From tweets and images to phrases, boxes, crops and feature stores.

Each folder holds one idea and imports only folders that stand before it in this order:
core, tables, images, corpora, store, networks, phrases, extractors, grounding, features,
crops, words, interop, look, sample, commands. The test of the import contract in
pyproject.toml checks it.
"""
