"""What a run leaves: its weights, its description, and other forms of both.

A trained model comes in, or a checkpoint that the authors' code saved. A folder goes out
that evaluation and prediction need nothing else of, or the authors' file. A stranger may add
to what `run.json` says; how a system's released checkpoints are converted stands in its folder.
"""
