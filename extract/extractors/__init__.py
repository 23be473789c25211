"""Images become rows of features or text, one extractor a file.

Items come in, each with an upright image or whatever else the extractor needs. Rows of
features, text, boxes or labels go out. A stranger may add a file with `VERSION`, `Options`
and `Extractor`, as `base.py` says; the config's `extractor:` finds it by its name.
"""
