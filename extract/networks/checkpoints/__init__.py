"""Files of checkpoints, read without running what is in them.

Paths of safetensors, torch and transformers files come in. Tensors, configs and tokenizers
go out, or an error that says which file is cut off or of another kind. A stranger may add
a file format here, with its test against damaged and hostile files.
"""
