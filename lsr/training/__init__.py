"""Training: examples, teachers, mining, losses, and the trainer."""

from lsr.encoders.torch_setup import limit_kernels

limit_kernels()
