"""A transformer's forward pass on flat arrays: int8 products, float32 for the rest, every step in a fixed order."""
