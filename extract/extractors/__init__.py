"""Images become rows of features or text, one extractor a file.

Items come in, each with an upright image or whatever else the extractor needs. Rows of
features, text, boxes or labels go out. A stranger may add a file with `VERSION`, `Options`
and `Extractor`, as `base.py` says (`Extractor.gives` says whether its rows are captions or words
that an OCR engine read); the config's `extractor:` finds it by its name.
"""
