"""The question that guides RPI-HMIF: its words, continuous prompts before them, and a BERT.

Published is that the model reads an explicit question. One question for all types, eight learned
prompts and a BERT of its own are from released code (an earlier state of the model). That the
prompts are weights, the mask never changes and the BERT starts from the checkpoint are repairs of
ours: there the prompts were fresh noise at every call, evaluation included.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from extract.core.errors import ConfigError
from train.data.pieces import PieceTable
from train.systems.rpi_hmif.mining_blocks import QuickGELU

LEAD_IN = "Which of the following types is the type of each entity?"
"""One of several lead-ins in released code; which one the publication used is not known."""

TYPE_QUESTIONS = {
    "PER": "Person: which words name a person, real or fictional?",
    "LOC": "Location: which words name a place, such as a country, city or landmark?",
    "ORG": "Organization: which words name an organization, such as a company, team, party or "
    "school?",
    "MISC": "Miscellaneous: which words name an event, product, work or other entity?",
}
"""Our wording, in the manner of Jia et al. 2023, MNER-QG: one natural question a type."""


@dataclass(frozen=True)
class QuestionOptions:
    """What can be chosen about the question."""

    mode: Literal["combined", "per_type", "learned", "none"] = "combined"
    """`combined`: one question that lists all types (published figure and released code);
    `per_type`: one a type, averaged (our reconstruction); `learned`: prompts without words (our
    control); `none`: the ablation without question (from released code)."""
    text: str = LEAD_IN
    """Lead-in of the combined question, before the list of types; may be empty. The default is our
    choice among those in released code. Controls there: an unrelated sentence, and nonsense."""
    prompt_len: int = 8
    """P, learned prompts before the words (from released code); 0 for words alone."""
    prompt_depth: Literal["shallow", "deep"] = "shallow"
    """`shallow`: prompts enter below the first layer (from released code); `deep`: every layer gets
    new ones (our reading of the published figure)."""
    encoder: Literal["separate", "shared"] = "separate"
    """`separate`: a second BERT that starts from the same checkpoint (a second BERT is from
    released code, its start our repair); `shared`: the text encoder (older released code)."""
    max_pieces: int = 40
    """Q, padded length of the question, prompts and special pieces included (released code)."""

    def __post_init__(self) -> None:
        if self.prompt_len < 0 or self.max_pieces <= self.prompt_len:
            raise ValueError(
                f"expected 0 <= prompt_len < max_pieces, got {self.prompt_len}, {self.max_pieces}"
            )
        if self.mode == "learned" and self.prompt_len == 0:
            raise ValueError("mode 'learned' is nothing but prompts: prompt_len must be 1 or more")
        if self.mode == "learned" and self.prompt_depth == "deep":
            # Each layer would start from new prompts alone: those below the last do nothing.
            raise ValueError("mode 'learned' has no words: prompt_depth must be 'shallow'")


def build_questions(options: QuestionOptions, entity_types: Sequence[str]) -> list[str]:
    """Return the texts that are encoded; one without words for `learned`, none for `none`.

    Args:
        options: mode and lead-in.
        entity_types: in the order in which they are listed, as in `PER, LOC, ORG, or MISC.`
    """
    if options.mode == "none":
        return []
    if options.mode == "learned":
        return [""]
    if options.mode == "per_type":
        return [
            TYPE_QUESTIONS.get(name, f"{name}: which words name an entity of this type?")
            for name in entity_types
        ]
    *others, last = entity_types
    listed = f"{', '.join(others)}, or {last}." if others else f"{last}."
    return [f"{options.text} {listed}".strip()]


def encode_questions(table: PieceTable, texts: Sequence[str], width: int) -> tuple[Tensor, Tensor]:
    """Return the pieces of the questions, padded to a fixed width.

    Args:
        table: of the encoder that reads them.
        texts: n questions; an empty one has no pieces at all, not even the special ones.
        width: positions of the words, special pieces included.

    Returns:
        Ids, shape (n, width), int64, and their mask, shape (n, width), bool.

    Raises:
        ConfigError: a question is longer than that.
    """
    words = [text.split() for text in texts]
    if not any(words):
        nothing = torch.zeros(len(texts), 0)
        return nothing.long(), nothing.bool()
    for text, split in zip(texts, words, strict=True):
        needed = 2 + sum(map(len, table.pieces(split)))
        if needed > width:
            raise ConfigError(
                f"question {text!r}: {needed} word pieces, but question.max_pieces leaves room "
                f"for {width} beside the prompts. Raise it or shorten the question."
            )
    batch = table.encode(words, max_pieces=width, pad_to=width)
    return batch.input_ids, batch.attention_mask


class QuestionEncoder(nn.Module):
    """Encode the question once for the whole batch.

    `H_Q = BERT_Q([MLP(E_p) ; Word(question)])`; the prompts stand before `[CLS]`.

    Args:
        bert: the text encoder, as its checkpoint has it.
        ids: shape (n, Q - P), int64, of n questions.
        mask: shape (n, Q - P), bool.
        options: prompts, and whether `bert` is copied or used as it is at every call.
    """

    def __init__(
        self, bert: nn.Module, ids: Tensor, mask: Tensor, options: QuestionOptions
    ) -> None:
        super().__init__()
        prompt_len, deep = options.prompt_len, options.prompt_depth == "deep"
        dim, n_layers = bert.config.hidden_size, bert.config.num_hidden_layers
        self.length: int = prompt_len + ids.shape[1]
        self.bert = copy.deepcopy(bert) if options.encoder == "separate" else None
        self.register_buffer("ids", ids, persistent=False)
        with_prompts = torch.cat([mask.new_ones(len(mask), prompt_len), mask], dim=1)
        self.register_buffer("mask", with_prompts, persistent=False)
        self.prompts = nn.Parameter(torch.randn(prompt_len, dim)) if prompt_len else None
        self.prompt_mlp = (
            nn.Sequential(nn.Linear(dim, 4 * dim), QuickGELU(), nn.Linear(4 * dim, dim))
            if prompt_len
            else None
        )
        self.deep_prompts = (
            nn.Parameter(torch.randn(n_layers - 1, prompt_len, dim))
            if deep and prompt_len and n_layers > 1
            else None
        )

    def prompt_parameters(self) -> list[nn.Parameter]:
        """Return the weights that no checkpoint brings: prompts and their MLP."""
        return [p for name, p in self.named_parameters() if not name.startswith("bert.")]

    def forward(self, text_bert: nn.Module) -> tuple[Tensor, Tensor]:
        """Encode all questions; several are averaged position by position over those that reach it.

        Args:
            text_bert: the text encoder, used when there is no separate one.

        Returns:
            H_Q, shape (1, Q, D), and its mask, shape (1, Q), bool.
        """
        states = self._encode(text_bert if self.bert is None else self.bert)
        if len(states) == 1:
            return states, self.mask
        there = self.mask.unsqueeze(2)
        total = states.masked_fill(~there, 0.0).sum(dim=0, keepdim=True)
        return total / there.sum(dim=0, keepdim=True).clamp(min=1), self.mask.any(0, keepdim=True)

    def _encode(self, bert: nn.Module) -> Tensor:
        """Return the states of each question. # shape: (n, Q, D)"""
        from transformers.masking_utils import create_bidirectional_mask

        words = bert.get_input_embeddings()(self.ids)
        if self.prompts is not None:
            prompts = self.prompt_mlp(self.prompts).to(words.dtype)
            words = torch.cat([prompts.expand(len(words), -1, -1), words], dim=1)
        states = bert.embeddings(inputs_embeds=words)  # adds positions and segment 0, normalises
        mask = create_bidirectional_mask(
            config=bert.config, inputs_embeds=states, attention_mask=self.mask
        )
        for number, layer in enumerate(bert.encoder.layer):
            if number and self.deep_prompts is not None:
                fresh = self.deep_prompts[number - 1].to(states.dtype).expand(len(states), -1, -1)
                states = torch.cat([fresh, states[:, fresh.shape[1] :]], dim=1)
            states = layer(states, mask)
        return states
