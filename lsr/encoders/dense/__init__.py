"""Dense encoders: one vector a text."""

from lsr.encoders.torch_setup import prepare_torch

prepare_torch()
