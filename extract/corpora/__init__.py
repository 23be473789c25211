"""Texts of corpora come in: read, counted, checked and corrected.

Files of a corpus in whatever text format come in, through one reader a format. Samples with
tags, statistics, the audit of a corpus and label corrections go out. A stranger may add a
reader to `readers/`, a section to `audit/` or a kind of correction to `repairs/`.
"""
