"""Torch modules of an encoder: backbone, heads, batching."""

from lsr.encoders.torch_setup import prepare_torch

prepare_torch()
