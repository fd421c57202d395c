"""Regularisers, which make vectors sparse, each in its own module with its paper."""
