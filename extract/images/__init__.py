"""Image files become upright RGB pixels, or a reason why not.

Paths of images and limits of what one image may cost come in. Rows of `images.tsv`, decoded
images and resized arrays go out, the same on every machine. A stranger may add a file
format to the decoder, or a way to resize that an extractor needs.
"""
