"""Files and folders of other projects, read and written.

Features, boxes, captions and crops that others made come in, and our stores. Stores go out
of the one, and folders that the other project reads unmodified out of the other. A stranger
may add a file to `artefacts/` (one file format) or to `layouts/` (one folder layout).
"""
