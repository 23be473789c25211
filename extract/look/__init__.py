"""Pages and pictures to look at, for people.

Samples, images and stores come in. Contact sheets, galleries and the page of what went
wrong go out. A stranger may add a page; nothing that a model reads is made here.
"""
