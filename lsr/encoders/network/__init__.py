"""Torch modules of an encoder: backbone, heads, batching."""

from lsr.encoders.torch_setup import limit_kernels

limit_kernels()
