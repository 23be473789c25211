"""Tweet tokens become noun phrases, one backend a file.

The tokens of tweets come in. Queries for grounders go out, with the offsets of the tokens
that they stand for. A stranger may add a backend: a file with `VERSION`, `Options` and
`Backend`, as `base.py` says.
"""

HELPERS = ("chunking", "closed_classes", "tweets")
"""Modules here that are no backend."""
