"""Samples and stores become examples, batches and word pieces.

Samples, feature stores and tokenizers come in. Examples go out, of the main run or of a
control, and the tensors that systems are fed with. A stranger may add a variant (a control
run) or a kind of input that two systems read.
"""
