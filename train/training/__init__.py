"""A run spec, samples and stores become a trained run.

The run spec comes in, with train and valid samples and the stores of its roles. A run folder
goes out, with the weights of the chosen epoch, and the state that a killed run continues
from. A stranger may add a field to `recipe.py`, or an optimizer or schedule to its choices there
and its formula to `optim.py`.
"""
