"""Small vision networks that learn from drawn pictures, one architecture a file.

A seed and a number of pictures come in. Weights in the published file formats go out. A
stranger may add an architecture to `training.py`'s table, with its inputs and targets.
"""
