"""Figures of the report, one a file.

Rows of the comparison's tables come in, and learning curves. PNG and SVG files go out. A
stranger may add a figure, in the colours and line styles of `style.py`.
"""
