"""Measurements of encoding: an account of its steps, and other runtimes beside the kernels."""

from lsr.encoders.torch_setup import prepare_torch

prepare_torch()
