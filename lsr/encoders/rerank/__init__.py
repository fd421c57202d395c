"""Models that score a query with a document: cross-encoders and late interaction."""

from lsr.encoders.torch_setup import prepare_torch

prepare_torch()
