"""BERT and a CLIP tower side by side, each layer reading the other stream's keys and values.

In front of its own keys and values a vision layer sees those of the text layer below, and a text
layer those of the vision layer beside it; the first vision layer sees the text embeddings, cut into
heads. From released code, with repairs of ours: keys and values of one layer belong together, and a
prefix carries the mask of where it came from.
"""

import torch
from torch import Tensor, nn

from train.blocks.two_stream import (
    KeyValues,
    add_uniform_noise,
    mask_bias,
    merge_heads,
    split_heads,
    text_layers,
    text_projections,
    text_update,
    vision_layers,
    vision_projections,
    vision_update,
)
from train.blocks.visual_sequence import Pictures, VisualSequence


class PrefixEncoder(nn.Module):
    """Text and pictures in, the last states of both streams out, in the width of the text.

    Networks of unequal shape are joined by linear maps and by running the lower layers of the
    deeper one alone (our extension: both have 12 layers of width 768 in released code).

    Args:
        encoder: a BERT; its pooler, if any, is not used.
        vision: a `CLIPVisionModel`; its last layer norm is not used (from released code).
        sequence: made for that tower.
        exchange: true reads the other stream (from released code), false runs plain BERT and
            plain CLIP (published figure).
        noise: alpha of the uniform noise on both embeddings in training.

    Raises:
        ConfigError: one of the networks is of another family.
    """

    def __init__(
        self,
        encoder: nn.Module,
        vision: nn.Module,
        sequence: VisualSequence,
        *,
        exchange: bool,
        noise: float,
    ) -> None:
        super().__init__()
        depths = len(text_layers(encoder)), len(vision_layers(vision))
        self.encoder, self.vision, self.sequence = encoder, vision, sequence
        self.vision.post_layernorm.requires_grad_(False)
        self.noise = noise
        self.depth = min(depths) if exchange else 0
        text_dim, vision_dim = encoder.config.hidden_size, vision.config.hidden_size
        differ = text_dim != vision_dim
        n_maps = self.depth if differ else 0
        self.to_vision = nn.ModuleList(nn.Linear(text_dim, vision_dim) for _ in range(n_maps))
        self.to_text = nn.ModuleList(nn.Linear(vision_dim, text_dim) for _ in range(n_maps))
        self.project = nn.Linear(vision_dim, text_dim) if differ else None

    @property
    def dim(self) -> int:
        """Width of both results."""
        return self.encoder.config.hidden_size

    def joining_parameters(self) -> list[nn.Parameter]:
        """Return the weights of the maps between networks of unequal width."""
        owners = (self.to_vision, self.to_text, self.project)
        return [p for owner in owners if owner is not None for p in owner.parameters()]

    def forward(
        self, input_ids: Tensor, text_mask: Tensor, pictures: Pictures
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode a batch.

        Args:
            input_ids: shape (B, L), int64.
            text_mask: shape (B, L), bool; each row shows a position.
            pictures: see `VisualSequence`.

        Returns:
            H_T, shape (B, L, D); H_V, shape (B, M, D); and the mask of H_V, shape (B, M), bool.
            Masked positions hold finite numbers without meaning.
        """
        text = self.encoder.embeddings(input_ids=input_ids)
        vision, vision_mask = self.sequence(self.vision, pictures)
        if self.training:
            text = add_uniform_noise(text, self.noise, text.shape[1])
            vision = add_uniform_noise(vision, self.noise, vision.shape[1])
        vision = self.vision.pre_layrnorm(vision)
        text, vision = self._run(text, text_mask, vision, vision_mask)
        return text, vision if self.project is None else self.project(vision), vision_mask

    def _run(
        self, text: Tensor, text_mask: Tensor, vision: Tensor, vision_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run the layers that stand alone, and then those in pairs."""
        of_text, of_vision = text_layers(self.encoder), vision_layers(self.vision)
        n_text, n_vision = len(of_text) - self.depth, len(of_vision) - self.depth
        text_bias = mask_bias(text_mask, torch.float32)
        for layer in of_text[:n_text]:
            text = text_update(layer, text, *text_projections(layer, text, text_bias))
        # Attention needs a key: without any picture, states that nobody reads see one another.
        alone = mask_bias(vision_mask | ~vision_mask.any(dim=1, keepdim=True), torch.float32)
        for layer in of_vision[:n_vision]:
            vision = vision_update(layer, vision, *vision_projections(layer, vision, alone))
        vision_bias = mask_bias(vision_mask, torch.float32)
        heads = split_heads(text, self.encoder.config.num_attention_heads)
        below = KeyValues(heads, heads, text_bias)
        pairs = zip(of_text[n_text:], of_vision[n_vision:], strict=True)
        for level, (text_layer, vision_layer) in enumerate(pairs):
            query, beside = vision_projections(vision_layer, vision, vision_bias)
            source = beside.after(_crossed(below, query, self.to_vision, level))
            vision = vision_update(vision_layer, vision, query, source)
            query, below = text_projections(text_layer, text, text_bias)
            source = below.after(_crossed(beside, query, self.to_text, level))
            text = text_update(text_layer, text, query, source)
        return text, vision


def _crossed(prefix: KeyValues, query: Tensor, maps: nn.ModuleList, level: int) -> KeyValues:
    """Return one stream's keys and values in the heads and the precision of the other's query."""
    crossed = []
    for states in (prefix.keys, prefix.values):
        merged = merge_heads(states)
        mapped = maps[level](merged) if maps else merged
        crossed.append(split_heads(mapped, query.shape[1]).to(query.dtype))
    return KeyValues(*crossed, prefix.bias)
