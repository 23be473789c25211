"""What is wrong with a corpus, found before anything learns from it.

The samples and image rows of a corpus come in. Counts, overlaps of splits, duplicates and
problems go out, as JSON, text and a page. A stranger may add a check to `problems.py`, or
a section that `report.py` calls.
"""
