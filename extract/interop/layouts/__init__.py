"""Folders that other projects read unmodified, one project a file.

Samples, images and crops of a corpus come in. A folder goes out, with the names and forms
that the project's code expects. A stranger may add a file with `Options` and `export`; the
config's `layout:` finds it by its name.
"""
