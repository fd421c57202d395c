"""Models that score a query with a document: cross-encoders and late interaction."""

from lsr.encoders.torch_setup import limit_kernels

limit_kernels()
