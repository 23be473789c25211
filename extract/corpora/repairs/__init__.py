"""Label corrections: proposed, kept in a file, applied.

The samples of a corpus come in, and a file of corrections that a rule or a person made.
The samples go out with a second list of tags beside the first. A stranger may add a rule
that proposes corrections, or a file of corrections of another corpus.
"""
