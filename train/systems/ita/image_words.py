"""A tweet followed by the words of its image, as the text encoder reads them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from extract.words.image_text import GROUPS, ContextOptions, append_context, context_segments
from train.blocks.text_encoder import SEP, Word
from train.data.examples import Example

__all__ = ["GROUPS", "ContextOptions", "MultimodalView", "build_view"]


@dataclass(frozen=True)
class MultimodalView:
    """A tweet with the words of its image."""

    words: list[Word]
    n_words: int
    """How many leading words are the tweet's; only they are tagged."""

    @property
    def has_context(self) -> bool:
        """False when the view is the bare tweet."""
        return len(self.words) > self.n_words


def build_view(
    example: Example, options: ContextOptions, count_subwords: Callable[[Sequence[Word]], int]
) -> MultimodalView:
    """Append an example's image words to its tweet.

    The tweet is never shortened; without any image words the view is the tweet alone, without a
    trailing separator.

    Args:
        example: its tokens, and the items of the groups in use (an absent one adds nothing).
        options: choice and order.
        count_subwords: words -> number of pieces, as the encoder counts.

    Raises:
        StoreError: the store of a group holds no words.
    """
    tokens = example.sample.tokens
    segments = context_segments(example.items, options, f"image {example.sample.image_id}")
    words = append_context(tokens, segments, options, separator=SEP, count_subwords=count_subwords)
    return MultimodalView(words, len(tokens))
