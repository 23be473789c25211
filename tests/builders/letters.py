"""A tokenizer that spells words letter by letter, for networks of any small vocabulary."""

from pathlib import Path
from string import ascii_lowercase


def write_letters(folder: Path, n_pieces: int) -> None:
    """Write BERT's kind of tokenizer with so many pieces, at least 57; most may be filling."""
    from transformers import BertTokenizer

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *ascii_lowercase, *(f"##{letter}" for letter in ascii_lowercase)]
    pieces += [f"[filler{number}]" for number in range(n_pieces - len(pieces))]
    BertTokenizer(vocab={piece: row for row, piece in enumerate(pieces)}).save_pretrained(folder)
