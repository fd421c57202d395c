"""Losses, each in its own module with its paper."""
