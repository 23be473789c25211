"""The records that stages exchange, one file a table.

Lines of `samples/*.jsonl`, `images.tsv` and caption lists come in, and rows of networks.
They go out as frozen dataclasses (Sample, ImageRow, Outputs, Item, ItemFeatures) and as
sequences that keep large tables small in memory. A stranger may add a table that two
stages exchange, with its reader and its writer in one file.
"""
