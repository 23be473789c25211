"""This lays look-alikes of all files that published.yaml names into one folder.

python -m tests.builders.hub --out weights --size published
python -m tests.builders.hub --out weights --size tiny --only xlm-roberta-large
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.builders.hub import (
    bert,
    blip,
    clip,
    dino,
    glove,
    torchvision_fasterrcnn,
    torchvision_resnet101,
    torchvision_vgg16,
    ultralytics_world,
    words,
    xlm_roberta,
)

# So many word vectors are read (`max_vector_words`); the published file has three times as many.
N_VECTORS = {"tiny": 500, "published": 400_000}


def write_glove(path: Path, size: str) -> None:
    """Write word vectors: those of common words, then filling."""
    known = list(dict.fromkeys(words.TEXT.lower().split()))
    glove.write_vectors(path, size=size, words=words.filled(known, N_VECTORS[size], "filler{}"))


def alone(write: Callable[[Path, str], object]) -> Callable[[Path, str], None]:
    """Return a builder of a file of torchvision, which stands alone at its published size.

    A tiny one is a folder of that name, because its config.json says what network it is.
    """

    def build(path: Path, size: str) -> None:
        write(path.parent if size == "published" else path, size)

    return build


BUILDERS: dict[str, Callable[[Path, str], object]] = {
    "xlm-roberta-large": xlm_roberta.build,
    "bert-base-uncased": bert.build,
    torchvision_vgg16.NAME: alone(torchvision_vgg16.write_vgg16),
    "clip-vit-base-patch32": clip.build,
    ultralytics_world.NAME: lambda path, size: ultralytics_world.write_world(path, size=size),
    "dino-vitb16": dino.build,
    torchvision_fasterrcnn.NAME: alone(torchvision_fasterrcnn.write_fasterrcnn),
    torchvision_resnet101.NAME: alone(torchvision_resnet101.write_resnet101),
    "blip-image-captioning-large": blip.build,
    "glove.twitter.27B.200d.txt": write_glove,
}
"""Name in `weights/` -> what builds it there at a size."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files that the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.builders.hub",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--size", choices=("tiny", "published"), default="tiny")
    parser.add_argument("--only", nargs="+", choices=BUILDERS, default=list(BUILDERS))
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        BUILDERS[name](given.out / name, given.size)


if __name__ == "__main__":
    main()
