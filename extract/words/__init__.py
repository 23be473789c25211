"""What stores hold of an image, as words behind a tweet.

The items of caption, object and OCR stores come in. Segments of words go out, cut to the
room that an encoder has. A stranger may add a group of words, with the rule that orders
and limits them.
"""
