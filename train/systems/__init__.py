"""Tagging systems, one folder each.

Examples come in. A loss and BIO tags go out, through the class `Model`. A stranger may add a
folder whose `__init__.py` offers `Model` and `Options` (`base.py` says what a model must do);
the config's `system:` finds it by its name.
"""

HELPERS = ("released",)
"""Modules here that are no system."""
