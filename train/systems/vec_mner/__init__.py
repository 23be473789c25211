"""VEC-MNER: two transformer streams that meet in a gate.

Word pieces, the image and two kinds of crops come in. A loss and BIO tags go out. A stranger may
add an option with its default as the system is now, and the layer that it switches.
"""

from train.systems.vec_mner.model import Model
from train.systems.vec_mner.options import Options

__all__ = ["Model", "Options"]
