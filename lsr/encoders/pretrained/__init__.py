"""Loading and saving of models: folders, hub names, formats."""

from lsr.encoders.torch_setup import prepare_torch

prepare_torch()
