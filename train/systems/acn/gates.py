"""The two gates of ACN: mix image and text, then decide how much of the mixture to keep."""

import torch
from torch import Tensor, nn
from torch.nn import functional

FILTRATIONS = ("scalar", "vector", "fused-only", "open")


class GatedFusion(nn.Module):
    """Mix an image vector and a text vector by one gate a token.

    Args:
        width: of both inputs and of the result.
        gated: False is the ablation without gate: both count one half.

    Source: Zhang et al. 2018, gated multimodal fusion.
    """

    def __init__(self, width: int, *, gated: bool = True) -> None:
        super().__init__()
        self.visual = nn.Linear(width, width)
        self.textual = nn.Linear(width, width)
        self.gate = nn.Linear(2 * width, 1) if gated else None

    def forward(self, visual: Tensor, textual: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixture and the image's share.

        Args:
            visual: shape (B, Q or 1, D).
            textual: shape (B, Q or 1, D); one row is that of all tokens.

        Returns:
            The mixture, shape (B, Q, D), and the gate in (0, 1), shape (B, Q, 1).
        """
        image = torch.tanh(self.visual(visual))
        text = torch.tanh(self.textual(textual))
        image, text = torch.broadcast_tensors(image, text)
        if self.gate is None:
            gate = image.new_full((*image.shape[:2], 1), 0.5)
        else:
            gate = torch.sigmoid(self.gate(torch.cat([image, text], dim=-1)))
        return gate * image + (1 - gate) * text, gate


class FiltrationGate(nn.Module):
    """Emissions from the text state and the part of the mixture that the gate lets through.

    Args:
        width: of the text states and of the mixture.
        tags: number of tags.
        kind: `scalar` (one gate a token, the PyTorch re-implementation's reading of the paper),
            `vector` (one gate a channel, the literal reading that closes dimensionally),
            `fused-only` (the authors' Keras code: the gate sees the mixture alone and there is no
            tanh) or `open` (the ablation without gate: all of the mixture passes).

    Raises:
        ValueError: another kind, or `vector` with an odd width.

    Source: Zhang et al. 2018, filtration gate.
    """

    def __init__(self, width: int, tags: int, kind: str) -> None:
        if kind not in FILTRATIONS:
            raise ValueError(f"kind must be one of {FILTRATIONS}, got {kind!r}")
        super().__init__()
        self.kind = kind
        if kind == "fused-only":
            self.text = nn.Linear(width, width)
            self.gate = nn.Linear(width, 1)
        elif kind == "open":
            self.reserve = nn.Linear(width, width)
        else:
            if kind == "vector" and width % 2:
                raise ValueError(f"filtration 'vector' needs an even width, got {width}")
            inner = width if kind == "scalar" else width // 2
            self.text = nn.Linear(width, inner, bias=False)
            self.mixture = nn.Linear(width, inner)
            self.reserve = nn.Linear(width, width)
        if kind == "scalar":
            self.gate = nn.Linear(2 * width, 1)
        self.output = nn.Linear(2 * width, tags)

    def forward(self, text: Tensor, mixture: Tensor, has_image: Tensor) -> tuple[Tensor, Tensor]:
        """Return emissions and gate.

        Args:
            text: shape (B, W, D), the states of the text encoder.
            mixture: shape (B, W or 1, D).
            has_image: shape (B,), bool; without an image nothing of the mixture passes.

        Returns:
            Emissions, shape (B, W, K), and the gate in (0, 1), shape (B, W or 1, 1 or D); 1 where
            it is `open`.
        """
        if self.kind == "open":
            gate = mixture.new_ones(*mixture.shape[:2], 1)
        else:
            gate = torch.sigmoid(self._gate_logits(text, mixture))
        value = mixture if self.kind == "fused-only" else torch.tanh(self.reserve(mixture))
        # where, not a product: nothing of the absent image may reach the sum, or the gradient.
        passed = torch.where(has_image[:, None, None], gate * value, value.new_zeros(()))
        passed = passed.expand(-1, text.shape[1], -1)
        if self.kind == "fused-only":
            return self.output(torch.cat([passed, self.text(text)], dim=-1)), gate
        return self.output(torch.cat([text, passed], dim=-1)), gate

    def _gate_logits(self, text: Tensor, mixture: Tensor) -> Tensor:
        if self.kind == "fused-only":
            return self.gate(mixture)
        if self.kind == "vector":
            halves = self.text(text), self.mixture(mixture).expand(-1, text.shape[1], -1)
            return torch.cat(halves, dim=-1)
        # w . [a ; b] = w_1 . a + w_2 . b, so a mixture shared by all tokens is projected once.
        weight = self.gate.weight.split(text.shape[-1], dim=1)
        from_text = functional.linear(self.text(text), weight[0], self.gate.bias)
        return from_text + functional.linear(self.mixture(mixture), weight[1])
