"""Contact sheets: images with their boxes, captions, words and tweets.

Samples, images and stores come in. PNG sheets and a text file for each go out. A stranger
may add to `content.py` what else a tile shows.
"""
