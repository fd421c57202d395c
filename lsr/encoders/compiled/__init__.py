"""Encoders on compiled kernels: BERT-like models without torch, in int8 or float32, the same bits in every batch."""
