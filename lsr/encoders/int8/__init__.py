"""Encoders on the integer kernels: BERT-like models without torch, the same bits in every batch."""
