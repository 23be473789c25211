"""Tokenizers from checkpoint folders, none of which is empty or another network's.

A folder without the files of a tokenizer gives, in transformers 5, one that knows nothing: every
word becomes the unknown piece, and no later stage fails. So whoever needs a tokenizer gets it here.
"""

from pathlib import Path
from typing import Any

from extract.core.errors import DataError, MissingFileError, MnerError
from extract.networks.checkpoints.reading import from_folder, load_config
from extract.networks.checkpoints.torch_files import first_line
from extract.networks.checkpoints.transformers_folder import say_content

# Words that any tokenizer of English, cased or not, spells in pieces that it knows.
PROBE = ("the", "man", "dog", "house", "city", "water", "people", "music")

# Published networks have up to 2 % more places than pieces, to make a round number.
_MOST_FILLING = 0.9


def load_tokenizer(folder: Path, **options: Any) -> Any:
    """Return the tokenizer of a checkpoint folder.

    Args:
        folder: with tokenizer.json, or with the vocabulary of a family that transformers knows.
        options: of the tokenizer's constructor.

    Raises:
        MissingFileError: its files are missing, damaged, or cannot be read here.
        DataError: it belongs to another network, or as `from_folder`.
    """
    from transformers import AutoTokenizer

    tokenizer = _load(AutoTokenizer, folder, options)
    check_tokenizer(tokenizer, folder)
    return tokenizer


def load_word_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a checkpoint folder, made fit for words of tweets given one by one.

    Raises:
        MissingFileError: its files are missing, damaged, or cannot be read here.
        DataError: it belongs to another network, or as `from_folder`.
    """
    tokenizer = load_tokenizer(folder)
    if getattr(tokenizer, "add_prefix_space", None) is False and _is_byte_level(tokenizer):
        # Without it a byte-level tokenizer reads every word as the tail of the one before.
        return load_tokenizer(folder, add_prefix_space=True)
    if getattr(tokenizer, "normalization", None) is False:
        # BERTweet has seen tweets whose user names and addresses are `@USER` and `HTTPURL`.
        return load_tokenizer(folder, normalization=True)
    return tokenizer


def load_processor(folder: Path, **options: Any) -> Any:
    """Return the processor of a checkpoint folder: of texts, images, or both.

    Args:
        folder: with the files of the tokenizer and of the image processor.
        options: of the processor's constructor.

    Raises:
        OSError: transformers finds no processor in it.
        ValueError: transformers knows no such processor.
        MissingFileError: the tokenizer's files are missing, damaged, or cannot be read here.
        DataError: the tokenizer belongs to another network, or as `from_folder`.
    """
    from transformers import AutoProcessor

    try:
        processor = from_folder(AutoProcessor.from_pretrained, folder, **options)
    except MnerError:
        raise
    except Exception:
        load_tokenizer(folder)  # says what is wrong, where a processor fails for its tokenizer
        raise
    if hasattr(processor, "tokenizer"):
        check_tokenizer(processor.tokenizer, folder)
    return processor


def check_tokenizer(tokenizer: Any, folder: Path) -> None:
    """See that a tokenizer tells common words apart and has the pieces that its network has.

    Args:
        tokenizer: of transformers.
        folder: from which it was read; its config.json, if any, says how many pieces there are.

    Raises:
        MissingFileError: a common word has no piece, an unknown one, or those of another word.
        DataError: it has more pieces than the network, or far fewer.
    """
    try:
        pieces = [tuple(tokenizer(word, add_special_tokens=False)["input_ids"]) for word in PROBE]
    except Exception as error:  # the library `tokenizers` raises no narrower class
        raise MissingFileError(_describe(folder, first_line(error))) from error
    unknown = tokenizer.unk_token_id
    lost = [word for word, ids in zip(PROBE, pieces, strict=True) if not ids or unknown in ids]
    if lost or len(set(pieces)) < len(PROBE):
        what = f"no known pieces for {', '.join(lost)}" if lost else "one piece for several words"
        raise MissingFileError(_describe(folder, f"it has {what} ({len(tokenizer)} pieces in all)"))
    if not (Path(folder) / "config.json").is_file():
        return
    size = getattr(load_config(folder).get_text_config(decoder=True), "vocab_size", None)
    if size is not None and not _MOST_FILLING * size <= len(tokenizer) <= size:
        raise DataError(
            f"{folder}: the tokenizer has {len(tokenizer)} pieces, but the network {size} "
            "(`vocab_size` in config.json). Its files are cut off or another network's: get them "
            "again, from where the network comes from."
        )


def _is_byte_level(tokenizer: Any) -> bool:
    """Say whether words are split by the byte-level rule of GPT-2 and RoBERTa."""
    return "ByteLevel" in repr(tokenizer.backend_tokenizer.pre_tokenizer)


def _load(auto_class: Any, folder: Path, options: dict[str, Any]) -> Any:
    try:
        return from_folder(auto_class.from_pretrained, folder, **options)
    except MnerError:
        raise
    except Exception as error:  # the library `tokenizers` raises no narrower class
        raise MissingFileError(_describe(folder, first_line(error).rstrip(": "))) from error


def _describe(folder: Path, why: str) -> str:
    """Return the message for a folder without a tokenizer that can be used."""
    folder = Path(folder)
    if list(folder.glob("*.model")) and not (folder / "tokenizer.json").is_file():
        return (
            f"{folder}: no usable tokenizer: expected tokenizer.json. {say_content(folder)} Get "
            "tokenizer.json from where the folder comes from. If there is none, the *.model can "
            "be read after `pip install sentencepiece protobuf`."
        )
    return (
        f"{folder}: no usable tokenizer: {why}. Expected tokenizer.json, or the vocabulary it is "
        "made of (vocab.txt; vocab.json and merges.txt; vocab.txt and bpe.codes). "
        f"{say_content(folder)} Get these files again from where the folder comes from."
    )
