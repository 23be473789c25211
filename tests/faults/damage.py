"""Bytes that change on the disk."""

import random
from pathlib import Path


def flip_bit(path: Path, rng: random.Random) -> str:
    """Change one bit anywhere in a file; say which."""
    data = bytearray(path.read_bytes())
    place, bit = rng.randrange(len(data)), rng.randrange(8)
    data[place] ^= 1 << bit
    path.write_bytes(data)
    return f"{path.name}: bit {bit} of byte {place}"


def cut(path: Path, rng: random.Random) -> str:
    """Cut a file off anywhere; say where."""
    data = path.read_bytes()
    size = rng.randrange(len(data))
    path.write_bytes(data[:size])
    return f"{path.name}: {size} of {len(data)} bytes"


def remove(path: Path, rng: random.Random) -> str:
    """Delete a file."""
    path.unlink()
    return f"{path.name}: deleted"
