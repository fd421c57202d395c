"""Conversion of models as people publish them into folders that load."""

from lsr.encoders.torch_setup import prepare_torch

prepare_torch()
