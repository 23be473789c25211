"""Layers that two or more systems use.

Tensors and masks come in. Tensors go out: states, scores, losses, tags. A stranger may add a
layer when a second system needs it; a layer of one system stands in that system's folder.
"""
