"""Ways to break the bytes of a file, for every case."""

import random

_STRANGE = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes after one to eight random changes."""
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not data:
            break
        data = rng.choice(_CHANGES)(data, rng)
    return data


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    """Turn over up to 16 bits."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 16)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_bytes(data: bytes, rng: random.Random) -> bytes:
    """Set one to eight neighbouring bytes to values at the borders of their type."""
    start, length = rng.randrange(len(data)), rng.choice((1, 2, 4, 8))
    value = bytes(rng.choice(_STRANGE) for _ in range(length))
    return (data[:start] + value + data[start + length :])[: len(data)]


def cut_end(data: bytes, rng: random.Random) -> bytes:
    """Keep the beginning."""
    return data[: rng.randrange(len(data))]


def cut_out(data: bytes, rng: random.Random) -> bytes:
    """Take a piece out."""
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[end:]


def repeat_piece(data: bytes, rng: random.Random) -> bytes:
    """Write a piece several times."""
    start = rng.randrange(len(data))
    piece = data[start : start + rng.choice((1, 4, 64, 1024))]
    return data[:start] + piece * rng.choice((2, 3, 30)) + data[start:]


def move_piece(data: bytes, rng: random.Random) -> bytes:
    """Write a piece over another place of the same file."""
    start, end, target = (rng.randrange(len(data) + 1) for _ in range(3))
    piece = data[min(start, end) : max(start, end)]
    return (data[:target] + piece + data[target + len(piece) :])[: len(data)]


def splice(first: bytes, second: bytes, rng: random.Random) -> bytes:
    """Return the beginning of one file and the end of another."""
    return first[: rng.randrange(len(first) + 1)] + second[rng.randrange(len(second) + 1) :]


_CHANGES = (flip_bits, set_bytes, cut_end, cut_out, repeat_piece, move_piece)
