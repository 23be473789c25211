"""Readers of corpora, one text format a file.

A folder with the text files of a corpus comes in. The samples of each split go out, with
the tags mapped to the project's types. A stranger may add a file with what `base.py`
names; the config's `reader:` finds it by its name.
"""
