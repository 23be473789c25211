"""Heterogeneous information mining (HIM): the task-relevant core of the text and of the image.

The question mines the text; the mined text mines the image. That two such modules exist and that
an explicit question guides them is published; the equations are from released code (an earlier
state of the model), repaired where noted. There is no gate between the streams, published or
released.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from train.systems.rpi_hmif.mining_blocks import PostNormBlock, ResidualBlock, TokenMixer


@dataclass(frozen=True)
class MiningOptions:
    """What can be chosen about the mining."""

    enabled: bool = True
    """False is the ablation without mining: the text as it is, the image by a token mixer (the
    mixer is in released code)."""
    visual: bool = True
    """False mines the text alone, and nothing is fused (from released code)."""
    v_keys: Literal["image_and_text", "image_only"] = "image_and_text"
    """What text tokens look at in the image step: both (from released code), so that a token that
    finds nothing in the image can look away from it, or the image only (our reconstruction)."""
    align: Literal["token_mix", "attention"] = "token_mix"
    """How a stream reaches the text positions: a learned mixer over a fixed number of positions
    (from released code), or the weights of the attention before it (our reconstruction: no
    weights, any length)."""


class TextMining(nn.Module):
    """HIM_T: text tokens ask the question, question tokens gather evidence, both are added.

    `A = X(H_T, H_Q)`, `C = X(H_Q, H_T)`, `TF = A + Mix(C)`; one block X serves both directions.
    From released code.

    Args:
        dim: D.
        heads: of the attention.
        n_text: L, padded text positions (`token_mix` only).
        n_question: padded question positions (`token_mix` only).
        align: see `MiningOptions`; `attention` is the head-averaged attention of the text over the
            question, times C.
        dropout: inside the block.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        n_text: int,
        n_question: int,
        align: str = "token_mix",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.block = PostNormBlock(dim, heads, dropout)
        self.mixer = TokenMixer(n_question, n_text, dim) if align == "token_mix" else None

    def forward(
        self, text: Tensor, text_mask: Tensor, question: Tensor, question_mask: Tensor
    ) -> Tensor:
        """Return the mined text feature TF.

        Args:
            text: H_T, shape (B, L, D).
            text_mask: shape (B, L), bool.
            question: H_Q, shape (1, Q, D), the same for every sample.
            question_mask: shape (1, Q), bool.

        Returns:
            Shape (B, L, D).
        """
        question = question.expand(len(text), -1, -1)
        asked, weights = self.block(text, question, question_mask)
        evidence, _ = self.block(question, text, text_mask)  # shape: (B, Q, D)
        if self.mixer is None:
            return asked + weights.to(evidence.dtype) @ evidence
        return asked + self.mixer(evidence, question_mask)


class VisualMining(nn.Module):
    """HIM_V: text tokens attend to image and text together, the image attends to the mined text.

    `E = Y_1(TF, [H_V ; TF])`, `D = Y_2(H_V, TF)`, `VF = E + Mix(D)`, one visual vector a text
    token. From released code, with two repairs of ours: the image attends to the text (there it
    attended to itself), and image keys pass through Y_1's own projections.

    Args:
        dim: D.
        heads: of the attention.
        n_text: L (`token_mix` only).
        n_visual: M, visual positions (`token_mix` only).
        keys: see `MiningOptions.v_keys`.
        align: see `MiningOptions`; `attention` uses the image columns of E's weights.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        n_text: int,
        n_visual: int,
        keys: str = "image_and_text",
        align: str = "token_mix",
    ) -> None:
        super().__init__()
        self.keys = keys
        self.look = ResidualBlock(dim, heads)
        self.back = ResidualBlock(dim, heads)
        self.mixer = TokenMixer(n_visual, n_text, dim) if align == "token_mix" else None

    def forward(
        self, mined_text: Tensor, text_mask: Tensor, image: Tensor, image_mask: Tensor
    ) -> Tensor:
        """Return the mined visual feature VF.

        Args:
            mined_text: TF, shape (B, L, D).
            text_mask: shape (B, L), bool.
            image: H_V, shape (B, M, D).
            image_mask: shape (B, M), bool; false for what has no picture.

        Returns:
            Shape (B, L, D).
        """
        source, source_mask = image, image_mask
        if self.keys == "image_and_text":
            source = torch.cat([image, mined_text], dim=1)
            source_mask = torch.cat([image_mask, text_mask], dim=1)
        seen, weights = self.look(mined_text, source, source_mask)
        told, _ = self.back(image, mined_text, text_mask)  # shape: (B, M, D)
        if self.mixer is not None:
            return seen + self.mixer(told, image_mask)
        return seen + weights[:, :, : image.shape[1]].to(told.dtype) @ told


class InformationMining(nn.Module):
    """HIM with its ablations: text by question, then image by mined text.

    Args:
        dim: D.
        heads: of all blocks.
        options: what is mined, and how.
        n_text: L, padded text positions.
        n_question: padded question positions; None leaves the text as it is.
        n_visual: M, visual positions.
        dropout: inside the text blocks.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        options: MiningOptions,
        *,
        n_text: int,
        n_question: int | None,
        n_visual: int,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.text = self.visual = self.mixer = None
        if n_question is not None and options.enabled:
            shapes = {"n_text": n_text, "n_question": n_question}
            self.text = TextMining(dim, heads, **shapes, align=options.align, dropout=dropout)
        if options.visual and options.enabled:
            shapes = {"n_text": n_text, "n_visual": n_visual}
            how = {"keys": options.v_keys, "align": options.align}
            self.visual = VisualMining(dim, heads, **shapes, **how)
        elif options.visual:
            self.mixer = TokenMixer(n_visual, n_text, dim)

    def forward(
        self,
        text: tuple[Tensor, Tensor],
        question: tuple[Tensor, Tensor] | None,
        image: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor | None]:
        """Return TF and VF, both (B, L, D); VF is None when the image is not mined.

        Args:
            text: H_T, shape (B, L, D), and its mask.
            question: H_Q, shape (1, Q, D), and its mask; None when there is none.
            image: H_V, shape (B, M, D), and its mask.
        """
        states, mask = text
        mined = states if self.text is None else self.text(states, mask, *question)
        if self.visual is not None:
            return mined, self.visual(mined, mask, *image)
        return mined, None if self.mixer is None else self.mixer(*image)
