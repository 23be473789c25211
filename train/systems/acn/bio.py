"""Hard BIO constraints for decoding: an `I-X` only after a `B-X` or `I-X`."""

import copy
from collections.abc import Sequence

import torch

from extract.tables.tags import split_tag
from train.blocks.crf import LinearChainCRF


@torch.no_grad()
def without_orphans(crf: LinearChainCRF, tags: Sequence[str]) -> LinearChainCRF:
    """Return a copy of a CRF in which no path has an `I-X` without its beginning.

    Args:
        crf: trained without constraints; it is not changed.
        tags: the tag of each of its K states; others than B, I and O are never constrained.
    """
    constrained = copy.deepcopy(crf)
    for to, tag in enumerate(tags):
        prefix, entity_type = split_tag(tag)
        if prefix != "I":
            continue
        constrained.start_transitions[to] = -torch.inf
        for origin, before in enumerate(tags):
            if before not in (f"B-{entity_type}", f"I-{entity_type}"):
                constrained.transitions[origin, to] = -torch.inf
    return constrained
