"""RPI-HMIF: questions, information mining and routing between text and image.

Word pieces, the image and its crops come in. A loss and BIO tags go out. A stranger may add
an option with its default as the system is now, and the layer that it switches.
"""

from train.systems.rpi_hmif.model import Model
from train.systems.rpi_hmif.options import Options

__all__ = ["Model", "Options"]
