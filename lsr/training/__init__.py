"""Training: examples, teachers, mining, losses, and the trainer."""

from lsr.encoders.torch_setup import prepare_torch

prepare_torch()
