"""Dense vectors as sparse codes, and sparse vectors as dense ones."""

from lsr.encoders.torch_setup import limit_kernels

limit_kernels()
