"""Linear-chain CRF: pytorch-crf's parameters with batched likelihood, posteriors and Viterbi.

Everything is computed in log space and at least in float32, whatever autocast says around it.
Source: Lafferty et al. 2001 (CRF); forward-backward in log space as in Rabiner 1989.
"""

import torch
import torchcrf
from torch import Tensor, nn

INITIALISATIONS = ("uniform", "normal")


class LinearChainCRF(torchcrf.CRF):
    """A `torchcrf.CRF` (batch first) that also gives log-posteriors and a vectorised Viterbi.

    A mask is a prefix of each row (true on words, then false) and true at the first position.
    Whatever stands at padded positions, NaN included, reaches neither values nor gradients.

    Args:
        num_tags: K.
        init: of the three parameters: `uniform` in +-0.1 (pytorch-crf) or `normal` (mean 0, sd 1).
    """

    def __init__(self, num_tags: int, *, init: str = "uniform") -> None:
        if init not in INITIALISATIONS:
            raise ValueError(f"init must be one of {INITIALISATIONS}, got {init!r}")
        super().__init__(num_tags, batch_first=True)
        if init == "normal":
            for parameter in self.parameters():
                nn.init.normal_(parameter)

    def score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return the unnormalised score of given tag sequences.

        Args:
            emissions: shape (B, W, K).
            tags: shape (B, W), int64 in [0, K) on words, anything on padding.
            mask: shape (B, W), bool.

        Returns:
            Shape (B,).
        """
        emissions = self._prepare(emissions, mask)
        with torch.autocast(emissions.device.type, enabled=False):
            return self._score(emissions, tags, mask)

    def log_z(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return the log partition function of each sentence. # shape: (B,)"""
        emissions = self._prepare(emissions, mask)
        with torch.autocast(emissions.device.type, enabled=False):
            last = self._forward_scores(emissions, mask)[-1]
            return torch.logsumexp(last + self.end_transitions, dim=1)

    def nll(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return the negative log-likelihood of each sentence's gold tags. # shape: (B,)"""
        return self.log_z(emissions, mask) - self.score(emissions, tags, mask)

    def log_marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return log p(tag of word i = k | sentence).

        Args:
            emissions: shape (B, W, K).
            mask: shape (B, W), bool.

        Returns:
            Shape (B, W, K); each word's row is normalised, padded rows are 0.
        """
        emissions = self._prepare(emissions, mask)
        with torch.autocast(emissions.device.type, enabled=False):
            alphas = torch.stack(self._forward_scores(emissions, mask), dim=1)
            betas = torch.stack(self._backward_scores(emissions, mask), dim=1)
            # alpha holds the word's own emission, beta does not. # shape: (B, W, K)
            log_posterior = torch.log_softmax(alphas + betas, dim=2)
        return log_posterior.masked_fill(~mask.unsqueeze(2), 0.0)

    @torch.no_grad()
    def viterbi(self, emissions: Tensor, mask: Tensor) -> tuple[list[list[int]], Tensor]:
        """Find each sentence's best tag sequence.

        Args:
            emissions: shape (B, W, K).
            mask: shape (B, W), bool.

        Returns:
            One list of tag ids a sentence, as long as the sentence; and the scores, shape (B,).
        """
        emissions = self._prepare(emissions, mask)
        stay = torch.arange(self.num_tags, device=emissions.device).expand(len(emissions), -1)
        with torch.autocast(emissions.device.type, enabled=False):
            steps, valid = emissions.unbind(1), mask.unbind(1)
            score, pointers = self.start_transitions + steps[0], []
            for emission, is_word in zip(steps[1:], valid[1:], strict=True):
                candidates = score.unsqueeze(2) + self.transitions + emission.unsqueeze(1)
                best, origin = candidates.max(dim=1)  # shape: (B, K)
                score = torch.where(is_word.unsqueeze(1), best, score)
                # On padding a tag comes from itself, so that tracing back crosses it unchanged.
                pointers.append(torch.where(is_word.unsqueeze(1), origin, stay))
            scores, tag = (score + self.end_transitions).max(dim=1)
        path = [tag]
        for origin in reversed(pointers):
            path.append(origin.gather(1, path[-1].unsqueeze(1)).squeeze(1))
        rows = torch.stack(path[::-1], dim=1).tolist()
        lengths = mask.sum(dim=1).tolist()
        return [row[:length] for row, length in zip(rows, lengths, strict=True)], scores

    def _prepare(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Check shapes, raise half precision to float32 and clear the padding."""
        self._validate(emissions, mask=mask)
        if mask.dtype != torch.bool or bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError("mask must be bool and a prefix of each row")
        if emissions.dtype in (torch.float16, torch.bfloat16):
            emissions = emissions.float()
        return emissions.masked_fill(~mask.unsqueeze(2), 0.0)

    def _score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Sum start, emissions, transitions and end of the given tags."""
        if tags.shape != mask.shape:
            raise ValueError(f"expected tags of shape {tuple(mask.shape)}, got {tuple(tags.shape)}")
        tags = tags.masked_fill(~mask, 0)
        picked = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)  # 0 on padding
        moves = self.transitions[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]
        last = tags.gather(1, mask.sum(dim=1, keepdim=True) - 1).squeeze(1)
        ends = self.start_transitions[tags[:, 0]] + self.end_transitions[last]
        return ends + picked.sum(dim=1) + moves.sum(dim=1)

    def _forward_scores(self, emissions: Tensor, mask: Tensor) -> list[Tensor]:
        """Return alpha of each position; on padding that of the last word. # W x shape: (B, K)"""
        steps, valid = emissions.unbind(1), mask.unsqueeze(2).unbind(1)
        alphas = [self.start_transitions + steps[0]]
        for emission, is_word in zip(steps[1:], valid[1:], strict=True):
            moved = torch.logsumexp(alphas[-1].unsqueeze(2) + self.transitions, dim=1)
            alphas.append(torch.where(is_word, moved + emission, alphas[-1]))
        return alphas

    def _backward_scores(self, emissions: Tensor, mask: Tensor) -> list[Tensor]:
        """Return beta of each position, starting at each sentence's own last word."""
        steps, valid = emissions.unbind(1), mask.unsqueeze(2).unbind(1)
        end = self.end_transitions.expand(len(emissions), -1)
        betas = [end]
        for i in range(len(steps) - 1, 0, -1):
            arrival = (steps[i] + betas[-1]).unsqueeze(1)  # shape: (B, 1, K)
            moved = torch.logsumexp(self.transitions + arrival, dim=2)
            betas.append(torch.where(valid[i], moved, end))
        return betas[::-1]
