"""Dense vectors as sparse codes, and sparse vectors as dense ones."""

from lsr.encoders.torch_setup import prepare_torch

prepare_torch()
