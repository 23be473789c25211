"""How each kind of object is drawn, one group of kinds a file.

A pen and the picture's random numbers come in. Shapes on the picture go out. A stranger may
add a function to a file's `DRAWERS`, under the name of the kind.
"""
