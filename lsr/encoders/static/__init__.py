"""Static encoders: a stored row of weighted terms for each word, pooled over a text, without a transformer."""
