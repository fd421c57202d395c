"""Dense encoders: one vector a text."""

from lsr.encoders.torch_setup import limit_kernels

limit_kernels()
