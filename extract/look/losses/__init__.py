"""What the pipeline lost on its way, counted by cause.

Images, samples, crops and stores come in. Tables of counts and cases and a page go out. A
stranger may add a source of findings to `sources.py`.
"""
