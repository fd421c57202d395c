"""Encoders: text to sparse vectors, loaded and saved."""
