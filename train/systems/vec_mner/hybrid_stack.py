"""A text and a picture stack side by side, each attending to the other from the second layer on.

Layer 0 is uni-modal. In layer 1 (alignment) each stream attends to the other one alone, in all
later layers (fusion) to the other one and itself. Pictures read the keys and values of the text
layer below; text reads the gated keys of the picture layer beside it, as keys and as values.

Source: Wei et al. 2024, VEC-MNER, on IFAformer's exchange of keys and values.
"""

from dataclasses import dataclass, field

from torch import Tensor, nn

from train.blocks.two_stream import (
    KeyValues,
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
from train.systems.vec_mner.correlation_gate import CorrelationGate

ALIGNMENT = 1
"""The layer in which a stream attends to the other one alone."""

INTERACTIONS = ("align_and_fuse", "fuse", "align")
"""`fuse` has no aligning layer: it fuses as all above it do. `align` has none that fuse: above the
aligning layer each stream attends to itself."""


@dataclass
class StackStates:
    """What the two streams went through; without a final layer norm on the picture side."""

    text: list[Tensor] = field(default_factory=list)
    """Text states after each of its layers, shape (B, L, D)."""
    vision: Tensor | None = None
    """Final picture states, shape (B, M, D'); None unless they were asked for."""


class HybridStack(nn.Module):
    """The layers of a BERT-type encoder and of a CLIP tower with keys and values exchanged.

    With unequal depths the lower layers of the deeper stack run alone first. With unequal widths
    what crosses is projected by a learned linear map; neither is published (both stacks are 12
    layers of width 768 there).

    Args:
        encoder: whose layers become the text stream.
        tower: whose layers become the picture stream.
        n_positions: M, length of the picture sequence.
        gate: of the `CorrelationGate` that all layers share; `none` for text that reads the keys of
            the pictures as they are.
        pooling: of the same.
        visual_score_bias: added to the scores of picture positions in the text layers.
        interaction: of `INTERACTIONS`; the published one is `align_and_fuse`.
        reads_vision: False when no loss reads the final picture states: what only they depend on
            is not trained.

    Raises:
        ValueError: another interaction.
    """

    def __init__(
        self,
        encoder: nn.Module,
        tower: nn.Module,
        n_positions: int,
        *,
        gate: str,
        pooling: str,
        visual_score_bias: float,
        interaction: str = "align_and_fuse",
        reads_vision: bool = True,
    ) -> None:
        super().__init__()
        if interaction not in INTERACTIONS:
            raise ValueError(f"interaction: one of {', '.join(INTERACTIONS)}, got {interaction!r}")
        self.interaction = interaction
        self.text, self.vision = text_layers(encoder), vision_layers(tower)
        self.gate: CorrelationGate | None = None
        if gate != "none":
            self.gate = CorrelationGate(n_positions, gate=gate, pooling=pooling)
        self.visual_score_bias = visual_score_bias
        self.text_heads: int = encoder.config.num_attention_heads
        self.vision_heads: int = tower.config.num_attention_heads
        self.depth = min(len(self.text), len(self.vision))
        widths = encoder.config.hidden_size, tower.config.hidden_size
        n_maps = 0 if widths[0] == widths[1] else sum(map(self._is_crossed, range(self.depth)))
        self.to_vision = nn.ModuleList(nn.Linear(*widths) for _ in range(n_maps))
        self.to_text = nn.ModuleList(nn.Linear(*widths[::-1]) for _ in range(n_maps))
        crossed = [level for level in range(self.depth) if self._is_crossed(level)]
        # Of the last crossed picture layer, the text reads the keys alone.
        n_read = self.depth if reads_vision else max(crossed, default=0)
        self._freeze_unread(n_read)
        self._freeze_dead(n_read)

    def _freeze_unread(self, n_read: int) -> None:
        """Keep from training what picture layers from level `n_read` on need beyond their keys."""
        for level in range(n_read, self.depth):
            layer = self.vision[level - self.depth]  # from the end, where the shared layers are
            layer.requires_grad_(False)
            if self._is_crossed(level):
                layer.layer_norm1.requires_grad_(True)
                layer.self_attn.k_proj.requires_grad_(True)
            if self.to_vision and self._is_crossed(level):
                self.to_vision[level - ALIGNMENT].requires_grad_(False)

    def _freeze_dead(self, n_read: int) -> None:
        """Keep from training what no output depends on: published models hold such tensors."""
        if self.depth <= ALIGNMENT or self.interaction == "fuse":
            return
        place = ALIGNMENT - self.depth
        # Pictures attend to the text alone there: nothing reads their own values.
        self.vision[place].self_attn.v_proj.requires_grad_(False)
        if not self._is_crossed(ALIGNMENT + 1) or n_read <= ALIGNMENT + 1:
            # The text's own keys and values are for the picture layer above, which reads none.
            attention = self.text[place].attention.self
            attention.key.requires_grad_(False)
            attention.value.requires_grad_(False)

    def forward(
        self,
        text: Tensor,
        vision: Tensor,
        *,
        text_mask: Tensor,
        seen_text: Tensor,
        vision_mask: Tensor,
        finish_vision: bool = True,
    ) -> StackStates:
        """Run both streams.

        Args:
            text: embeddings, shape (B, L, D).
            vision: embeddings after the tower's first layer norm, shape (B, M, D').
            text_mask: shape (B, L), bool, pieces that text attends to.
            seen_text: shape (B, L), bool, pieces that pictures attend to.
            vision_mask: shape (B, M), bool, positions that both streams attend to; at least one.
            finish_vision: False leaves out what the text never reads of the last picture layer.
        """
        text_bias, seen_bias = (mask_bias(mask, text.dtype) for mask in (text_mask, seen_text))
        vision_bias = mask_bias(vision_mask, vision.dtype)
        states, below = StackStates(), None  # keys and values of the text layer below
        for layer in self.text[: len(self.text) - self.depth]:
            text = text_update(layer, text, *text_projections(layer, text, text_bias))
            states.text.append(text)
        for layer in self.vision[: len(self.vision) - self.depth]:
            vision = vision_update(layer, vision, *vision_projections(layer, vision, vision_bias))
        pairs = zip(self.text[-self.depth :], self.vision[-self.depth :], strict=True)
        for level, (text_layer, vision_layer) in enumerate(pairs):
            query, own = vision_projections(vision_layer, vision, vision_bias)
            gated = self._gated_keys(level, own.keys, vision_mask)
            if finish_vision or level + 1 < self.depth:
                source = self._source(level, own, self._text_below(level, below, seen_bias))
                vision = vision_update(vision_layer, vision, query, source)
            query, below = text_projections(text_layer, text, text_bias)
            text = text_update(text_layer, text, query, self._source(level, below, gated))
            states.text.append(text)
        states.vision = vision if finish_vision else None
        return states

    def _is_crossed(self, level: int) -> bool:
        """True where the streams meet."""
        last = ALIGNMENT + 1 if self.interaction == "align" else self.depth
        return ALIGNMENT <= level < min(last, self.depth)

    def _text_below(self, level: int, below: KeyValues | None, bias: Tensor) -> KeyValues | None:
        """Return what pictures see of the text, with the picture stream's heads."""
        if below is None or not self._is_crossed(level):
            return None
        keys, values = merge_heads(below.keys), merge_heads(below.values)
        if self.to_vision:
            keys, values = (self.to_vision[level - 1](states) for states in (keys, values))
        keys, values = (split_heads(states, self.vision_heads) for states in (keys, values))
        return KeyValues(keys, values, bias)

    def _gated_keys(self, level: int, keys: Tensor, mask: Tensor) -> KeyValues | None:
        """Return what text sees of the pictures: their keys, gated, also as values."""
        if not self._is_crossed(level):
            return None
        gated = merge_heads(keys)
        if self.gate is not None:
            gated = self.gate(gated, mask)
        if self.to_text:
            gated = self.to_text[level - 1](gated)
        heads = split_heads(gated, self.text_heads)
        return KeyValues(heads, heads, mask_bias(mask, keys.dtype) + self.visual_score_bias)

    def _source(self, level: int, own: KeyValues, other: KeyValues | None) -> KeyValues:
        """Return what a layer attends to: itself, the other stream, or both."""
        if other is None:
            return own
        aligns = level == ALIGNMENT and self.interaction != "fuse"
        return other if aligns else own.after(other)
