"""Tagging systems, one folder each.

Examples come in. A loss and BIO tags go out, through the class `Model`. A stranger may add a
folder with `model.py` (`VERSION` and `Model`, see `base.py`) and `options.py` (`Options`), both
offered by its `__init__.py`; the config's `system:` finds it by its name. Where the authors
published checkpoints, `released_checkpoint.py` converts them (`released.py`).
"""

HELPERS = ("released",)
"""Modules here that are no system."""
