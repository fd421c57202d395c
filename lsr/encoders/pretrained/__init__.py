"""Loading and saving of models: folders, hub names, formats."""

from lsr.encoders.torch_setup import limit_kernels

limit_kernels()
