"""The bundled corpus: tweets and pictures that are drawn, not collected.

A seed and a number of tweets come in. Texts, pictures, evidence and small vision networks
trained on drawings go out. A stranger may add a kind of object to `kinds/`, or a frame
of a sentence to `language.py`.
"""
