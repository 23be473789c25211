"""Pretrained files, and the networks that several extractors share.

Entries of the config's `weights:` come in, and files and folders of checkpoints. Paths,
checksums and networks with all their tensors filled go out. A stranger may add a network
that two extractors need, or a way to make small weights for the sample.
"""
