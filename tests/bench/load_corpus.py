"""A corpus of any size for load tests: tiny PNG files, each with other bytes, and tagged tweets."""

import os
import random
import struct
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

SIDE_PX = 12
CHUNK = 5000
WORDS = 4000
"""Size of the vocabulary; a real corpus of tweets has more, and most of them once."""
NAMES = {"PER": "Per", "LOC": "Loc", "ORG": "Org", "MISC": "Misc"}
SHARES = (("train", 0.9), ("valid", 0.95), ("test", 1.0))


def write_corpus(folder: Path, n_images: int, processes: int = 2) -> None:
    """Write `images/`, `train.txt`, `valid.txt` and `test.txt`, one tweet an image.

    Images are made by other processes: what this one never loads cannot count as its memory.
    """
    (folder / "images").mkdir(parents=True)
    starts = range(0, n_images, CHUNK)
    chunks = [(folder / "images", start, min(start + CHUNK, n_images)) for start in starts]
    with ProcessPoolExecutor(max_workers=processes) as pool:
        list(pool.map(write_images, chunks))
    first = 0
    for split, share in SHARES:
        last = round(n_images * share)
        with (folder / f"{split}.txt").open("w", encoding="utf-8") as file:
            file.writelines(tweet(number) for number in range(first, last))
        first = last


def image_id(number: int) -> str:
    """Return the name of one image, as a scraped corpus has it."""
    return f"17_06_{number:07d}.png"


def write_images(chunk: tuple[Path, int, int]) -> None:
    """Write the PNG files of a range of numbers; pixels follow from the number alone."""
    folder, first, last = chunk
    for number in range(first, last):
        pixels = random.Random(number).randbytes(3 * SIDE_PX**2)
        with open(os.path.join(folder, image_id(number)), "wb") as file:
            file.write(png(pixels))


def png(pixels: bytes) -> bytes:
    """Return a PNG file of SIDE_PX x SIDE_PX RGB pixels, rows unfiltered."""
    width = 3 * SIDE_PX
    rows = b"".join(b"\0" + pixels[i : i + width] for i in range(0, len(pixels), width))
    header = struct.pack(">IIBBBBB", SIDE_PX, SIDE_PX, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tweet(number: int) -> str:
    """Return the lines of one tweet: 8 to 20 words, one to three of them names."""
    rng = random.Random(-1 - number)
    lines = [f"IMGID:{image_id(number)}"]
    words = [f"word{rng.randrange(WORDS)}\tO" for _ in range(rng.randint(8, 20))]
    for place in rng.sample(range(len(words)), rng.randint(1, 3)):
        kind = rng.choice(sorted(NAMES))
        words[place] = f"{NAMES[kind]}{rng.randrange(WORDS)}\tB-{kind}"
    return "\n".join([*lines, *words]) + "\n\n"
