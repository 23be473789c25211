"""What everything stands on: errors, options, plug-in lookup, files, digests, command line.

Nothing of this project comes in here: these modules import the standard library and small
packages alone. They give every other folder its error classes, atomic writes, locks,
checksums and log lines. A stranger may add a helper that knows no table, image or network,
and that two folders need.
"""
