"""ITA: words of the image behind the tweet, and two views that must agree.

Words, captions, objects and words in the picture come in. A loss and BIO tags go out. A stranger
may add an option with its default as the system is now, and the layer that it switches.
"""

from train.systems.ita.model import Model
from train.systems.ita.options import Options

__all__ = ["Model", "Options"]
