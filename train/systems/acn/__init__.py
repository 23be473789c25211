"""ACN: adaptive co-attention over words, characters and regions.

Words, characters and a grid of image features come in. A loss and BIO tags go out. A stranger may
add an option with its default as the system is now, and the layer that it switches.
"""

from train.systems.acn.model import Model
from train.systems.acn.options import Options

__all__ = ["Model", "Options"]
