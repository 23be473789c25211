"""Noun phrases become boxes in the image, one grounder a file.

Items come in, each with an image and the phrases of its tweets. Boxes with phrase and score
go out, the best first. A stranger may add a file with `VERSION`, `Options` and
`Extractor`, and order its rows with `base.py`.
"""
