"""A spec and a list of images become a feature store.

The definition of a feature set comes in, with images and the inputs that its extractor
needs. A store goes out, in shards that can be continued and whose rows are reused. A
stranger may add an input that items carry (`inputs.py`); extractors have their own folder.
"""
