"""Encoders: text to sparse vectors, loaded and saved."""

from lsr.encoders.network.memory import limit_kernels

limit_kernels()  # torch asks for the limits while it is being imported, which its modules here do first of all
