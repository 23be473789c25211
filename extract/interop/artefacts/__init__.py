"""Files of other projects, one format a file.

A file that another project wrote comes in, or one of our stores. A store goes out, or the
file that the other project reads. A stranger may add a file with `VERSION`, `Options` and
`read` or `write`; the config's `kind:` finds it by its name.
"""
