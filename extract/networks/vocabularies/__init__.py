"""Word lists that come with the code, one word or phrase a line, UTF-8.

`coco.txt`: the class names of the COCO networks of torchvision, one a network output; `N/A` marks
category numbers that COCO never used. `attributes.txt`: visual attributes, sorted; whoever changes
it raises the VERSION of the extractor `regions`.

Source: Lin et al. 2014, Microsoft COCO: Common Objects in Context (categories 1-90).
"""

from functools import cache
from importlib.resources import files

BACKGROUND = "__background__"
UNUSED = "N/A"


@cache
def read_vocabulary(name: str) -> tuple[str, ...]:
    """Return the words of `<name>.txt` of this package, in file order."""
    text = files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
