"""What the rules of the workflow know of the config, in plain Python.

The config and its schema come in. The catalogue of what is to be made goes out, with the
reasons to make it again. A stranger may add a check of the config, or a table that a target
needs.
"""
