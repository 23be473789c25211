"""Image positions weighted by how similar they are to the text."""

from torch import Tensor, nn
from torch.nn import functional

PAIRINGS = ("all_pairs", "index", "off")


class DynamicSimilarity(nn.Module):
    """Project patches and pieces to one space and keep of each patch what the text has of it.

    Args:
        vision_dim: channels of a patch.
        text_dim: channels of a text state.
        dim: H of the common space.
        length: L positions that the patches of an image are pooled to.
        pairing: `all_pairs` weights a position by its most similar piece; `index` by the piece
            with the same number, as in Co-MIPN's code; `off` is the ablation without similarity:
            every position has weight 1.

    Raises:
        ValueError: another pairing.
    """

    def __init__(
        self, *, vision_dim: int, text_dim: int, dim: int, length: int, pairing: str
    ) -> None:
        super().__init__()
        if pairing not in PAIRINGS:
            raise ValueError(f"pairing must be one of {PAIRINGS}, got {pairing!r}")
        self.length, self.pairing = length, pairing
        self.vision = nn.Linear(vision_dim, dim)
        self.text = nn.Linear(text_dim, dim).requires_grad_(pairing != "off")

    def forward(
        self, patches: Tensor, states: Tensor, text_mask: Tensor, *, mask_padding: bool
    ) -> tuple[Tensor, Tensor]:
        """Weight the positions of each image.

        Args:
            patches: shape (B, I, t, vision_dim).
            states: shape (B, T, text_dim), T <= L.
            text_mask: shape (B, T), bool, true on pieces and on the two special ones.
            mask_padding: with the `index` pairing, give weight 0 to positions beyond the text.

        Returns:
            The weighted positions, shape (B, I, L, H), and the projected text, shape (B, T, H).
        """
        text = self.text(states)
        pooled = pool_positions(self.vision(patches), self.length)
        if self.pairing == "off":
            return pooled, text
        if self.pairing == "all_pairs":
            return filter_all_pairs(pooled, text, text_mask), text
        return filter_by_index(pooled, text, text_mask if mask_padding else None), text


def pool_positions(tokens: Tensor, length: int) -> Tensor:
    """Return running means: position i is the mean of tokens floor(i t / L) .. ceil((i+1) t / L).

    Args:
        tokens: shape (B, I, t, H).
        length: L.

    Returns:
        Shape (B, I, L, H).
    """
    flat = tokens.flatten(0, 1).transpose(1, 2)  # shape: (B * I, H, t)
    pooled = functional.adaptive_avg_pool1d(flat, length)
    return pooled.transpose(1, 2).unflatten(0, tokens.shape[:2])


def filter_by_index(pooled: Tensor, text: Tensor, visible: Tensor | None) -> Tensor:
    """Weight position i by its cosine to piece i, at least 0.

    Args:
        pooled: shape (B, I, L, H).
        text: shape (B, T, H), T <= L; positions without a piece get weight 0.
        visible: shape (B, T), bool; positions at other pieces get weight 0. None allows all.
    """
    if visible is not None:
        text = text * visible.unsqueeze(2)  # a zero vector is similar to nothing
    text = functional.pad(text, (0, 0, 0, pooled.shape[2] - text.shape[1]))
    weight = functional.cosine_similarity(pooled, text.unsqueeze(1), dim=3).clamp(min=0)
    return weight.unsqueeze(3) * pooled


def filter_all_pairs(pooled: Tensor, text: Tensor, visible: Tensor) -> Tensor:
    """Weight each position by its greatest cosine to any visible piece, at least 0.

    Args:
        pooled: shape (B, I, L, H).
        text: shape (B, T, H).
        visible: shape (B, T), bool.
    """
    directions = functional.normalize(pooled, dim=3, eps=1e-8).flatten(1, 2)
    pieces = functional.normalize(text, dim=2, eps=1e-8) * visible.unsqueeze(2)
    cosine = directions @ pieces.transpose(1, 2)  # shape: (B, I * L, T)
    weight = cosine.amax(dim=2).clamp(min=0).unflatten(1, pooled.shape[1:3])
    return weight.unsqueeze(3) * pooled
