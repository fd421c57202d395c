"""Dense encoders: one vector a text."""
