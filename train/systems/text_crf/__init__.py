"""text_crf: a pretrained encoder and a CRF, without images.

Words come in. A loss and BIO tags go out. A stranger may add
an option with its default as the system is now, and the layer that it switches.
"""

from train.systems.text_crf.model import Model
from train.systems.text_crf.options import Options

__all__ = ["Model", "Options"]
