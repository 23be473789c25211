"""Co-MIPN: prompts of two image towers in four text branches.

Word pieces, the image and its crops come in. A loss and BIO tags go out. A stranger may add
an option with its default as the system is now, and the layer that it switches.
"""

from train.systems.co_mipn.model import Model
from train.systems.co_mipn.options import Options

__all__ = ["Model", "Options"]
